// Package exportfile reads and writes export files: a store as lines of JSON, which
// docs/format.md describes.
//
// A file is a [driver.Backend] in both directions, so that persistence.Copy writes one, with a
// [Writer] as its destination, and reads one, with a [Reader] as its source: its rules are those of
// exports and imports.
package exportfile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
)

// Version is the version of the format that a Writer writes, and the newest that a Reader reads.
const Version = 1

// A LineError says which line of a file is damaged, missing or in a wrong place.
type LineError struct {
	Line int64 // from 1
	Err  error
}

func (e *LineError) Error() string {
	if errors.Is(e.Err, ErrCut) && e.Line == 0 {
		return "the file is empty, or was cut off"
	}
	if errors.Is(e.Err, ErrCut) {
		return fmt.Sprintf("the file ends with line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

func (e *LineError) Unwrap() error { return e.Err }

// ErrCut says that a file ends before its closing line.
var ErrCut = errors.New("there is no closing line: it was cut off")

// A line is any line of a file but the first.
type line struct {
	N int64 `json:"n"` // the number of the line

	// Of a record or pair:
	ID       driver.ID                  `json:"id"`
	Key      string                     `json:"key"`
	Type     string                     `json:"type"`
	State    string                     `json:"state"`
	Revision int64                      `json:"revision"`
	Created  json.RawMessage            `json:"created"`
	Modified json.RawMessage            `json:"modified"`
	Columns  map[string]json.RawMessage `json:"columns"`
	Set      int64                      `json:"set"`
	Data     []byte                     `json:"data"`

	// Of the closing line:
	End        bool   `json:"end"`
	Records    int64  `json:"records"`
	Pairs      int64  `json:"pairs"`
	Unreadable int64  `json:"unreadable"`
	SHA256     string `json:"sha256"`
}

// A header is the first line.
type header struct {
	Brine   string                     `json:"brine"` // "export"
	Version int                        `json:"version"`
	IDs     string                     `json:"ids"` // "integer" or "text"
	Columns []headerColumn             `json:"columns,omitempty"`
	Sets    map[int64]driver.ColumnSet `json:"sets,omitempty"` // see driver.ColColumnSet
	Indexes []headerIndex              `json:"indexes,omitempty"`
}

type headerColumn struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	Types   []string `json:"types,omitempty"`
	Indexed bool     `json:"indexed,omitempty"`
}

type headerIndex struct {
	Columns []string `json:"columns"`
	Unique  bool     `json:"unique,omitempty"`
}

const (
	exportMark = "export"
	integerIDs = "integer"
	textIDs    = "text"
)

// Each line ends with a checksum: CRC-32C of all bytes before it.
const sealStart = `,"crc32c":"`

const sealLen = len(sealStart) + 8 + len(`"}`)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal ends a line that lacks its closing brace.
func seal(b []byte) []byte {
	return fmt.Appendf(b, "%s%08x\"}\n", sealStart, crc32.Checksum(b, castagnoli))
}

// checkSeal returns an error if a line, without its line feed, is not what was written.
func checkSeal(b []byte) error {
	at := len(b) - sealLen
	if at < 0 || !bytes.HasPrefix(b[at:], []byte(sealStart)) || !bytes.HasSuffix(b, []byte(`"}`)) {
		return errors.New("it is damaged: it does not end in a checksum")
	}
	want := string(b[at+len(sealStart) : len(b)-2])
	if got := fmt.Sprintf("%08x", crc32.Checksum(b[:at], castagnoli)); got != want {
		return fmt.Errorf("it is damaged: its checksum is %s, and it says %s", got, want)
	}
	return nil
}

// appendText appends a JSON string.
func appendText(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return b, fmt.Errorf("the text %q is no UTF-8", s)
	}
	plain := true
	for i := range len(s) {
		plain = plain && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"'), nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return b, err
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...), nil
}

func appendBase64(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}

// appendTime appends a time: a text of RFC 3339, or the microseconds since 1970 where the year has
// not four digits.
func appendTime(b []byte, t time.Time) []byte {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return strconv.AppendInt(b, t.UnixMicro(), 10)
	}
	return append(t.AppendFormat(append(b, '"'), "2006-01-02T15:04:05.000000Z07:00"), '"')
}

func parseTime(raw json.RawMessage) (time.Time, error) {
	if len(raw) == 0 {
		return time.Time{}, nil
	}
	if raw[0] != '"' {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return time.UnixMicro(n).UTC(), err
	}
	t, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(raw))
	return t.UTC(), err
}

// appendValue appends the value of an extra column, which is not NULL.
func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendText(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case []byte:
		return appendBase64(b, v), nil
	case time.Time:
		return appendTime(b, v), nil
	}
	return b, fmt.Errorf("a value of type %T", v)
}

// parseValue is the inverse of appendValue.
func parseValue(kind driver.Kind, raw json.RawMessage) (v any, err error) {
	switch kind {
	case driver.Int:
		return strconv.ParseInt(string(raw), 10, 64)
	case driver.Float:
		return strconv.ParseFloat(string(raw), 64)
	case driver.Bool:
		return strconv.ParseBool(string(raw))
	case driver.Time:
		return parseTime(raw)
	case driver.Bytes:
		data := []byte{}
		err = json.Unmarshal(raw, &data)
		return data, err
	}
	var text string
	err = json.Unmarshal(raw, &text)
	return text, err
}

// appendRecord appends a record as a line, without its end. fields are the columns of its Fields.
func appendRecord(b []byte, n int64, r *driver.Record, pair bool, fields []driver.Column) (_ []byte, err error) {
	text := func(before, s string) {
		if b = append(b, before...); err == nil {
			b, err = appendText(b, s)
		}
	}
	b = strconv.AppendInt(append(b, `{"n":`...), n, 10)
	if pair {
		text(`,"key":`, string(r.ID))
	} else {
		text(`,"id":`, string(r.ID))
	}
	text(`,"type":`, r.Type)
	if !pair {
		text(`,"state":`, r.State)
	}
	b = strconv.AppendInt(append(b, `,"revision":`...), r.Revision, 10)
	if !r.Created.IsZero() {
		b = appendTime(append(b, `,"created":`...), r.Created)
	}
	if !r.Modified.IsZero() {
		b = appendTime(append(b, `,"modified":`...), r.Modified)
	}
	before := `,"columns":{`
	for i, v := range r.Fields {
		if v == nil {
			continue
		}
		text(before, fields[i].Name)
		if err == nil {
			b, err = appendValue(append(b, ':'), v)
		}
		before = ","
	}
	if before == "," {
		b = append(b, '}')
	}
	if r.ColumnSet != 0 {
		b = strconv.AppendInt(append(b, `,"set":`...), r.ColumnSet, 10)
	}
	b = appendBase64(append(b, `,"data":`...), r.Data)
	if err != nil {
		return b, &driver.RecordError{ID: r.ID, Err: err}
	}
	return b, nil
}

// record makes a record of a line. columns are those of the file, and at says where in Fields each
// of them goes; -1: nowhere.
func (l *line) record(columns []driver.Column, at []int, fields int) (driver.Record, error) {
	r := driver.Record{ID: l.ID, Type: l.Type, State: l.State, Revision: l.Revision, Size: int64(len(l.Data)), Data: l.Data, ColumnSet: l.Set}
	if l.Key != "" {
		r.ID = driver.ID(l.Key)
	}
	var err error
	if r.Created, err = parseTime(l.Created); err != nil {
		return r, err
	}
	if r.Modified, err = parseTime(l.Modified); err != nil {
		return r, err
	}
	if fields == 0 {
		return r, nil
	}
	r.Fields = make([]any, fields)
	for name, raw := range l.Columns {
		i := slices.IndexFunc(columns, func(c driver.Column) bool { return c.Name == name })
		if i < 0 {
			return r, fmt.Errorf("column %q is not among those of the first line", name)
		}
		if at[i] < 0 {
			continue
		}
		if r.Fields[at[i]], err = parseValue(columns[i].Kind, raw); err != nil {
			return r, fmt.Errorf("column %q: %w", name, err)
		}
	}
	return r, nil
}

// headerOf describes what a store has.
func headerOf(text bool, c *driver.Catalog) header {
	h := header{Brine: exportMark, Version: Version, IDs: integerIDs, Sets: c.Sets}
	if text {
		h.IDs = textIDs
	}
	for _, col := range c.Columns {
		h.Columns = append(h.Columns, headerColumn{col.Name, col.Kind.String(), col.Types, col.Indexed})
	}
	for _, x := range c.Indexes {
		h.Indexes = append(h.Indexes, headerIndex(x))
	}
	return h
}

// catalog returns the columns and indexes of a file.
func (h *header) catalog() (*driver.Catalog, error) {
	c := &driver.Catalog{Unknown: true, Sets: h.Sets}
	for _, col := range h.Columns {
		kind, err := driver.ParseKind(col.Kind)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", col.Name, err)
		}
		c.Columns = append(c.Columns, driver.Column{Name: col.Name, Kind: kind, Types: col.Types, Indexed: col.Indexed})
	}
	for _, x := range h.Indexes {
		c.Indexes = append(c.Indexes, driver.Index(x))
	}
	return c, nil
}

// headerStart is what a file begins with.
const headerStart = `{"brine":"` + exportMark + `",`

// notExport returns the error of a file that begins otherwise.
func notExport(start []byte) error {
	if bytes.HasPrefix(start, []byte("\x1f\x8b")) {
		return errors.New("it is not that of an export: the file is compressed, and gunzip reads it")
	}
	return errors.New("it is not that of an export")
}

// parseHeader reads the first line of a file.
func parseHeader(b []byte) (header, error) {
	var h header
	if err := checkSeal(b); err != nil {
		return h, err
	}
	err := json.Unmarshal(b, &h)
	switch {
	case err != nil:
		return h, err
	case h.Brine != exportMark:
		return h, errors.New("it is not that of an export")
	case h.Version > Version:
		return h, fmt.Errorf("the file has version %d of the format, and this program reads up to %d: %w", h.Version, Version, errors.ErrUnsupported)
	case h.Version < 1:
		return h, fmt.Errorf("the file has version %d of the format, which there is not", h.Version)
	case h.IDs != integerIDs && h.IDs != textIDs:
		return h, fmt.Errorf("unknown kind of IDs %q", h.IDs)
	}
	return h, nil
}
