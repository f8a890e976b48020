package persistence

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// updateChunk is the number of objects that Update writes, and RemoveAll removes, in one atomic
// step.
const updateChunk = 256

// Update calls fn for each object that q selects, or for all if q is nil, and saves the objects
// that fn changed. It returns the number of objects processed, including those that fn left
// unchanged.
//
// Update reads and saves objects in atomic steps of a few hundred, as [Store.SaveOnly] would:
// fn may read objects that the object refers to, but changes to them are not saved. If someone
// else changes an object meanwhile, it is read again and, if q still selects it, fn is called
// again: no update is lost, and fn must not count its calls. In ID order Update streams; with
// q.Order it first lists the IDs that q selects.
//
// An error of fn ends the Update; objects processed before are saved. Records that cannot be
// loaded are left as they are, and reported together at the end. (jobman's update_objects.)
func (c *conn) Update(ctx context.Context, q *Query, fn func(obj any) error) (n int64, err error) {
	return c.update(ctx, q, &updater{c: c, fn: func(ptr any) error { return fn(natural(ptr)) }})
}

// A Writer stores objects. *Store is one.
type Writer interface {
	Reader
	Save(ctx context.Context, obj any) (ID, error)
	Update(ctx context.Context, q *Query, fn func(obj any) error) (int64, error)
}

// Update is [Store.Update] for records of type T, registered or not; an empty q.Type asks for those
// of type T. A record of another type is left as it is, and reported at the end: ErrType.
func Update[T any](ctx context.Context, w Writer, q *Query, fn func(*T) error) (int64, error) {
	c, want := w.self(), reflect.TypeFor[T]()
	typed, err := queryOf(q, want)
	if err != nil {
		return 0, c.s.fail("update", "", err)
	}
	return c.update(ctx, typed, &updater{c: c, want: want, fn: func(ptr any) error { return fn(ptr.(*T)) }})
}

func (c *conn) update(ctx context.Context, q *Query, u *updater) (n int64, err error) {
	if err := c.s.mayWrite("update", ""); err != nil {
		return 0, err
	}
	err = c.inChunks(ctx, q, func(dq *driver.Query, ids []ID) (int64, error) { return u.chunk(ctx, dq, ids) }, &n)
	return n, c.s.fail("update", "", join(err, u.unreadable))
}

// An updater is the state of one Update.
type updater struct {
	c          *conn
	want       reflect.Type        // of the objects; nil: any registered one
	fn         func(ptr any) error // is given a pointer to the value
	unreadable []error
}

// chunk updates objects in one step or, if that fails because of one of them, one at a time.
func (u *updater) chunk(ctx context.Context, dq *driver.Query, ids []ID) (int64, error) {
	n, err := u.step(ctx, dq, ids)
	if err == nil || len(ids) == 1 && !errors.Is(err, ErrConflict) || !worthOneByOne(err) {
		return n, u.note(err)
	}
	var done int64
	for i := range ids {
		for attempt := 1; ; attempt++ {
			n, err := u.step(ctx, dq, ids[i:i+1])
			if errors.Is(err, ErrConflict) && attempt < maxAttempts {
				continue
			}
			done += n
			if err := u.note(err); err != nil {
				return done, err
			}
			break
		}
	}
	return done, nil
}

// worthOneByOne reports whether err concerns one of several objects, so that the others may
// succeed one at a time.
func worthOneByOne(err error) bool {
	var stop *stopError
	return !errors.As(err, &stop) && (errors.Is(err, ErrConflict) || concernsOneRecord(err))
}

// note collects an error that concerns one unreadable record, and returns any other error.
func (u *updater) note(err error) error {
	var stop *stopError
	if errors.As(err, &stop) {
		return stop.err
	}
	if err != nil && concernsOneRecord(err) && !errors.Is(err, errWriting) {
		u.unreadable = append(u.unreadable, err)
		return nil
	}
	return err
}

// A stopError is an error returned by fn.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }

// errWriting marks errors of saving. ErrDangling concerns a single record only when reading.
var errWriting = errors.New("saving what the function made of the objects")

// step loads the records with the IDs that dq selects, calls fn and saves, in one atomic step.
func (u *updater) step(ctx context.Context, dq *driver.Query, ids []ID) (int64, error) {
	ld, roots, err := u.c.loadMatching(ctx, dq, ids, u.want)
	if err != nil {
		return 0, err
	}
	how := saving{op: "update"}
	objs := make([]any, 0, len(roots))
	var stop error
	for _, n := range roots {
		if err := u.fn(n.ptr); err != nil {
			stop = &stopError{fmt.Errorf("%s: %w", n.rec.ID, err)}
			break
		}
		obj := natural(n.ptr)
		var was entry
		if _, ok := obj.(Object); !ok {
			was = ld.entry(n)
		}
		objs, how.known = append(objs, obj), append(how.known, was)
		how.kept = append(how.kept, ld.outcomes[n].Kept)
	}
	if _, err := u.c.save(ctx, how, objs...); err != nil {
		return 0, fmt.Errorf("%w: %w", errWriting, err)
	}
	return int64(len(objs)), stop
}

// loadMatching loads the records with the IDs that dq selects, from one consistent state. It keeps
// what plain values have no place for.
func (c *conn) loadMatching(ctx context.Context, dq *driver.Query, ids []ID, want reflect.Type) (*loader, []*node, error) {
	ld := &loader{c: c, want: want, keep: true}
	var roots []driver.Record
	err := c.view(ctx, func(r driver.Reader) error {
		var err error
		if roots, err = c.matching(ctx, r, dq, ids, loadParts); err != nil {
			return err
		}
		return ld.follow(ctx, r, roots)
	})
	if err == nil {
		err = ld.build()
	}
	if err != nil {
		return nil, nil, err
	}
	nodes := make([]*node, len(roots))
	for i := range roots {
		nodes[i] = ld.nodes[roots[i].ID]
	}
	return ld, nodes, nil
}

// matching returns the records with the IDs that dq selects, in the order of ids.
func (c *conn) matching(ctx context.Context, r driver.Reader, dq *driver.Query, ids []ID, parts driver.Parts) ([]driver.Record, error) {
	for _, c := range dq.Where {
		for column := range c.Columns() {
			parts |= driver.PartOf(column)
		}
	}
	recs, err := r.Get(ctx, ids, parts)
	if err != nil {
		return nil, err
	}
	recs = slices.DeleteFunc(recs, func(rec driver.Record) bool { return !c.s.values.Match(dq, &rec) })
	place := make(map[ID]int, len(ids))
	for i, id := range ids {
		place[id] = i
	}
	slices.SortFunc(recs, func(a, b driver.Record) int { return place[a.ID] - place[b.ID] })
	return recs, nil
}

// inChunks calls fn with the IDs that q selects, updateChunk at a time, and adds the results to
// n. Records that cannot even be listed are reported together at the end.
func (c *conn) inChunks(ctx context.Context, q *Query, fn func(*driver.Query, []ID) (int64, error), n *int64) error {
	dq, err := c.s.compile(q)
	if err != nil {
		return err
	}
	size := updateChunk
	// fn may change the position of a record in the order: list all IDs first.
	if q != nil && len(q.Order) > 0 {
		size = math.MaxInt
	}
	var ids []ID
	flush := func() error {
		for chunk := range slices.Chunk(ids, updateChunk) {
			done, err := fn(dq, chunk)
			if *n += done; err != nil {
				return err
			}
		}
		ids = ids[:0]
		return nil
	}
	var unlisted []error
	for id, err := range c.List(ctx, q) {
		switch {
		case err == nil:
			ids = append(ids, id)
		case concernsOneRecord(err):
			unlisted = append(unlisted, err)
		default:
			return join(err, unlisted)
		}
		if len(ids) >= size {
			if err := flush(); err != nil {
				return join(err, unlisted)
			}
		}
	}
	return join(flush(), unlisted)
}

// join joins err, which may be nil, with errors of single records.
func join(err error, others []error) error {
	return joined(append([]error{err}, others...)...)
}
