package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

var _ driver.Salvager = (*Backend)(nil)

// Stored implements [driver.Salvager]. The stored form of a record is its file. A stray that is no
// regular file is errors.ErrUnsupported.
func (b *Backend) Stored(ctx context.Context, ns driver.Namespace, ids []driver.ID, strays []string) ([]driver.Stored, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	defer b.calls.Done()
	all, err := b.ready()
	if err != nil {
		return nil, err
	}
	if _, err := all.of(ns); err != nil {
		return nil, err
	}
	l, err := b.shared(ctx)
	if err != nil {
		return nil, err
	}
	defer l.release()
	in, err := l.in(ns)
	if err != nil {
		return nil, err
	}
	var found []driver.Stored
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f := in.fileOf(id)
		if seen[f.name] {
			continue
		}
		seen[f.name] = true
		data, err := f.content()
		if errors.Is(err, errAbsent) || err == nil && !looksLikeRecord(data) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, driver.Stored{ID: id, Data: data})
	}
	for _, key := range strays {
		data, err := l.stray(all, key)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, driver.Stored{Key: key, Data: data})
	}
	return found, nil
}

// fileOf returns the file of a record. Where the name is hashed and the file too damaged to tell
// its ID, Scan gives the name for the ID.
func (f *folder) fileOf(id driver.ID) file {
	if _, hashed, _ := idOf(string(id)); hashed {
		return file{f, string(id)}
	}
	return file{f, fileName(id)}
}

// content returns what is in a regular file; errAbsent: there is none.
func (f file) content() ([]byte, error) {
	var ok bool
	if f.name, ok = f.actual(f.name); !ok {
		return nil, errAbsent
	}
	info, err := f.lstat()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	return f.root.ReadFile(f.name)
}

// stray returns the content of the stray with a key; errAbsent: there is no such stray.
func (l *lock) stray(all schemas, key string) ([]byte, error) {
	f, s, err := l.strayFile(all, key)
	if err != nil {
		return nil, err
	}
	info, err := f.lstat()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	buf := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(buf)
	what, err := f.stray(s, buf[:headSize])
	if err == nil && what == "" {
		err = errAbsent
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %q in %s is %s: move it by hand", errors.ErrUnsupported, key, l.path, what)
	}
	return f.content()
}

// strayFile returns the file that a stray has by its key; errAbsent: no stray can have the key.
func (l *lock) strayFile(all schemas, key string) (file, *schema, error) {
	ns := driver.Objects
	if in, _, ok := strings.Cut(key, "/"); ok {
		ns = driver.Namespace(strings.TrimPrefix(in, ownPrefix))
	}
	f, err := l.resolve(key)
	if err != nil || all[ns] == nil {
		return file{}, nil, errAbsent
	}
	return f, all[ns], nil
}

// OpenStored implements [driver.Salvager].
func (b *Backend) OpenStored(ns driver.Namespace, s driver.Stored) (driver.Record, error) {
	all, err := b.ready()
	if err != nil {
		return driver.Record{}, err
	}
	one, err := all.of(ns)
	if err != nil {
		return driver.Record{}, err
	}
	h, data, err := parseFile(s.Data)
	rec := h.record()
	if err == nil {
		// A column may have been dropped since, and declared with another kind.
		fields := slices.DeleteFunc(h.fields, func(x field) bool {
			i, known := one.index[x.name]
			return known && driver.KindOf(x.value) != one.Fields[i].Kind
		})
		err = one.setFields(&rec, fields)
	}
	if err == nil {
		err = sameID(s.ID, h.id)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		err = damaged(err)
	}
	if err != nil {
		return driver.Record{}, &driver.RecordError{ID: s.ID, Err: err}
	}
	rec.Data = data
	return rec, nil
}

// parseFile reads the file of a record from memory.
func parseFile(b []byte) (header, []byte, error) {
	n, err := frame.Len(markOf(b), b)
	if err != nil {
		if v := newerThan(bytes.NewReader(b), int64(len(b)), b); v > 0 {
			err = fmt.Errorf("header version %c: %w", v, errors.ErrUnsupported)
		}
		return header{}, nil, err
	}
	if n > int64(len(b)) {
		return header{}, nil, fmt.Errorf("header of %d bytes in a file of %d", n, len(b))
	}
	h, err := decodeHeader(b[:n], true)
	if err != nil {
		return header{}, nil, err
	}
	rest := b[n:]
	if h.size != int64(len(rest)-frame.Uint32Len) {
		return header{}, nil, fmt.Errorf("%d bytes of data instead of %d", len(rest)-frame.Uint32Len, h.size)
	}
	data := rest[:h.size:h.size]
	if last, ok := frame.ReadUint32(rest[h.size:]); !ok || last != frame.Sum(b[:n], data) {
		return header{}, nil, errors.New("checksum of the data does not match")
	}
	return h, data, nil
}

// stored plans the change of a Withdraw or Restore.
func (p *plan) stored(m *driver.Mutation, s *schema, dir *folder) error {
	f, id := dir.fileOf(m.Rec.ID), m.Rec.ID
	if m.Stray != "" {
		var err error
		if f, s, err = p.strayFile(p.schemas, m.Stray); err != nil {
			return fmt.Errorf("stray %q: %w", m.Stray, driver.ErrConflict)
		}
		id = driver.ID(m.Stray)
	}
	if m.Op == driver.Withdraw {
		data, err := f.content()
		if errors.Is(err, errAbsent) || err == nil && !bytes.Equal(data, m.Rec.Data) {
			err = driver.ErrConflict
		}
		if err != nil {
			return recordError(id, err)
		}
		p.changes = append(p.changes, change{file: f, remove: true})
		return nil
	}
	if _, err := f.lstat(); err == nil {
		return recordError(id, driver.ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := p.mayCreate(id, f, nil); err != nil {
		return recordError(id, err)
	}
	c := change{file: f, fresh: true, raw: true, data: m.Rec.Data}
	if h, data, err := parseFile(m.Rec.Data); err == nil && m.Stray == "" && h.id == m.Rec.ID && s != nil {
		c.header = h
		if m.Namespace == driver.Objects {
			if err := p.leaveOut(&c, data); err != nil {
				return err
			}
		}
	}
	p.changes = append(p.changes, c)
	return nil
}

// leaveOut removes from a record that comes back the values of columns that the directory no longer
// has, or has with another kind by now. data are those of the record.
func (p *plan) leaveOut(c *change, data []byte) error {
	m, err := p.readMeta()
	if m == nil || m.catalog == nil || err != nil {
		return err
	}
	var names []string
	fields := slices.DeleteFunc(slices.Clone(c.header.fields), func(x field) bool {
		has := m.catalog.Column(x.name)
		gone := has == nil || has.Kind != driver.KindOf(x.value)
		if gone {
			names = append(names, x.name)
		}
		return gone
	})
	if len(names) == 0 {
		return nil
	}
	c.header.fields, c.raw, c.data = fields, false, data
	p.b.log.Warn("a record was put back without columns that the directory no longer has",
		"directory", p.b.path, "id", string(c.header.id), "columns", strings.Join(names, ", "))
	return nil
}

// moves reports whether a mutation is about stored forms.
func moves(m *driver.Mutation) bool { return m.Op == driver.Withdraw || m.Op == driver.Restore }

// hasSum reports whether a file is there and sum is the CRC-32C of all of it.
func (f file) hasSum(sum uint32) (bool, error) {
	data, err := f.content()
	if errors.Is(err, errAbsent) {
		return false, nil
	}
	return err == nil && frame.Checksum(data) == sum, err
}
