package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// Why a file is no record with the ID asked for. All are errAbsent.
var (
	errAbsent  = errors.New("no such file")
	errForeign = fmt.Errorf("not a file of this package: %w", errAbsent)
	errClash   = fmt.Errorf("file of an ID in other letter case: %w", errAbsent)
)

// sameID checks the ID in a file against the one that it was opened for.
func sameID(want, got driver.ID) error {
	switch {
	case want == got:
		return nil
	case strings.EqualFold(string(want), string(got)):
		return errClash
	}
	return fmt.Errorf("%w: %w: its file holds the record %q", driver.ErrCorrupt, driver.ErrMismatch, got)
}

// bufSize holds most records whole; headSize holds most headers.
const (
	bufSize  = 16 << 10
	headSize = 1 << 10
)

var buffers = sync.Pool{New: func() any { return new([bufSize]byte) }}

// A recordFile is an open record whose header has been read.
type recordFile struct {
	header
	f    *os.File
	head []byte // the frame: mark, header and frame.Checksum
	rest []byte // what has been read after the frame
	eof  bool   // there is nothing after rest
}

// open opens the file of a record and reads its header into buf, and the data
// too if they fit and buf is long. Close the result even with an error.
func (f *folder) open(name string, buf []byte, withFields bool) (r recordFile, err error) {
	name, ok := f.actual(name)
	if !ok {
		return r, errAbsent
	}
	opened, err := f.root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return r, errAbsent
		}
		if info, serr := f.root.Lstat(name); serr == nil && !info.Mode().IsRegular() {
			return r, errForeign
		}
		return r, err
	}
	r.f = opened
	n, err := opened.Read(buf)
	if err != nil && !errors.Is(err, io.EOF) {
		if info, serr := opened.Stat(); serr == nil && !info.Mode().IsRegular() {
			return r, errForeign
		}
		return r, err
	}
	b := buf[:n]
	size, err := frame.Len(markOf(b), b)
	if err != nil {
		info, serr := opened.Stat()
		if serr != nil {
			return r, serr
		}
		if !info.Mode().IsRegular() || !looksLikeRecord(b) {
			return r, errForeign
		}
		if v := newerVersion(opened, b); v > 0 {
			return r, fmt.Errorf("header version %c is newer than %c, the newest that this program reads: %w",
				v, recordMark2[len(recordMark2)-1], errors.ErrUnsupported)
		}
		return r, damaged(err)
	}
	if size > int64(n) {
		info, err := opened.Stat()
		if err != nil {
			return r, err
		}
		if size > info.Size() {
			return r, damaged(fmt.Errorf("header of %d bytes in a file of %d", size, info.Size()))
		}
		whole := make([]byte, size)
		if _, err := io.ReadFull(opened, whole[copy(whole, b):]); err != nil {
			return r, damaged(err)
		}
		r.head = whole
	} else {
		r.head, r.rest = b[:size], b[size:]
		r.eof = n < len(buf)
	}
	if r.header, err = decodeHeader(r.head, withFields); err != nil {
		return r, damaged(err)
	}
	return r, nil
}

func (r *recordFile) close() {
	if r.f != nil {
		r.f.Close()
	}
}

// data reads the data and verifies the file as a whole.
func (r *recordFile) data() ([]byte, error) {
	want := r.size + frame.Uint32Len
	if r.size < 0 || want < r.size {
		return nil, damaged(fmt.Errorf("size %d", r.size))
	}
	rest := r.rest
	if !r.eof || int64(len(rest)) != want {
		info, err := r.f.Stat()
		if err != nil {
			return nil, err
		}
		if have := info.Size() - int64(len(r.head)); have != want {
			return nil, damaged(fmt.Errorf("%d bytes of data instead of %d", max(have-frame.Uint32Len, 0), r.size))
		}
		rest = make([]byte, want)
		if _, err := io.ReadFull(r.f, rest[copy(rest, r.rest):]); err != nil {
			return nil, damaged(err)
		}
	}
	data := rest[:r.size:r.size]
	last, ok := frame.ReadUint32(rest[r.size:])
	if !ok || last != frame.Sum(r.head, data) {
		return nil, damaged(errors.New("frame.Checksum of the data does not match"))
	}
	if len(r.rest) == len(rest) { // still in the buffer
		data = append(make([]byte, 0, len(data)), data...)
	}
	return data, nil
}

// beginning reads the first n bytes of the data, or all if they are fewer. It does not verify them:
// the checksum is that of the whole file.
func (r *recordFile) beginning(n int64) ([]byte, error) {
	if r.size < 0 {
		return nil, damaged(fmt.Errorf("size %d", r.size))
	}
	data := make([]byte, min(n, r.size))
	read := copy(data, r.rest)
	if _, err := io.ReadFull(r.f, data[read:]); read < len(data) && err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, damaged(fmt.Errorf("the file ends in the first %d bytes of data", len(data)))
		}
		return nil, err
	}
	return data, nil
}

// newerVersion returns the version in the mark of a file that begins with b, if that is newer than
// this package and the header is intact; else 0.
func newerVersion(f *os.File, b []byte) byte {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return newerThan(f, info.Size(), b)
}

// newerThan is newerVersion for a file of a size that r reads.
func newerThan(r io.ReaderAt, length int64, b []byte) byte {
	const last = len(recordMark) - 1
	if len(b) < frame.HeadLen || string(b[:last]) != recordMark[:last] || b[last] <= recordMark2[last] || b[last] > '9' {
		return 0
	}
	mark := string(b[:frame.MarkLen])
	size, err := frame.Len(mark, b)
	if err != nil || size > length {
		return 0
	}
	whole := make([]byte, size)
	if _, err := r.ReadAt(whole, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	if _, err := frame.Open(mark, whole); err != nil {
		return 0
	}
	return mark[last]
}

// unreadable reports whether err says that a record is there that cannot be read: it is damaged, or
// of a newer version.
func unreadable(err error) bool {
	return errors.Is(err, driver.ErrCorrupt) || errors.Is(err, errors.ErrUnsupported)
}

// damaged makes an error of reading ErrCorrupt.
func damaged(err error) error { return fmt.Errorf("%w: %w", driver.ErrCorrupt, err) }

// readHeader reads the header of a record's file.
func (f *folder) readHeader(name string, withFields bool) (header, error) {
	buf := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(buf)
	r, err := f.open(name, buf[:headSize], withFields)
	r.close()
	return r.header, err
}

// readRecord reads the file of a record whole.
func (f *folder) readRecord(name string) (header, []byte, error) {
	buf := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(buf)
	r, err := f.open(name, buf[:], true)
	defer r.close()
	if err != nil {
		return r.header, nil, err
	}
	data, err := r.data()
	return r.header, data, err
}

// readOwn reads one of the package's own files.
func (f *folder) readOwn(name string) ([]byte, error) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s in %s is not a regular file", name, f.path)
	}
	return f.root.ReadFile(name)
}

// A reader reads one namespace while it has the lock.
type reader struct {
	*lock
	*folder
	schema  *schema
	schemas schemas
	checked bool // no column of the schema was dropped
}

var _ driver.NamespaceReader = (*reader)(nil)

// InNamespace implements [driver.NamespaceReader].
func (r *reader) InNamespace(ns driver.Namespace) (driver.Reader, error) {
	s, err := r.schemas.of(ns)
	if err != nil {
		return nil, err
	}
	f, err := r.in(ns)
	if err != nil {
		return nil, err
	}
	return &reader{lock: r.lock, folder: f, schema: s, schemas: r.schemas}, nil
}

// Get reads the records' files, header and data or the header alone.
func (r *reader) Get(ctx context.Context, ids []driver.ID, parts driver.Parts) ([]driver.Record, error) {
	if err := r.present(&driver.Query{Parts: parts}); err != nil {
		return nil, err
	}
	buf := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(buf)
	recs := make([]driver.Record, 0, len(ids))
	var seen map[driver.ID]struct{}
	if len(ids) > 1 {
		seen = make(map[driver.ID]struct{}, len(ids))
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if seen != nil {
			n := len(seen)
			if seen[id] = struct{}{}; len(seen) == n {
				continue
			}
		}
		if !storable(id, r.schema.IntegerIDs) {
			continue
		}
		rec, ok, err := r.read(id, fileName(id), parts, buf, nil)
		switch {
		case err == nil && ok:
			recs = append(recs, rec)
		case errors.Is(err, errAbsent):
		case err != nil:
			return nil, err
		}
	}
	return recs, nil
}

// read reads the record in the file of a name, unless it does not
// match: then ok is false, and the data have not been read. A damaged one is a
// RecordError.
func (r *reader) read(id driver.ID, name string, parts driver.Parts, buf *[bufSize]byte, match func(*driver.Record) bool) (rec driver.Record, ok bool, err error) {
	length := headSize
	switch {
	case parts&driver.Data != 0:
		length = bufSize
	case parts&driver.Head != 0:
		length += driver.HeadLen
	}
	withFields := parts&driver.Fields != 0
	f, err := r.open(name, buf[:length], withFields)
	defer f.close()
	if err == nil {
		err = sameID(id, f.id)
	}
	if err == nil {
		rec = f.record()
		if withFields {
			if err = r.schema.setFields(&rec, f.fields); err != nil {
				err = damaged(err)
			}
		}
	}
	if err == nil && match != nil {
		rec.ColumnSet = f.columns
		if !match(&rec) {
			return driver.Record{}, false, nil
		}
		rec.ColumnSet = 0
	}
	switch {
	case err != nil:
	case parts&driver.Data != 0:
		rec.Data, err = f.data()
	case parts&driver.Head != 0:
		rec.Data, err = f.beginning(driver.HeadLen)
	}
	if parts&driver.SetNumber != 0 {
		rec.ColumnSet = f.columns
	}
	if unreadable(err) {
		err = &driver.RecordError{ID: id, Err: err}
	}
	return rec, err == nil, err
}
