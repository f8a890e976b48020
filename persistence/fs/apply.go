package fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// A change is what a mutation comes down to once it is found to be sound.
type change struct {
	file   // the record's
	remove bool
	fresh  bool // there is no such file yet
	raw    bool // data are the whole file; the header is that of a sound record, or zero
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
	s, err := b.writable(ctx)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := &batch{schemas: s, ms: ms}
	if slices.ContainsFunc(ms, func(m driver.Mutation) bool { return moves(&m) }) {
		if err := b.applyAlone(ctx, t); err != nil {
			return nil, err
		}
		return t.revs, nil
	}
	if err := b.group.Do(ctx, t.bytes(), t); err != nil {
		return nil, err
	}
	return t.revs, nil
}

// A plan turns mutations into changes. It writes nothing.
type plan struct {
	*lock
	schemas schemas
	before  *overlay // what those before it in the same commit have changed; nil: nothing
	ms      []driver.Mutation
	changes []change
	revs    []int64
	batch   map[driver.ID]driver.Op // what the batch does to each object; made when asked for
	refs    map[driver.ID]bool      // which objects outside of the batch exist
	folded  map[string]driver.ID    // full file names of the batch in lower case, where case is folded
}

func (p *plan) check(ctx context.Context) error {
	for i := range p.ms {
		if err := ctx.Err(); err != nil {
			return err
		}
		m := &p.ms[i]
		if err := p.mutation(i, m); err != nil {
			return err
		}
		for _, ref := range m.NewRefs {
			ok, err := p.exists(ref)
			if err != nil {
				return recordError(m.Rec.ID, err)
			}
			if !ok {
				return &driver.RecordError{ID: m.Rec.ID, Ref: ref, Err: driver.ErrDangling}
			}
		}
	}
	return nil
}

// recordError names the record concerned, unless it is the file system that has an error.
func recordError(id driver.ID, err error) error {
	if _, raw := errors.AsType[*fs.PathError](err); raw || err == nil {
		return err
	}
	return &driver.RecordError{ID: id, Err: err}
}

// mutation checks one mutation and plans its change.
func (p *plan) mutation(i int, m *driver.Mutation) error {
	s, err := p.schemas.of(m.Namespace)
	if err != nil {
		return err
	}
	dir, err := p.in(m.Namespace)
	if err != nil {
		return err
	}
	if moves(m) {
		return p.stored(m, s, dir)
	}
	id := m.Rec.ID
	if !storable(id, s.IntegerIDs) {
		if m.Op == driver.Create || m.Op == driver.Put || m.Op == driver.Import {
			return recordError(id, errors.New("an ID that the directory cannot keep"))
		}
		return m.Check(nil)
	}
	f := file{dir, fileName(id)}
	old, found, err := p.current(id, f)
	if err != nil && !found && !errors.Is(err, errAbsent) {
		return recordError(id, err)
	}
	var rec *driver.Record
	if found {
		r := old.record()
		rec = &r
		// A damaged record is in the way of Create, and Delete by the ID alone removes it.
		if err != nil && m.Op != driver.Create && (m.Op != driver.Delete || m.IfRev != 0 || m.Token != 0) {
			return recordError(id, err)
		}
	}
	if err := m.Check(rec); err != nil {
		return err
	}
	return recordError(id, p.change(i, m, s, f, &old, found, err))
}

// change plans the change of a mutation that has been checked. If nothing was found, absent says
// why.
func (p *plan) change(i int, m *driver.Mutation, s *schema, f file, old *header, found bool, absent error) error {
	switch m.Op {
	case driver.Delete:
		p.changes = append(p.changes, change{file: f, remove: true})
		return nil
	case driver.Check:
		if !m.Release {
			return nil
		}
		return p.rewrite(i, f, func(h *header) { h.claim = driver.Claim{} })
	case driver.SetFields:
		return p.rewrite(i, f, func(h *header) {
			h.fields = s.merge(m.Rec.Fields, h.fields)
			if m.ColumnSet != 0 {
				h.columns = m.ColumnSet
			}
		})
	}
	if !found {
		if err := p.mayCreate(m.Rec.ID, f, absent); err != nil {
			return err
		}
		rev := max(m.Rec.Revision, 1)
		p.write(i, m, s, change{file: f, fresh: true, header: header{revision: rev, created: m.Rec.Created}})
		return nil
	}
	h := header{revision: old.revision + 1, created: old.created, claim: old.claim, fields: old.fields}
	if m.Op == driver.Import {
		h.revision, h.created = max(m.Rec.Revision, 1), m.Rec.Created
	}
	if m.Release {
		h.claim = driver.Claim{}
	}
	p.write(i, m, s, change{file: f, header: h})
	return nil
}

// rewrite writes a record anew with another header: its data must be sound for that. The revision
// stays.
func (p *plan) rewrite(i int, f file, edit func(*header)) error {
	var h header
	var data []byte
	if c := p.before.get(f); c != nil {
		h, data = c.header, c.data
	} else {
		var err error
		if h, data, err = f.readRecord(f.name); err != nil {
			return err
		}
	}
	edit(&h)
	p.changes = append(p.changes, change{file: f, header: h, data: data})
	p.revs[i] = h.revision
	return nil
}

// current returns the header of the record with the ID, and whether there is one, damaged or not.
// Where the file has another one, whose name differs in letter case only, there is none, and the
// error is errClash.
func (p *plan) current(id driver.ID, f file) (h header, found bool, err error) {
	if c := p.before.get(f); c != nil {
		if c.remove {
			return header{}, false, errAbsent
		}
		h, err = c.header, sameID(id, c.header.id)
	} else {
		h, err = f.readCurrent(id)
	}
	return h, err == nil || unreadable(err), err
}

func (f file) readCurrent(id driver.ID) (header, error) {
	info, err := f.root.Lstat(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return header{}, errAbsent
	case err != nil:
		return header{}, err
	case !info.Mode().IsRegular():
		return header{}, errForeign
	}
	h, err := f.readHeader(f.name, true)
	if err != nil {
		return header{}, err
	}
	return h, sameID(id, h.id)
}

// mayCreate returns an error where the file of a new record is in use for something else.
func (p *plan) mayCreate(id driver.ID, f file, absent error) error {
	switch {
	case errors.Is(absent, errClash):
		return fmt.Errorf("%w: on this file system its file is that of a record whose ID differs in letter case only", errors.ErrUnsupported)
	case errors.Is(absent, errForeign):
		return fmt.Errorf("%w: %q in %s is no record, and in its place", driver.ErrExists, f.name, f.path)
	case !p.b.folds:
		return nil
	}
	fold := strings.ToLower(f.fullName())
	if p.folded == nil {
		p.folded = map[string]driver.ID{}
	}
	if other, ok := p.folded[fold]; ok {
		return fmt.Errorf("%w: on this file system its file is that of %q", errors.ErrUnsupported, other)
	}
	p.folded[fold] = id
	return nil
}

// write completes a change with what the mutation wants to be written.
func (p *plan) write(i int, m *driver.Mutation, s *schema, c change) {
	h := &c.header
	h.id, h.typ, h.state = m.Rec.ID, m.Rec.Type, m.Rec.State
	h.size, h.modified = int64(len(m.Rec.Data)), m.Rec.Modified
	h.fields, h.columns = s.merge(m.Rec.Fields, h.fields), s.set
	if m.Op == driver.Import {
		h.columns = m.Rec.ColumnSet
	}
	c.data = m.Rec.Data
	p.changes = append(p.changes, c)
	p.revs[i] = h.revision
}

// exists reports whether there is an object with the ID after the batch.
func (p *plan) exists(id driver.ID) (bool, error) {
	if p.batch == nil {
		p.batch = make(map[driver.ID]driver.Op, len(p.ms))
		for i := range p.ms {
			if m := &p.ms[i]; m.Namespace.Storage() == driver.Objects {
				p.batch[m.Rec.ID] = m.Op
			}
		}
		p.refs = map[driver.ID]bool{}
	}
	switch p.batch[id] {
	case driver.Create, driver.Update, driver.Put, driver.Check, driver.SetFields, driver.Restore, driver.Import:
		return true, nil // or that mutation fails
	case driver.Delete, driver.Withdraw:
		return false, nil
	}
	if ok, seen := p.refs[id]; seen {
		return ok, nil
	}
	ok := false
	if storable(id, p.schemas[driver.Objects].IntegerIDs) {
		_, found, err := p.current(id, file{p.folder, fileName(id)})
		if err != nil && !found && !errors.Is(err, errAbsent) {
			return false, err
		}
		ok = found
	}
	p.refs[id] = ok
	return ok, nil
}
