package fs

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/brine-go/brine/persistence/driver"
)

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

// appendRecord appends to b the file of a record but for its data and the last checksum.
func appendRecord(b []byte, h *header) ([]byte, error) {
	e := newEncoder()
	defer e.free()
	f, err := e.frame(recordMark, h.encode)
	if err != nil {
		return nil, err
	}
	return append(b, f...), nil
}

func (h *header) encode(e *encoder) {
	claimed := h.claim.Owner != ""
	if claimed {
		e.mapLen(9)
	} else {
		e.mapLen(8)
	}
	e.text("id")
	e.text(string(h.id))
	e.text("type")
	e.text(h.typ)
	e.text("state")
	e.text(h.state)
	e.text("revision")
	e.int(h.revision)
	e.text("size")
	e.int(h.size)
	e.text("created")
	e.time(h.created)
	e.text("modified")
	e.time(h.modified)
	if claimed {
		e.text("claim")
		e.arrayLen(3)
		e.text(h.claim.Owner)
		e.timestamp(h.claim.Until)
		e.int(h.claim.Token)
	}
	// The fields come last, so that a reader who does not want them may stop before.
	e.text("fields")
	e.mapLen(len(h.fields))
	for _, f := range h.fields {
		e.text(f.name)
		e.value(f.value)
	}
}

func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.null()
		return
	}
	e.timestamp(t)
}

func (e *encoder) value(v any) {
	switch v := v.(type) {
	case string:
		e.text(v)
	case int64:
		e.int(v)
	case float64:
		e.float(v)
	case bool:
		e.bool(v)
	case []byte:
		if v == nil {
			v = []byte{} // nil would be encoded as NULL
		}
		e.bytes(v)
	case time.Time:
		e.timestamp(v)
	default:
		e.null()
	}
}

// decodeHeader reads the header in a whole frame, whose checksum it verifies.
func decodeHeader(frame []byte, withFields bool) (h header, err error) {
	body, err := openFrame(recordMark, frame)
	if err != nil {
		return header{}, err
	}
	d := newDecoder(body)
	defer d.free()
	n, err := d.mapLen()
	if err != nil {
		return header{}, err
	}
	for range n {
		var key [16]byte
		name, err := d.key(key[:0])
		if err != nil {
			return header{}, err
		}
		switch string(name) {
		case "id":
			var s string
			s, err = d.text()
			h.id = driver.ID(s)
		case "type":
			h.typ, err = d.text()
		case "state":
			h.state, err = d.text()
		case "revision":
			h.revision, err = d.dec.DecodeInt64()
		case "size":
			h.size, err = d.dec.DecodeInt64()
		case "created":
			h.created, err = d.time()
		case "modified":
			h.modified, err = d.time()
		case "claim":
			h.claim, err = d.claim()
		case "fields":
			if !withFields {
				return h, nil
			}
			h.fields, err = d.fields()
		default:
			return header{}, fmt.Errorf("unknown entry %q in the header", name)
		}
		if err != nil {
			return header{}, fmt.Errorf("entry %q of the header: %w", name, err)
		}
	}
	return h, nil
}

// key reads a short text into buf; nil stands for a longer one.
func (d *decoder) key(buf []byte) ([]byte, error) {
	n, err := d.dec.DecodeBytesLen()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > cap(buf) {
		return nil, errors.New("entry without a proper name in the header")
	}
	buf = buf[:n]
	if m, _ := d.src.Read(buf); m < n {
		return nil, errors.New("header ends early")
	}
	return buf, nil
}

func (d *decoder) time() (time.Time, error) {
	c, err := d.dec.PeekCode()
	if err != nil {
		return time.Time{}, err
	}
	switch c {
	case msgpcode.Nil:
		return time.Time{}, d.dec.DecodeNil()
	case msgpcode.FixExt4, msgpcode.FixExt8, msgpcode.Ext8:
		t, err := d.dec.DecodeTime()
		return t.UTC(), err
	}
	return time.Time{}, fmt.Errorf("msgpack code %#x instead of a time", c)
}

func (d *decoder) claim() (c driver.Claim, err error) {
	n, err := d.arrayLen()
	if err != nil {
		return c, err
	}
	if n != 3 {
		return c, fmt.Errorf("%d elements instead of 3", n)
	}
	if c.Owner, err = d.text(); err != nil {
		return c, err
	}
	if c.Until, err = d.time(); err != nil {
		return c, err
	}
	c.Token, err = d.dec.DecodeInt64()
	return c, err
}

func (d *decoder) fields() ([]field, error) {
	n, err := d.mapLen()
	if err != nil {
		return nil, err
	}
	fields := make([]field, 0, min(n, 64))
	for range n {
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		v, err := d.value()
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
		if v != nil {
			fields = append(fields, field{name, v})
		}
	}
	return fields, nil
}

func (d *decoder) value() (any, error) {
	c, err := d.dec.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case c == msgpcode.Nil:
		return nil, d.dec.DecodeNil()
	case c == msgpcode.False, c == msgpcode.True:
		return d.dec.DecodeBool()
	case c == msgpcode.Double:
		return d.dec.DecodeFloat64()
	case msgpcode.IsString(c):
		return d.text()
	case msgpcode.IsBin(c):
		return d.bytes()
	case msgpcode.IsExt(c):
		return d.time()
	case msgpcode.IsFixedNum(c), msgpcode.Uint8 <= c && c <= msgpcode.Int64:
		return d.dec.DecodeInt64()
	}
	return nil, fmt.Errorf("msgpack code %#x, which no field has", c)
}

// kindOf returns the kind of a field's value.
func kindOf(v any) driver.Kind {
	switch v.(type) {
	case string:
		return driver.Text
	case int64:
		return driver.Int
	case float64:
		return driver.Float
	case bool:
		return driver.Bool
	case []byte:
		return driver.Bytes
	case time.Time:
		return driver.Time
	}
	return 0
}

// sum returns the last checksum of a file: over the frame and the data.
func sum(frame, data []byte) uint32 {
	return crc32.Update(checksum(frame), castagnoli, data)
}

// looksLikeRecord reports whether a file that starts with b is, or once was, a record: most of the mark
// is there, or it is what a crash or a bad disk makes of a file, empty or zeros.
func looksLikeRecord(b []byte) bool {
	b = b[:min(len(b), markLen)]
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

// set gives the record the fields of the file that the schema knows.
func (s *schema) set(rec *driver.Record, fields []field) error {
	rec.Fields = make([]any, len(s.Fields))
	for _, f := range fields {
		i, ok := s.index[f.name]
		if !ok {
			continue
		}
		if k := kindOf(f.value); k != s.Fields[i].Kind {
			return fmt.Errorf("field %q is %v, not %v", f.name, k, s.Fields[i].Kind)
		}
		rec.Fields[i] = f.value
	}
	return nil
}

// merge returns what to write as fields: the values given, then those of the old file
// that the schema does not know.
func (s *schema) merge(values []any, old []field) []field {
	var out []field
	for i, v := range values {
		if v != nil && i < len(s.Fields) && !slices.Contains(s.missing, s.Fields[i].Name) {
			out = append(out, field{s.Fields[i].Name, v})
		}
	}
	for _, f := range old {
		if _, known := s.index[f.name]; !known {
			out = append(out, f)
		}
	}
	return out
}

// schemas are those of the namespaces that have been prepared. A map is never changed.
type schemas map[driver.Namespace]*schema

// of returns the schema of a namespace.
func (s schemas) of(ns driver.Namespace) (*schema, error) {
	if one := s[ns]; one != nil {
		return one, nil
	}
	return nil, fmt.Errorf("the namespace %q is used before InitNamespace", string(ns))
}

// A schema is what Init was given, prepared.
type schema struct {
	driver.Schema
	columns *driver.Columns
	index   map[string]int // of the fields by name, without the missing ones
	missing []string
}

func newSchema(s driver.Schema, missing []string) *schema {
	p := &schema{Schema: s, columns: driver.NewColumns(s), index: make(map[string]int, len(s.Fields)), missing: missing}
	for i, f := range s.Fields {
		if !slices.Contains(missing, f.Name) {
			p.index[f.Name] = i
		}
	}
	return p
}
