package fs

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// The marks: the kind of the file and the version of its format. Version 2 is written where there
// is a catalog of the extra columns, or the number of a set of them, and version 3 of the meta file
// where there are indexes in the catalog: a program that does not know of them would write past
// them.
const (
	recordMark  = "\xa7brine/1"
	recordMark2 = "\xa7brine/2"
	metaMark    = "\xa7brinem1"
	metaMark2   = "\xa7brinem2"
	metaMark3   = "\xa7brinem3"
	commitMark  = "\xa7brinec1"
)

// markOf returns the mark of a record's file that begins with b: the newer one if it has that.
func markOf(b []byte) string {
	if bytes.HasPrefix(b, []byte(recordMark2)) {
		return recordMark2
	}
	return recordMark
}

// A header is what a record's file says of it before the data.
type header struct {
	id       driver.ID
	typ      string
	state    string
	revision int64
	size     int64
	created  time.Time
	modified time.Time
	claim    driver.Claim
	columns  int64   // the number of the set of columns that the last writer filled
	fields   []field // by name, those that are not NULL
}

// A field is an extra field as a file keeps it.
type field struct {
	name  string
	value any // as in driver.Record.Fields; never nil
}

// record returns what the header says, but for the fields.
func (h *header) record() driver.Record {
	return driver.Record{
		ID: h.id, Type: h.typ, State: h.state, Revision: h.revision,
		Size: h.size, Created: h.created, Modified: h.modified, Claim: h.claim,
	}
}

// appendRecord appends to b the file of a record but for its data and the last frame.Checksum.
func appendRecord(b []byte, h *header) ([]byte, error) {
	e := frame.NewEncoder()
	defer e.Free()
	mark := recordMark
	if h.columns != 0 {
		mark = recordMark2
	}
	f, err := e.Frame(mark, h.encode)
	if err != nil {
		return nil, err
	}
	return append(b, f...), nil
}

func (h *header) encode(e *frame.Encoder) {
	claimed, entries := h.claim.Owner != "", 8
	if claimed {
		entries++
	}
	if h.columns != 0 {
		entries++
	}
	e.MapLen(entries)
	e.Text("id")
	e.Text(string(h.id))
	e.Text("type")
	e.Text(h.typ)
	e.Text("state")
	e.Text(h.state)
	e.Text("revision")
	e.Int(h.revision)
	e.Text("size")
	e.Int(h.size)
	e.Text("created")
	encodeTime(e, h.created)
	e.Text("modified")
	encodeTime(e, h.modified)
	if claimed {
		e.Text("claim")
		e.ArrayLen(3)
		e.Text(h.claim.Owner)
		e.Time(h.claim.Until)
		e.Int(h.claim.Token)
	}
	if h.columns != 0 {
		e.Text("columns")
		e.Int(h.columns)
	}
	// The fields come last, so that a reader who does not want them may stop before.
	e.Text("fields")
	e.MapLen(len(h.fields))
	for _, f := range h.fields {
		e.Text(f.name)
		encodeValue(e, f.value)
	}
}

func encodeTime(e *frame.Encoder, t time.Time) {
	if t.IsZero() {
		e.Nil()
		return
	}
	e.Time(t)
}

func encodeValue(e *frame.Encoder, v any) {
	switch v := v.(type) {
	case string:
		e.Text(v)
	case int64:
		e.Int(v)
	case float64:
		e.Float(v)
	case bool:
		e.Bool(v)
	case []byte:
		if v == nil {
			v = []byte{} // nil would be encoded as NULL
		}
		e.Bytes(v)
	case time.Time:
		e.Time(v)
	default:
		e.Nil()
	}
}

// decodeHeader reads the header in a whole frame, whose frame.Checksum it verifies.
func decodeHeader(b []byte, withFields bool) (h header, err error) {
	mark := markOf(b)
	body, err := frame.Open(mark, b)
	if err != nil {
		return header{}, err
	}
	d := frame.NewDecoder(body)
	defer d.Free()
	n, err := d.MapLen()
	if err != nil {
		return header{}, err
	}
	for range n {
		var key [16]byte
		name, ok, err := d.Short(key[:0])
		if err != nil {
			return header{}, err
		}
		if !ok {
			return header{}, errors.New("entry without a proper name in the header")
		}
		switch string(name) {
		case "id":
			var s string
			s, err = d.Text()
			h.id = driver.ID(s)
		case "type":
			h.typ, err = d.Text()
		case "state":
			h.state, err = d.Text()
		case "revision":
			h.revision, err = d.Int()
		case "size":
			h.size, err = d.Int()
		case "created":
			h.created, err = decodeTime(d)
		case "modified":
			h.modified, err = decodeTime(d)
		case "claim":
			h.claim, err = decodeClaim(d)
		case "columns":
			if h.columns, err = d.Int(); err == nil && (h.columns < 1 || mark != recordMark2) {
				err = fmt.Errorf("the number %d in a header of version %c", h.columns, mark[len(mark)-1])
			}
		case "fields":
			if !withFields {
				return h, nil
			}
			h.fields, err = decodeFields(d)
		default:
			return header{}, fmt.Errorf("unknown entry %q in the header", name)
		}
		if err != nil {
			return header{}, fmt.Errorf("entry %q of the header: %w", name, err)
		}
	}
	return h, nil
}

func decodeTime(d *frame.Decoder) (time.Time, error) {
	c, err := d.PeekCode()
	if err != nil {
		return time.Time{}, err
	}
	switch c {
	case msgpcode.Nil:
		return time.Time{}, d.Nil()
	case msgpcode.FixExt4, msgpcode.FixExt8, msgpcode.Ext8:
		t, err := d.Time()
		return t.UTC(), err
	}
	return time.Time{}, fmt.Errorf("msgpack code %#x instead of a time", c)
}

func decodeClaim(d *frame.Decoder) (c driver.Claim, err error) {
	n, err := d.ArrayLen()
	if err != nil {
		return c, err
	}
	if n != 3 {
		return c, fmt.Errorf("%d elements instead of 3", n)
	}
	if c.Owner, err = d.Text(); err != nil {
		return c, err
	}
	if c.Until, err = decodeTime(d); err != nil {
		return c, err
	}
	c.Token, err = d.Int()
	return c, err
}

func decodeFields(d *frame.Decoder) ([]field, error) {
	n, err := d.MapLen()
	if err != nil {
		return nil, err
	}
	fields := make([]field, 0, min(n, 64))
	for range n {
		name, err := d.Text()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(d)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
		if v != nil {
			fields = append(fields, field{name, v})
		}
	}
	return fields, nil
}

func decodeValue(d *frame.Decoder) (any, error) {
	c, err := d.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case c == msgpcode.Nil:
		return nil, d.Nil()
	case c == msgpcode.False, c == msgpcode.True:
		return d.Bool()
	case c == msgpcode.Double:
		return d.Float()
	case msgpcode.IsString(c):
		return d.Text()
	case msgpcode.IsBin(c):
		return d.Bytes()
	case msgpcode.IsExt(c):
		return decodeTime(d)
	case msgpcode.IsFixedNum(c), msgpcode.Uint8 <= c && c <= msgpcode.Int64:
		return d.Int()
	}
	return nil, fmt.Errorf("msgpack code %#x, which no field has", c)
}

// looksLikeRecord reports whether a file that starts with b is, or once was, a record: most of the
// mark is there, or it is what a crash or a bad disk makes of a file, empty or zeros.
func looksLikeRecord(b []byte) bool {
	b = b[:min(len(b), frame.MarkLen)]
	if len(bytes.Trim(b, "\x00")) == 0 {
		return true
	}
	same := 0
	for i, c := range b {
		if c == recordMark[i] {
			same++
		}
	}
	return 2*same > len(b)
}
