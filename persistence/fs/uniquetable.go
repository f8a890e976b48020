package fs

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/uniqueindex"
)

// The table of the unique indexes, and the one that takes its place. It is read and written under
// the exclusive lock alone, and never flushed: its stamp has the start of the machine in it.
const (
	uniqueName = ".brine.unique"
	uniqueTemp = ".brine.unique.tmp"
)

// boot names the start of the machine or, where that is not known, this process: then each process
// makes the table anew.
var boot = sync.OnceValue(func() string { return cmp.Or(bootID(), rand.Text()) })

// A uniqueTable is the table of the directory as it is now.
type uniqueTable struct {
	*uniqueindex.Table
	file   *os.File // nil: it is in memory
	sealed int64    // how many names the file's head knows
}

func (t *uniqueTable) close() {
	if t.file != nil {
		t.file.Close()
	}
}

// tableStamp returns the stamp of a table that has all values of the directory as it is now; false:
// it cannot be told whether a later one has been there.
func (l *lock) tableStamp(indexes []driver.Index) (s uniqueindex.Stamp, known bool, err error) {
	now, err := l.stamp()
	if err != nil || !now.known {
		return s, false, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %d", boot(), now.generation, now.modified.UnixNano())
	for _, x := range indexes {
		fmt.Fprintf(h, " %q", x.Columns)
	}
	copy(s[:], h.Sum(nil))
	return s, true, nil
}

// openTable opens the table, if it is that of the directory as it is now.
func (l *lock) openTable() error {
	l.table = nil
	if len(l.b.uniques) == 0 || l.b.opts.NoCreate {
		return nil
	}
	want, known, err := l.tableStamp(l.b.uniques)
	if err != nil || !known {
		return err
	}
	f, readOnly, err := l.openOwn(uniqueName, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	var t *uniqueindex.Table
	if err == nil {
		t, err = uniqueindex.Open(f, info.Size())
	}
	if err != nil || t.Stamp() != want || readOnly {
		f.Close()
		if errors.Is(err, uniqueindex.ErrDamaged) {
			err = nil
		}
		return err
	}
	l.table = &uniqueTable{t, f, t.Len()}
	return nil
}

// closeTable notes in the table which state of the directory it is of, and closes it.
func (l *lock) closeTable() {
	t := l.table
	if t == nil {
		return
	}
	defer l.discardTable()
	if t.file == nil {
		return
	}
	now, known, err := l.tableStamp(l.b.uniques)
	if err != nil || !known || now == t.Stamp() && t.sealed == t.Len() {
		return // if nothing is noted, it is made anew
	}
	if l.b.step("seal") != nil {
		return
	}
	if err := t.Seal(now); err != nil && l.b.logged.First("unique table") {
		l.b.log.Warn("the table of unique values could not be written, and is made anew", "directory", l.b.path, "error", err)
	}
}

// discardTable closes the table. What was put in since it was opened is not noted.
func (l *lock) discardTable() {
	if l.table != nil {
		l.table.close()
		l.table = nil
	}
}

// uniqueTable returns the table with room for more names. It is made from the headers of all
// records where there is none of this state.
func (l *lock) uniqueTable(ctx context.Context, more int) (*uniqueTable, error) {
	if l.table == nil {
		if err := l.openTable(); err != nil {
			return nil, err
		}
	}
	if l.table != nil && !l.table.Full(more) {
		return l.table, nil
	}
	if l.table != nil {
		grown, err := l.growTable(ctx, more)
		if grown != nil || err != nil {
			return grown, err
		}
	}
	return l.makeTable(ctx, more, func(put func(uint64, string) error) error {
		return l.eachHeader(ctx, func(name string, h *header) error {
			for _, x := range l.b.uniques {
				if key, ok := h.key(x); ok {
					if err := put(hashOf(x, key), name); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// growTable copies the table into a larger one; nil: most of its names are of values that nobody
// has any more.
func (l *lock) growTable(ctx context.Context, more int) (*uniqueTable, error) {
	files := int64(0)
	if err := l.eachName(ctx, func(string) error { files++; return nil }); err != nil {
		return nil, err
	}
	old := l.table
	if old.Len() > 4*files*int64(len(l.b.uniques)) {
		return nil, nil
	}
	l.table = nil
	defer old.close()
	return l.makeTable(ctx, more, old.All)
}

// makeTable makes the table of what fill puts in.
func (l *lock) makeTable(ctx context.Context, more int, fill func(put func(uint64, string) error) error) (*uniqueTable, error) {
	l.discardTable()
	type entry struct {
		hash uint64
		name string
	}
	var entries []entry
	if err := fill(func(hash uint64, name string) error {
		entries = append(entries, entry{hash, name})
		return ctx.Err()
	}); err != nil {
		return nil, err
	}
	m := new(uniqueindex.Memory)
	made, err := uniqueindex.Create(m, len(entries)+more)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := made.Put(e.hash, e.name); err != nil {
			return nil, err
		}
	}
	l.table = &uniqueTable{Table: made}
	if _, known := l.generation(); known && !l.b.opts.NoCreate {
		if l.table, err = l.storeTable(made, m); err != nil {
			l.table = nil
			return nil, readOnly(err)
		}
	}
	return l.table, nil
}

// storeTable stores a table that was made in memory in its file.
func (l *lock) storeTable(made *uniqueindex.Table, m *uniqueindex.Memory) (_ *uniqueTable, err error) {
	if err := made.Seal(made.Stamp()); err != nil { // the number of names
		return nil, err
	}
	temp := file{l.folder, uniqueTemp}
	if err := l.writeTemp(temp, false, m.Bytes()); err != nil {
		return nil, err
	}
	err = l.announce() // else the change of the directory would look as if made by hand
	if err == nil {
		err = temp.rename(uniqueName)
	}
	if err != nil {
		return nil, errors.Join(err, temp.remove())
	}
	f, _, err := l.openOwn(uniqueName, false)
	if err != nil {
		return nil, err
	}
	t, err := uniqueindex.Open(f, int64(len(m.Bytes())))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &uniqueTable{t, f, t.Len()}, nil
}

// eachHeader calls fn with the headers of all records. Damaged ones are left out: nobody can tell
// what is in them.
func (l *lock) eachHeader(ctx context.Context, fn func(name string, h *header) error) error {
	return l.eachName(ctx, func(name string) error {
		if !isRecordName(name) {
			return nil
		}
		h, err := l.readHeader(name, true)
		switch {
		case errors.Is(err, errAbsent), unreadable(err):
			return nil
		case err != nil:
			return err
		case fileName(h.id) != name:
			return nil
		}
		return fn(name, &h)
	})
}

// key returns the key of a record in a unique index; false: the index does not concern it.
func (h *header) key(x driver.Index) (string, bool) {
	rec := h.record()
	return x.Key(&rec, h.field)
}

// value returns the value of a column of an index.
func (h *header) value(name string) any {
	rec := h.record()
	return driver.IndexValue(&rec, name, h.field)
}

// field returns the value of an extra field.
func (h *header) field(name string) any {
	for i := range h.fields {
		if strings.EqualFold(h.fields[i].name, name) {
			return h.fields[i].value
		}
	}
	return nil
}

// hashOf returns the hash of a key in an index.
func hashOf(x driver.Index, key string) uint64 {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q ", x.Columns) + key))
	return binary.BigEndian.Uint64(sum[:])
}
