package driver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Stray is a file or row in the storage of a store that belongs to nothing: no ID leads to it,
// and it is none of the backend's own.
type Stray struct {
	Key    string // names it: its path in a directory, or the table and the key of a row
	Detail string // what it is, for people
}

// A StrayFinder is a Backend whose storage others can put things into.
type StrayFinder interface {
	// Strays yields the strays of the namespaces that this handle has prepared, in no order. It
	// need not see one state of them, but each was a stray at some moment of the call. An error is
	// the last thing yielded. seen reports IDs under which the caller has just read a record,
	// damaged or not: they need not be looked at. nil: none.
	Strays(ctx context.Context, seen func(Namespace, ID) bool) iter.Seq2[Stray, error]
}

// A Stored is a record, or a stray, in the form in which its backend keeps it.
type Stored struct {
	ID   ID     // of a record
	Key  string // of a stray
	Data []byte // all that is stored of it: columns that the Schema lacks and the claim too
}

// A Salvager is a Backend that can read and move what it cannot make a [Record] of. It makes the
// mutations [Withdraw] and [Restore].
type Salvager interface {
	// Stored returns the stored forms of those records of a namespace that exist, readable or not,
	// and of those strays that exist, in no particular order.
	Stored(ctx context.Context, ns Namespace, ids []ID, strays []string) ([]Stored, error)
	// OpenStored makes a Record of the stored form of a record of the namespace: ErrCorrupt if it
	// cannot be read. It reads nothing else.
	OpenStored(ns Namespace, s Stored) (Record, error)
}

// A NamedValue is a column of a row with its name. The value is nil or an int64, float64, bool,
// string, []byte or time.Time.
type NamedValue struct {
	Name  string
	Value any
}

// storedValue is the stored form of a NamedValue.
type storedValue struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Value string `json:"value,omitempty"`
}

// storedBinary is the kind of a text that is no UTF-8.
const storedBinary = "binary text"

// EncodeRow returns a row as JSON, which [DecodeRow] reads: a stored form for backends whose
// records are rows.
func EncodeRow(row []NamedValue) ([]byte, error) {
	stored := make([]storedValue, len(row))
	for i, c := range row {
		s := storedValue{Name: c.Name}
		switch v := c.Value.(type) {
		case nil:
			s.Kind = "null"
		case int64:
			s.Kind, s.Value = Int.String(), strconv.FormatInt(v, 10)
		case float64:
			s.Kind, s.Value = Float.String(), strconv.FormatFloat(v, 'g', -1, 64)
		case bool:
			s.Kind, s.Value = Bool.String(), strconv.FormatBool(v)
		case string:
			if s.Kind, s.Value = Text.String(), v; !utf8.ValidString(v) {
				s.Kind, s.Value = storedBinary, base64.StdEncoding.EncodeToString([]byte(v))
			}
		case []byte:
			s.Kind, s.Value = Bytes.String(), base64.StdEncoding.EncodeToString(v)
		case time.Time:
			s.Kind, s.Value = Time.String(), v.Format(time.RFC3339Nano)
		default:
			return nil, fmt.Errorf("column %q holds a %T", c.Name, v)
		}
		stored[i] = s
	}
	return json.Marshal(stored)
}

// DecodeRow reads what EncodeRow returned.
func DecodeRow(data []byte) ([]NamedValue, error) {
	var stored []storedValue
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, err
	}
	row := make([]NamedValue, len(stored))
	for i, s := range stored {
		v, err := s.value()
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", s.Name, err)
		}
		row[i] = NamedValue{s.Name, v}
	}
	return row, nil
}

func (s storedValue) value() (any, error) {
	switch s.Kind {
	case "null":
		return nil, nil
	case Int.String():
		return strconv.ParseInt(s.Value, 10, 64)
	case Float.String():
		return strconv.ParseFloat(s.Value, 64)
	case Bool.String():
		return strconv.ParseBool(s.Value)
	case Text.String():
		return s.Value, nil
	case storedBinary:
		b, err := base64.StdEncoding.DecodeString(s.Value)
		return string(b), err
	case Bytes.String():
		return base64.StdEncoding.DecodeString(s.Value)
	case Time.String():
		return time.Parse(time.RFC3339Nano, s.Value)
	}
	return nil, fmt.Errorf("unknown kind %q", s.Kind)
}
