package exportfile

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"sync"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Backend    = (*Writer)(nil)
	_ driver.Namespacer = (*Writer)(nil)
	_ driver.Indexer    = (*Writer)(nil)
	_ driver.FieldAdder = (*Writer)(nil)
)

// A Writer is the backend of a store that is written to a file, by one Copy, and has nothing before
// it. What was written last can be read, so that Copy compares it.
type Writer struct {
	out *bufio.Writer

	mu      sync.Mutex
	text    bool
	catalog *driver.Catalog
	fields  []driver.Column // of the namespace that ObjectsWith made
	begun   bool            // the first line is written
	n       int64           // lines written
	sum     hash.Hash
	records int64
	pairs   int64
	last    [written]map[entry][]byte // lines of the last writes
}

// written is how many writes can be read: Copy reads one back while it makes the next.
const written = 3

// An entry names a record or a pair.
type entry struct {
	ns driver.Namespace
	id driver.ID
}

// NewWriter returns a Writer of a store with integer or text IDs.
func NewWriter(w io.Writer, text bool) *Writer {
	return &Writer{out: bufio.NewWriterSize(w, 1<<16), text: text, catalog: &driver.Catalog{}, sum: sha256.New()}
}

// Finish writes the closing line. unreadable is how many records and pairs are not in the file
// because they could not be read.
func (w *Writer) Finish(unreadable int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.begin(); err != nil {
		return err
	}
	b := fmt.Appendf(nil, `{"n":%d,"end":true,"records":%d,"pairs":%d`, w.n+1, w.records, w.pairs)
	if unreadable > 0 {
		b = fmt.Appendf(b, `,"unreadable":%d`, unreadable)
	}
	b = fmt.Appendf(b, `,"sha256":"%s"`, hex.EncodeToString(w.sum.Sum(nil)))
	if err := w.line(b); err != nil {
		return err
	}
	return w.out.Flush()
}

// begin writes the first line, unless it is written.
func (w *Writer) begin() error {
	if w.begun {
		return nil
	}
	b, err := json.Marshal(headerOf(w.text, w.catalog))
	if err != nil {
		return err
	}
	w.begun = true
	return w.line(b[:len(b)-1])
}

// line writes a line that lacks its end.
func (w *Writer) line(b []byte) error {
	b = seal(b)
	w.n++
	w.sum.Write(b)
	_, err := w.out.Write(b)
	return err
}

// Init implements [driver.Backend].
func (w *Writer) Init(_ context.Context, s driver.Schema) (driver.Meta, error) {
	if len(s.Fields) > 0 || s.ReadOnly || !s.AnyIDs && s.IntegerIDs == w.text {
		return driver.Meta{}, errors.New("an export file is opened without options")
	}
	return driver.Meta{Identity: rand.Text(), NoCounter: true, TextIDs: w.text, Catalog: &driver.Catalog{}}, nil
}

// InitNamespace implements [driver.Namespacer].
func (w *Writer) InitNamespace(_ context.Context, ns driver.Namespace, _ driver.Schema) error {
	if ns != driver.Pairs {
		return fmt.Errorf("the namespace %q in an export file: %w", string(ns), errors.ErrUnsupported)
	}
	return nil
}

// Catalog implements [driver.Cataloger].
func (w *Writer) Catalog(context.Context) (*driver.Catalog, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.catalog.Clone(), nil
}

// ObjectsWith implements [driver.FieldAdder].
func (w *Writer) ObjectsWith(_ context.Context, fields []driver.Column, create bool) (driver.Namespace, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !create || w.begun {
		return "", errors.New("the columns of an export file are made before its records")
	}
	w.fields = fields
	_, err := w.catalog.DeclareColumns(fields)
	return driver.Alias(fields), err
}

// MakeIndexes implements [driver.Indexer].
func (w *Writer) MakeIndexes(_ context.Context, xs []driver.Index) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		return errors.New("the indexes of an export file are made before its records")
	}
	for _, x := range xs {
		w.catalog.AddIndex(x)
	}
	return nil
}

// AddColumnSet implements [driver.Cataloger].
func (w *Writer) AddColumnSet(_ context.Context, set driver.ColumnSet) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, known := w.catalog.FindSet(set); w.begun && !known && len(set) > 0 {
		return n, fmt.Errorf("a program with other extra columns has begun to write since the export began: %w", driver.ErrConflict)
	}
	n, _ := w.catalog.AddSet(set)
	return n, nil
}

// Apply implements [driver.Backend].
func (w *Writer) Apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := w.begin(); err != nil {
		return nil, err
	}
	copy(w.last[1:], w.last[:])
	w.last[0] = make(map[entry][]byte, len(ms))
	revs := make([]int64, len(ms))
	for i := range ms {
		m := &ms[i]
		if m.Op != driver.Import || m.IfRev != 0 {
			return nil, fmt.Errorf("record %q: %v in an export file: %w", m.Rec.ID, m.Op, errors.ErrUnsupported)
		}
		pair := m.Namespace == driver.Pairs
		b, err := appendRecord(make([]byte, 0, 512+len(m.Rec.Data)*3/2), w.n+1, &m.Rec, pair, w.fields)
		if err != nil {
			return nil, err
		}
		if err := w.line(b); err != nil {
			return nil, err
		}
		if revs[i] = m.Rec.Revision; pair {
			w.pairs++
		} else {
			w.records++
		}
		w.last[0][entry{m.Namespace, m.Rec.ID}] = append(b, '}')
	}
	return revs, nil
}

// View implements [driver.Backend].
func (w *Writer) View(_ context.Context, fn func(driver.Reader) error) error {
	return fn(&writerReader{w: w})
}

// A writerReader reads what was written last.
type writerReader struct {
	w  *Writer
	ns driver.Namespace
}

// InNamespace implements [driver.NamespaceReader].
func (r *writerReader) InNamespace(ns driver.Namespace) (driver.Reader, error) {
	return &writerReader{r.w, ns}, nil
}

// Get implements [driver.Reader]: it makes the records of the lines that were written.
func (r *writerReader) Get(_ context.Context, ids []driver.ID, _ driver.Parts) ([]driver.Record, error) {
	texts := make([][]byte, 0, len(ids))
	r.w.mu.Lock()
	columns, wanted := r.w.catalog.Columns, r.w.fields
	for _, id := range ids {
		for _, lines := range r.w.last {
			if text, ok := lines[entry{r.ns, id}]; ok {
				texts = append(texts, text)
				break
			}
		}
	}
	r.w.mu.Unlock()
	if r.ns == driver.Pairs {
		wanted = nil
	}
	at := places(columns, wanted)
	recs := make([]driver.Record, len(texts))
	for i, text := range texts {
		var l line
		err := json.Unmarshal(text, &l)
		if err == nil {
			recs[i], err = l.record(columns, at, len(wanted))
		}
		if err != nil {
			return nil, fmt.Errorf("what was written, %.200s: %w", text, err)
		}
	}
	return recs, nil
}

// Scan implements [driver.Reader].
func (r *writerReader) Scan(context.Context, *driver.Query) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		yield(driver.Record{}, fmt.Errorf("reading an export file while it is written: %w", errors.ErrUnsupported))
	}
}

// Count implements [driver.Reader].
func (r *writerReader) Count(context.Context, *driver.Query) (int64, error) {
	return 0, fmt.Errorf("reading an export file while it is written: %w", errors.ErrUnsupported)
}

// NextIDs implements [driver.Backend].
func (w *Writer) NextIDs(context.Context, int) (int64, error) {
	return 0, fmt.Errorf("new IDs in an export file: %w", errors.ErrUnsupported)
}

// DropColumn implements [driver.Cataloger].
func (w *Writer) DropColumn(context.Context, string) error {
	return fmt.Errorf("dropping a column of an export file: %w", errors.ErrUnsupported)
}

// DropIndex implements [driver.Indexer].
func (w *Writer) DropIndex(context.Context, driver.Index) error {
	return fmt.Errorf("dropping an index of an export file: %w", errors.ErrUnsupported)
}

// Close implements [driver.Backend]. It does not finish the file.
func (w *Writer) Close() error { return nil }
