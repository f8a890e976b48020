package exportfile

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strings"
	"sync"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	_ driver.Backend    = (*Reader)(nil)
	_ driver.Namespacer = (*Reader)(nil)
	_ driver.Cataloger  = (*Reader)(nil)
	_ driver.FieldAdder = (*Reader)(nil)
)

// A Reader is the backend of a store that is read from a file. Records come in the order of the
// file, which is that of their IDs unless the export was one of roots; a query with an Order is
// errors.ErrUnsupported. A file that cannot be read again, such as a pipe, gives each record once.
//
// Each line is verified when it is read, and the end of the file when it is reached. Of a file that
// is read once and is not in order, what came before the order was broken is not compared with what
// comes after. An error of that is a [*LineError]. It ends a scan: with the records before it, if
// there are any, and then all later calls return it, above all Finish.
type Reader struct {
	mu      sync.Mutex
	file    io.Reader
	in      *bufio.Reader
	head    header
	columns []driver.Column // of the file
	catalog *driver.Catalog
	layouts map[driver.Namespace]layout
	counts  *Counts // of the closing line; nil: not read yet

	n       int64 // lines read
	sum     hash.Hash
	records int64
	pairs   int64
	next    *line // that was read and not given yet
	arrival arrival
	last    entry  // the record or pair that was given last
	all     Counts // as Verify has found; else zero
	err     error

	objectsGiven, pairsGiven bool
	rewinder                 io.Seeker // nil: the file is read once
	first                    int64     // where the first line begins
}

// Counts is what the closing line of a file says.
type Counts struct {
	Records, Pairs int64
	Unreadable     int64 // records and pairs of the store that the export could not read
}

// NewReader reads the first line of a file. If file is an [io.Seeker] that can seek, it is read as
// often as need be.
func NewReader(file io.Reader) (*Reader, error) {
	r := &Reader{file: file, layouts: make(map[driver.Namespace]layout)}
	if s, ok := file.(io.Seeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil {
			r.rewinder, r.first = s, at
		}
	}
	if err := r.start(); err != nil {
		return nil, err
	}
	return r, nil
}

// TextIDs reports whether the store that was exported has text IDs.
func (r *Reader) TextIDs() bool { return r.head.IDs == textIDs }

// Once reports whether the file can be read only once.
func (r *Reader) Once() bool { return r.rewinder == nil }

// Verify reads the whole file and returns what it has. Progress, if not nil, is called now and then
// with the number of bytes read. The file must be one that can be read again.
func (r *Reader) Verify(ctx context.Context, progress func(bytes int64)) (Counts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.rewind(); err != nil {
		return Counts{}, err
	}
	err := r.verify(ctx, progress)
	if err == nil && r.arrival.unordered { // from the beginning, then
		if err = r.rewind(); err == nil {
			r.arrival.keep()
			err = r.verify(ctx, progress)
		}
	}
	if err != nil {
		return Counts{}, err
	}
	r.all = *r.counts
	return r.all, r.rewind()
}

// verify reads the file to its end.
func (r *Reader) verify(ctx context.Context, progress func(bytes int64)) error {
	bytes := int64(0)
	for r.err == nil && r.counts == nil {
		size, err := r.read()
		if err != nil {
			return err
		}
		r.next = nil
		if bytes += int64(size); r.n%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if progress != nil {
				progress(bytes)
			}
		}
	}
	return nil
}

// Finish reads what is left of the file, and returns what its closing line says. Only then it is
// known that the file was whole.
func (r *Reader) Finish() (Counts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.counts == nil {
		if _, err := r.read(); err != nil {
			return Counts{}, err
		}
		r.next = nil
	}
	return *r.counts, nil
}

// rewind goes back to the first line.
func (r *Reader) rewind() error {
	if r.n == 1 && r.next == nil && r.err == nil {
		return nil
	}
	if r.rewinder == nil {
		return fmt.Errorf("reading the file a second time: %w", errors.ErrUnsupported)
	}
	if _, err := r.rewinder.Seek(r.first, io.SeekStart); err != nil {
		return err
	}
	return r.start()
}

// start reads the first line.
func (r *Reader) start() error {
	r.in, r.sum = bufio.NewReaderSize(r.file, 1<<16), sha256.New()
	r.n, r.records, r.pairs, r.next, r.last, r.err, r.counts = 0, 0, 0, nil, entry{}, nil, nil
	r.objectsGiven, r.pairsGiven, r.arrival = false, false, arrival{}
	if start, err := r.in.Peek(len(headerStart)); len(start) > 0 && (err == nil || err == io.EOF) && !strings.HasPrefix(headerStart, string(start)) {
		r.n = 1
		return r.fail(notExport(start)) // before a line of it, of any length, is read
	}
	text, err := r.text()
	if err != nil {
		return err
	}
	r.sum.Write(text)
	if r.head, err = parseHeader(text[:len(text)-1]); err == nil {
		r.catalog, err = r.head.catalog()
	}
	if err != nil {
		return r.fail(err)
	}
	r.columns = r.catalog.Columns
	return nil
}

func (r *Reader) fail(err error) error {
	if r.err == nil {
		r.err = &LineError{r.n, err}
	}
	return r.err
}

// text returns the next line, with its line feed.
func (r *Reader) text() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	b, err := r.in.ReadBytes('\n')
	r.n++
	switch {
	case err == io.EOF && len(b) == 0:
		r.n--
		return nil, r.fail(ErrCut)
	case err == io.EOF:
		return nil, r.fail(ErrCut)
	case err != nil:
		return nil, r.fail(err)
	}
	if err := checkSeal(b[:len(b)-1]); err != nil {
		return nil, r.fail(err)
	}
	return b, nil
}

// read reads the next line. A record or pair is then r.next.
func (r *Reader) read() (size int, err error) {
	b, err := r.text()
	if err != nil {
		return 0, err
	}
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return 0, r.fail(err)
	}
	switch {
	case l.N < r.n:
		return 0, r.fail(fmt.Errorf("it says that it is line %d: it is there twice, or was moved", l.N))
	case l.N > r.n:
		return 0, r.fail(fmt.Errorf("it says that it is line %d: one before it is missing, or it was moved", l.N))
	case l.End:
		return len(b), r.end(&l)
	}
	r.sum.Write(b)
	switch {
	case l.ID != "" && l.Key == "" && r.pairs == 0:
		r.records++
		r.next = &l
	case l.Key != "" && l.ID == "":
		r.pairs++
		r.next = &l
	default:
		return 0, r.fail(errors.New("it is neither a record nor a pair, or stands in the wrong place"))
	}
	if err := l.check(&r.head, r.columns); err != nil {
		return 0, r.fail(err)
	}
	if err := r.arrival.add(l.entry(), !r.TextIDs()); err != nil {
		return 0, r.fail(err)
	}
	return len(b), nil
}

// end compares the closing line with what was read.
func (r *Reader) end(l *line) error {
	switch sum := hex.EncodeToString(r.sum.Sum(nil)); {
	case l.Records != r.records || l.Pairs != r.pairs:
		return r.fail(fmt.Errorf("it says that there are %d records and %d pairs, and there are %d and %d", l.Records, l.Pairs, r.records, r.pairs))
	case l.SHA256 != sum:
		return r.fail(fmt.Errorf("it says that the SHA-256 of the lines before it is %s, and it is %s", l.SHA256, sum))
	}
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		r.n++
		return r.fail(errors.New("it stands after the closing line"))
	case err != io.EOF:
		return r.fail(err)
	}
	r.counts = &Counts{l.Records, l.Pairs, l.Unreadable}
	return nil
}

// peek returns the next record or pair; nil: there is none.
func (r *Reader) peek() (*line, error) {
	for r.next == nil && r.counts == nil {
		if _, err := r.read(); err != nil {
			return nil, err
		}
	}
	return r.next, nil
}

// take gives the record or pair that peek returned.
func (r *Reader) take() {
	if r.last = r.next.entry(); r.last.ns == driver.Pairs {
		r.pairsGiven = true
	} else {
		r.objectsGiven = true
	}
	r.next = nil
}

// place goes to where a scan of a namespace goes on after a cursor.
func (r *Reader) place(ns driver.Namespace, after *driver.Cursor) error {
	if after == nil {
		if ns == driver.Objects && (r.objectsGiven || r.pairsGiven) || r.pairsGiven {
			return r.rewind()
		}
		return nil
	}
	if r.last == (entry{ns, after.ID}) {
		return nil
	}
	if err := r.rewind(); err != nil {
		return err
	}
	for r.last != (entry{ns, after.ID}) {
		l, err := r.peek()
		if err != nil || l == nil {
			return err
		}
		r.take()
	}
	return nil
}

// A Pair is a key-value pair of a file.
type Pair struct {
	Key, Type string
	Data      []byte // the value, as docs/format.md describes records
}

// Pairs yields the pairs of a file in its order, which is that of their keys. An error is the last
// thing yielded.
func (r *Reader) Pairs(ctx context.Context) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		of := &namespaceReader{r, driver.Pairs}
		for rec, err := range of.Scan(ctx, &driver.Query{}) {
			if !yield(Pair{string(rec.ID), rec.Type, rec.Data}, err) || err != nil {
				return
			}
		}
		if _, err := r.Finish(); err != nil {
			yield(Pair{}, err)
		}
	}
}
