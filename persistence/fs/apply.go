package fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// A change is what a mutation comes down to once it is found to be sound.
type change struct {
	name   string // of the record's file
	remove bool
	fresh  bool // there is no such file yet
	header header
	data   []byte
}

// Apply checks all mutations, then makes them in one commit: see the package
// documentation for what is flushed when.
func (b *Backend) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	defer b.calls.Done()
	s, err := b.ready()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return b.together(&member{ctx: ctx, schema: s, ms: ms})
}

// byItself makes the mutations in a commit of their own.
func (b *Backend) byItself(m *member) ([]int64, error) {
	l, err := b.exclusive(m.ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	p := plan{held: l, schema: m.schema, ms: m.ms, revs: make([]int64, len(m.ms))}
	if err := p.check(m.ctx); err != nil {
		return nil, err
	}
	if err := l.commit(m.ctx, p.changes); err != nil {
		return nil, readOnly(err)
	}
	l.applied(p.changes)
	return p.revs, nil
}

// A plan turns mutations into changes. It writes nothing.
type plan struct {
	*held
	schema  *schema
	before  *overlay // what those before it in the same commit have changed; nil: nothing
	ms      []driver.Mutation
	changes []change
	revs    []int64
	batch   map[driver.ID]driver.Op // what the batch does to each record; made when asked for
	refs    map[driver.ID]bool      // which records outside of the batch exist
	folded  map[string]driver.ID    // file names of the batch in lower case, where case is folded
}

func (p *plan) check(ctx context.Context) error {
	for i := range p.ms {
		if err := ctx.Err(); err != nil {
			return err
		}
		m := &p.ms[i]
		if err := p.mutation(i, m); err != nil {
			return p.wrap(m.Rec.ID, "", err)
		}
		for _, ref := range m.NewRefs {
			ok, err := p.exists(ref)
			if err != nil {
				return p.wrap(m.Rec.ID, "", err)
			}
			if !ok {
				return p.wrap(m.Rec.ID, ref, driver.ErrDangling)
			}
		}
	}
	return nil
}

// wrap names the record concerned, unless it is the file system that has an error.
func (*plan) wrap(id, ref driver.ID, err error) error {
	if _, raw := errors.AsType[*fs.PathError](err); raw {
		return err
	}
	return &driver.RecordError{ID: id, Ref: ref, Err: err}
}

func (p *plan) mutation(i int, m *driver.Mutation) error {
	id := m.Rec.ID
	if !storable(id, p.schema.IntegerIDs) {
		switch m.Op {
		case driver.Create, driver.Put:
			return errors.New("an ID that the directory cannot keep")
		case driver.Check, driver.SetFields:
			return driver.ErrConflict
		}
		return absence(m)
	}
	name := fileName(id)
	old, err := p.current(id, name)
	absent := errors.Is(err, errAbsent)
	switch m.Op {
	case driver.Create:
		switch {
		case err == nil, errors.Is(err, driver.ErrCorrupt):
			return driver.ErrExists
		case !absent:
			return err
		}
		return p.create(i, m, name, err)
	case driver.Put:
		if absent {
			return p.create(i, m, name, err)
		}
		if err != nil {
			return err
		}
		p.update(i, m, name, old)
		return nil
	case driver.Update:
		if err := p.expect(m, old, err); err != nil {
			return err
		}
		p.update(i, m, name, old)
		return nil
	case driver.Delete:
		// Asked for by its ID alone, a damaged record may go.
		if m.IfRev != 0 || m.Token != 0 || !errors.Is(err, driver.ErrCorrupt) {
			if err := p.expect(m, old, err); err != nil {
				return err
			}
		}
		p.changes = append(p.changes, change{name: name, remove: true})
		return nil
	case driver.Check:
		if absent {
			return driver.ErrConflict
		}
		if err := p.expect(m, old, err); err != nil || !m.Release {
			return err
		}
		return p.rewrite(i, name, func(h *header) { h.claim = driver.Claim{} })
	case driver.SetFields:
		if absent {
			return driver.ErrConflict
		}
		if err := p.expect(m, old, err); err != nil {
			return err
		}
		return p.rewrite(i, name, func(h *header) { h.fields = p.schema.merge(m.Rec.Fields, h.fields) })
	}
	return fmt.Errorf("unknown operation %d", m.Op)
}

// rewrite writes a record anew with another header: its data must be sound for that. The revision stays.
func (p *plan) rewrite(i int, name string, edit func(*header)) error {
	var h header
	var data []byte
	if c := p.before.get(name); c != nil {
		h, data = c.header, c.data
	} else {
		var err error
		if h, data, err = p.readRecord(name); err != nil {
			return err
		}
	}
	edit(&h)
	p.changes = append(p.changes, change{name: name, header: h, data: data})
	p.revs[i] = h.revision
	return nil
}

// absence is the error of a mutation whose record is not there.
func absence(m *driver.Mutation) error {
	if m.IfRev != 0 || m.Token != 0 {
		return driver.ErrConflict
	}
	return driver.ErrNotFound
}

// expect checks the record that a mutation wants to be there.
func (*plan) expect(m *driver.Mutation, old header, err error) error {
	switch {
	case errors.Is(err, errAbsent):
		return absence(m)
	case err != nil:
		return err
	case m.IfRev != 0 && m.IfRev != old.revision,
		m.Token != 0 && (old.claim.Owner == "" || m.Token != old.claim.Token):
		return driver.ErrConflict
	}
	return nil
}

// current returns the header of the record with the ID. Where the file holds
// another one, whose name differs in letter case only, it is an errClash.
func (p *plan) current(id driver.ID, name string) (header, error) {
	if c := p.before.get(name); c != nil {
		if c.remove {
			return header{}, errAbsent
		}
		return c.header, sameID(id, c.header.id)
	}
	info, err := p.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return header{}, errAbsent
	case err != nil:
		return header{}, err
	case !info.Mode().IsRegular():
		return header{}, errForeign
	}
	h, err := p.readHeader(name, true)
	if err != nil {
		return header{}, err
	}
	return h, sameID(id, h.id)
}

func (p *plan) create(i int, m *driver.Mutation, name string, found error) error {
	switch {
	case errors.Is(found, errClash):
		return fmt.Errorf("%w: on this file system its file is that of a record whose ID differs in letter case only", errors.ErrUnsupported)
	case errors.Is(found, errForeign):
		return fmt.Errorf("%w: %q in %s is no record, and in its place", driver.ErrExists, name, p.b.path)
	}
	if p.b.folds {
		fold := strings.ToLower(name)
		if p.folded == nil {
			p.folded = map[string]driver.ID{}
		}
		if other, ok := p.folded[fold]; ok {
			return fmt.Errorf("%w: on this file system its file is that of %q", errors.ErrUnsupported, other)
		}
		p.folded[fold] = m.Rec.ID
	}
	rev := max(m.Rec.Revision, 1)
	p.write(i, m, name, header{revision: rev, created: m.Rec.Created}, nil)
	p.changes[len(p.changes)-1].fresh = true
	return nil
}

func (p *plan) update(i int, m *driver.Mutation, name string, old header) {
	h := header{revision: old.revision + 1, created: old.created, claim: old.claim}
	if m.Release {
		h.claim = driver.Claim{}
	}
	p.write(i, m, name, h, old.fields)
}

func (p *plan) write(i int, m *driver.Mutation, name string, h header, old []field) {
	h.id, h.typ, h.state = m.Rec.ID, m.Rec.Type, m.Rec.State
	h.size, h.modified = int64(len(m.Rec.Data)), m.Rec.Modified
	h.fields = p.schema.merge(m.Rec.Fields, old)
	p.changes = append(p.changes, change{name: name, header: h, data: m.Rec.Data})
	p.revs[i] = h.revision
}

// exists reports whether there is a record with the ID after the batch.
func (p *plan) exists(id driver.ID) (bool, error) {
	if p.batch == nil {
		p.batch = make(map[driver.ID]driver.Op, len(p.ms))
		for _, m := range p.ms {
			p.batch[m.Rec.ID] = m.Op
		}
		p.refs = map[driver.ID]bool{}
	}
	switch p.batch[id] {
	case driver.Create, driver.Update, driver.Put, driver.Check, driver.SetFields:
		return true, nil // or that mutation fails
	case driver.Delete:
		return false, nil
	}
	if ok, seen := p.refs[id]; seen {
		return ok, nil
	}
	ok := false
	if storable(id, p.schema.IntegerIDs) {
		_, err := p.current(id, fileName(id))
		switch {
		case err == nil, errors.Is(err, driver.ErrCorrupt):
			ok = true
		case !errors.Is(err, errAbsent):
			return false, err
		}
	}
	p.refs[id] = ok
	return ok, nil
}
