package fs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
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
	// catalog is that of the extra columns; nil: none was ever declared. In a file of version 1,
	// which had names and kinds alone, nothing is known of the records.
	catalog *driver.Catalog
	// dropping are columns that have been dropped and that records may still have: see dropColumn.
	dropping []string
}

func newMeta(integers bool) *meta {
	return &meta{identity: rand.Text(), integers: integers}
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
	if err := m.catalog.Check(s.Fields); err != nil {
		return fmt.Errorf("directory %s: %w", path, err)
	}
	return nil
}

// lacks returns the extra fields of a schema that the directory does not know.
func (m *meta) lacks(s driver.Schema) []string {
	var names []string
	for _, c := range s.Fields {
		if m == nil || m.catalog.Column(c.Name) == nil {
			names = append(names, c.Name)
		}
	}
	return names
}

// first reports whether version 1 of the file says all that there is to say.
func (m *meta) first() bool {
	if m.catalog == nil {
		return true
	}
	return len(m.dropping) == 0 && len(m.catalog.Indexes) == 0 && len(m.catalog.Sets) == 0 && m.catalog.Unknown &&
		!slices.ContainsFunc(m.catalog.Columns, func(c driver.Column) bool { return c.Types != nil || c.Indexed })
}

// frame encodes the file.
func (m *meta) frame(e *frame.Encoder) ([]byte, error) {
	if m.first() {
		return e.Frame(metaMark, func(e *frame.Encoder) { m.encode(e, 1, "") })
	}
	catalog, err := m.catalog.Encode()
	if err != nil {
		return nil, err
	}
	mark := metaMark2
	if len(m.catalog.Indexes) > 0 {
		mark = metaMark3
	}
	return e.Frame(mark, func(e *frame.Encoder) { m.encode(e, 2, catalog) })
}

func (m *meta) encode(e *frame.Encoder, version int, catalog string) {
	e.MapLen(3 + version)
	e.Text("identity")
	e.Text(m.identity)
	e.Text("integer_ids")
	e.Bool(m.integers)
	e.Text("next")
	e.Int(m.next)
	if version == 1 {
		e.Text("fields")
		m.encodeKinds(e)
		return
	}
	e.Text("columns")
	e.Text(catalog)
	e.Text("dropping")
	e.ArrayLen(len(m.dropping))
	for _, name := range m.dropping {
		e.Text(name)
	}
}

func (m *meta) encodeKinds(e *frame.Encoder) {
	if m.catalog == nil {
		e.MapLen(0)
		return
	}
	columns := slices.SortedFunc(slices.Values(m.catalog.Columns), func(a, b driver.Column) int { return cmp.Compare(a.Name, b.Name) })
	e.MapLen(len(columns))
	for _, c := range columns {
		e.Text(c.Name)
		e.Text(c.Kind.String())
	}
}

func decodeMeta(b []byte) (*meta, error) {
	mark := metaMark
	for _, later := range []string{metaMark2, metaMark3} {
		if bytes.HasPrefix(b, []byte(later)) {
			mark = later
		}
	}
	m := &meta{}
	err := frame.ReadMap(mark, b, func(d *frame.Decoder, key string) (err error) {
		switch key {
		case "identity":
			m.identity, err = d.Text()
		case "integer_ids":
			m.integers, err = d.Bool()
		case "next":
			m.next, err = d.Int()
		case "fields":
			m.catalog, err = decodeKinds(d)
		case "columns":
			var text string
			if text, err = d.Text(); err == nil {
				m.catalog, err = driver.DecodeCatalog(text)
			}
		case "dropping":
			m.dropping, err = decodeNames(d)
		default:
			err = errors.New("unknown entry")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if m.identity == "" {
		return nil, errors.New("no identity")
	}
	return m, nil
}

// decodeKinds reads the names and kinds of a file of version 1; nil: there are none.
func decodeKinds(d *frame.Decoder) (*driver.Catalog, error) {
	n, err := d.MapLen()
	if err != nil || n == 0 {
		return nil, err
	}
	c := &driver.Catalog{Unknown: true}
	for range n {
		name, err := d.Text()
		if err != nil {
			return nil, err
		}
		word, err := d.Text()
		if err != nil {
			return nil, err
		}
		kind, err := driver.ParseKind(word)
		if err != nil {
			return nil, err
		}
		c.Columns = append(c.Columns, driver.Column{Name: name, Kind: kind})
	}
	return c, nil
}

func decodeNames(d *frame.Decoder) ([]string, error) {
	n, err := d.ArrayLen()
	if err != nil {
		return nil, err
	}
	var names []string
	for range n {
		name, err := d.Text()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
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
	if v := newerMeta(b); v != 0 {
		return nil, fmt.Errorf("%w: %s in %s has format %c, made by a newer version: this one knows up to 3",
			errors.ErrUnsupported, metaName, f.path, v)
	}
	m, err := decodeMeta(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s in %s: %w", driver.ErrCorrupt, metaName, f.path, err)
	}
	return m, nil
}

// newerMeta returns the version in the mark of an intact file that this package does not know, or
// 0.
func newerMeta(b []byte) byte {
	if len(b) < frame.MarkLen || string(b[:frame.MarkLen-1]) != metaMark[:len(metaMark)-1] {
		return 0
	}
	v := b[frame.MarkLen-1]
	if v <= metaMark3[len(metaMark3)-1] || v > '9' {
		return 0
	}
	if _, err := frame.Open(string(b[:frame.MarkLen]), b); err != nil {
		return 0
	}
	return v
}

// writeMeta replaces the meta file, durably.
func (l *lock) writeMeta(f *folder, m *meta) error { return readOnly(l.replaceMeta(f, m)) }

func (l *lock) replaceMeta(f *folder, m *meta) error {
	e := frame.NewEncoder()
	defer e.Free()
	b, err := m.frame(e)
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
		if errors.Is(err, errAbsent) || unreadable(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("directory %s keeps a record with the ID %q, the store wants integer IDs", f.path, cmp.Or(string(id), name))
	})
}

// integers reports whether all records of a directory without meta file have integer IDs; none if
// there is no record.
func (f *folder) integers(ctx context.Context, none bool) (bool, error) {
	found, texts := false, false
	err := f.eachName(ctx, func(name string) error {
		id, hashed, ok := idOf(name)
		if !ok {
			return nil
		}
		text := hashed || !storable(id, true)
		if found && !text {
			return nil
		}
		_, err := f.readHeader(name, false)
		if err == nil {
			found, texts = true, texts || text
		} else if !errors.Is(err, errAbsent) && !unreadable(err) {
			return err
		}
		return nil
	})
	return found && !texts || !found && none, err
}

// anyRecord reports whether the folder has a record.
func (f *folder) anyRecord(ctx context.Context) (bool, error) {
	errFound := errors.New("found")
	err := f.eachName(ctx, func(name string) error {
		if isRecordName(name) {
			if _, err := f.readHeader(name, false); !errors.Is(err, errAbsent) {
				return errFound
			}
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
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
