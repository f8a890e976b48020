package fs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

const (
	metaName = ".brine.meta"
	metaTemp = ".brine.meta.tmp"
)

// A meta is what a directory knows of itself.
type meta struct {
	identity string
	integers bool
	next     int64 // the next number to give out; 0 while none was
	fields   map[string]driver.Kind
}

func newMeta(integers bool) *meta {
	return &meta{identity: rand.Text(), integers: integers, fields: map[string]driver.Kind{}}
}

// fits returns an error if a schema contradicts what is in the directory. A nil meta contradicts
// nothing.
func (m *meta) fits(s driver.Schema, path string) error {
	if m == nil {
		return nil
	}
	if m.integers != s.IntegerIDs {
		kind := map[bool]string{true: "integer", false: "text"}
		return fmt.Errorf("directory %s keeps records with %s IDs, the store wants %s IDs", path, kind[m.integers], kind[s.IntegerIDs])
	}
	for _, c := range s.Fields {
		if k, ok := m.fields[c.Name]; ok && k != c.Kind {
			return fmt.Errorf("extra field %q in directory %s is of kind %v, the store wants %v", c.Name, path, k, c.Kind)
		}
	}
	return nil
}

// lacks returns the extra fields of a schema that the directory does not know.
func (m *meta) lacks(s driver.Schema) []string {
	var names []string
	for _, c := range s.Fields {
		if m == nil || m.fields[c.Name] == 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

func (m *meta) add(fields []driver.Column) {
	for _, c := range fields {
		m.fields[c.Name] = c.Kind
	}
}

func (m *meta) encode(e *frame.Encoder) {
	e.MapLen(4)
	e.Text("identity")
	e.Text(m.identity)
	e.Text("integer_ids")
	e.Bool(m.integers)
	e.Text("next")
	e.Int(m.next)
	e.Text("fields")
	e.MapLen(len(m.fields))
	for _, name := range slices.Sorted(maps.Keys(m.fields)) {
		e.Text(name)
		e.Text(m.fields[name].String())
	}
}

func decodeMeta(b []byte) (*meta, error) {
	body, err := frame.Open(metaMark, b)
	if err != nil {
		return nil, err
	}
	d := frame.NewDecoder(body)
	defer d.Free()
	n, err := d.MapLen()
	if err != nil {
		return nil, err
	}
	m := &meta{fields: map[string]driver.Kind{}}
	for range n {
		key, err := d.Text()
		if err != nil {
			return nil, err
		}
		switch key {
		case "identity":
			m.identity, err = d.Text()
		case "integer_ids":
			m.integers, err = d.Bool()
		case "next":
			m.next, err = d.Int()
		case "fields":
			err = decodeKinds(d, m.fields)
		default:
			err = errors.New("unknown entry")
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
	}
	if m.identity == "" {
		return nil, errors.New("no identity")
	}
	return m, nil
}

func decodeKinds(d *frame.Decoder, kinds map[string]driver.Kind) error {
	n, err := d.MapLen()
	if err != nil {
		return err
	}
	for range n {
		name, err := d.Text()
		if err != nil {
			return err
		}
		word, err := d.Text()
		if err != nil {
			return err
		}
		for k := driver.Text; k <= driver.Time; k++ {
			if k.String() == word {
				kinds[name] = k
			}
		}
		if kinds[name] == 0 {
			return fmt.Errorf("unknown kind %q", word)
		}
	}
	return nil
}

// readMeta returns nil where there is none.
func (f *folder) readMeta() (*meta, error) {
	b, err := f.readOwn(metaName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := decodeMeta(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s in %s: %w", driver.ErrCorrupt, metaName, f.path, err)
	}
	return m, nil
}

// writeMeta replaces the meta file, durably.
func (l *lock) writeMeta(f *folder, m *meta) error { return readOnly(l.replaceMeta(f, m)) }

func (l *lock) replaceMeta(f *folder, m *meta) error {
	e := frame.NewEncoder()
	defer e.Free()
	b, err := e.Frame(metaMark, m.encode)
	if err != nil {
		return err
	}
	if err := l.writeTemp(file{f, metaTemp}, true, b); err != nil {
		return err
	}
	if err := l.b.step("meta written"); err != nil {
		return errors.Join(err, f.root.Remove(metaTemp))
	}
	err = l.announce() // else the change of the directory would look as if made by hand
	if err == nil {
		err = f.root.Rename(metaTemp, metaName)
	}
	if err != nil {
		return errors.Join(err, f.root.Remove(metaTemp))
	}
	return flushDir(f.file)
}

// NextIDs takes n numbers from the counter in the meta file, flushed before it
// returns. The first call in the life of a directory looks for the highest
// number in the IDs. A directory without meta file (NoCreate) is searched at every call.
func (b *Backend) NextIDs(ctx context.Context, n int) (int64, error) {
	if n < 1 {
		return 0, fmt.Errorf("%d numbers asked for", n)
	}
	if err := b.begin(); err != nil {
		return 0, err
	}
	defer b.calls.Done()
	s, err := b.ready()
	if err != nil {
		return 0, err
	}
	l, err := b.exclusive(ctx)
	if err != nil {
		return 0, err
	}
	defer l.release()
	m, err := l.readMeta()
	if err != nil {
		return 0, err
	}
	var first int64
	if m == nil || m.next == 0 {
		highest, err := l.highest(ctx, s[driver.Objects].IntegerIDs)
		if err != nil {
			return 0, err
		}
		first = highest + 1 // 0 after the greatest number there is
	} else {
		first = m.next
	}
	if first > 0 {
		first = max(first, b.given+1)
	}
	if first < 1 || first > math.MaxInt64-int64(n) {
		return 0, fmt.Errorf("directory %s has no %d numbers left", b.path, n)
	}
	if m != nil {
		m.next = first + int64(n)
		if err := l.writeMeta(l.folder, m); err != nil {
			return 0, err
		}
	}
	b.given = first + int64(n) - 1
	return first, nil
}

// highest returns the highest number in the IDs of the directory, 0 if there is none.
func (f *folder) highest(ctx context.Context, integers bool) (int64, error) {
	var highest int64
	err := f.eachName(ctx, func(name string) error {
		id, err := f.idOfFile(name)
		if errors.Is(err, driver.ErrCorrupt) {
			return nil // its number cannot be known; should it be given again, its name is taken
		}
		if err != nil {
			return err
		}
		if n, ok := id.Seq(); ok && storable(id, integers) {
			highest = max(highest, n)
		}
		return nil
	})
	return highest, err
}

// checkIDs returns an error if integer IDs are wanted and the directory, which has lost its meta
// file or been filled by hand, has records with others.
func (f *folder) checkIDs(ctx context.Context, integers bool) error {
	if !integers {
		return nil
	}
	return f.eachName(ctx, func(name string) error {
		id, hashed, ok := idOf(name)
		if !ok || !hashed && storable(id, true) {
			return nil
		}
		_, err := f.readHeader(name, false)
		if errors.Is(err, errAbsent) || errors.Is(err, driver.ErrCorrupt) {
			return nil
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("directory %s keeps a record with the ID %q, the store wants integer IDs", f.path, cmp.Or(string(id), name))
	})
}

// idOfFile returns the ID that a file is named after, "" if it is after none. It
// reads the file if its name is hashed, and then returns ErrCorrupt if that is damaged.
func (f *folder) idOfFile(name string) (driver.ID, error) {
	id, hashed, ok := idOf(name)
	if !ok {
		return "", nil
	}
	if !hashed {
		return id, nil
	}
	h, err := f.readHeader(name, false)
	switch {
	case errors.Is(err, errAbsent):
		return "", nil
	case err == nil && fileName(h.id) != name:
		return "", damaged(fmt.Errorf("the file of %q under another name", h.id))
	}
	return h.id, err
}
