package persistence

import (
	"context"
	"fmt"
	"iter"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// A Record is a record as it is stored. It needs none of the types of the program that wrote it.
type Record struct {
	// Info is what the store knows of the record. Type and Size are those of the record itself.
	Info
	Version  int    // that the type gave the record; 0 without one
	Refs     []ID   // what the object refers to by pointers, sorted as text
	LazyRefs []ID   // what it refers to by a [Ref], sorted as text
	Bytes    []byte // the record, as docs/format.md describes it

	limits codec.Limits // zero fields mean the defaults
}

// A RecordRef is a reference to another record, as a generic value. See [Record.Value].
type RecordRef struct {
	ID   ID
	Lazy bool // it is a [Ref]
}

// Typed is a generic value that the record holds with its type. See [Record.Value].
type Typed struct {
	Type  string // the registered name, a built-in kind, or a name composed of such
	Value any    // a generic value
}

var genericForms = &codec.GenericForms{
	Ref:   func(id driver.ID, lazy bool) any { return RecordRef{ID: id, Lazy: lazy} },
	Typed: func(name string, value any) any { return Typed{Type: name, Value: value} },
	OpenRef: func(v any) (id driver.ID, lazy, ok bool) {
		r, ok := v.(RecordRef)
		return r.ID, r.Lazy, ok
	},
	OpenTyped: func(v any) (name string, value any, ok bool) {
		t, ok := v.(Typed)
		return t.Type, t.Value, ok
	},
}

// Record returns the record with the ID. It returns ErrNotFound if there is none, and
// ErrCorrupt if the record is damaged.
func (c *conn) Record(ctx context.Context, id ID) (*Record, error) {
	if idfactory.Validate(id, c.s.ids.Integral()) != nil {
		return nil, c.s.fail("record", id, ErrNotFound)
	}
	var recs []driver.Record
	err := c.readOnce(ctx, func(r driver.Reader) error {
		var err error
		recs, err = r.Get(ctx, []ID{id}, recordParts)
		return err
	})
	if err == nil && len(recs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, c.s.fail("record", id, err)
	}
	rec, err := c.s.record(&recs[0])
	return rec, c.s.fail("record", id, err)
}

// Records streams the records that q selects, or all if q is nil. It reads page by page, as
// [Store.List] does, and each record is read whole and checked. An error of ErrCorrupt,
// ErrTooLarge or, for a record of a newer format, errors.ErrUnsupported concerns one record,
// which it names, and the iteration continues; any other error ends it.
func (c *conn) Records(ctx context.Context, q *Query) iter.Seq2[*Record, error] {
	type parsed struct {
		rec *Record
		err error
	}
	dq, err := c.s.compile(q)
	if err == nil {
		dq.Parts = recordParts
	}
	page := stream(c, ctx, "records", dataPage, dq, err, func(rec *driver.Record) parsed {
		r, err := c.s.record(rec)
		return parsed{r, c.s.fail("records", rec.ID, err)}
	})
	return func(yield func(*Record, error) bool) {
		for p, err := range page {
			if err == nil {
				err = p.err
			}
			if !yield(p.rec, err) {
				return
			}
		}
	}
}

const recordParts = driver.Info | driver.Fields | driver.Data

func (s *Store) record(rec *driver.Record) (*Record, error) {
	h, err := records.Parse(rec.Data, s.limits)
	if err != nil {
		return nil, err
	}
	r := &Record{Info: s.info(rec), Version: h.Version, Refs: h.Eager, LazyRefs: h.Lazy, Bytes: rec.Data, limits: s.limits}
	r.Type, r.Size = h.Type, int64(len(rec.Data))
	return r, nil
}

// Value returns the value that r.Bytes hold, made of generic values. Each call makes new ones.
// Bytes that are damaged are ErrCorrupt; what is over the limits of the store, or the default
// limits if r does not come from a store, is ErrTooLarge.
//
// The generic values are nil, bool, int64, uint64 (only above the range of int64), float64,
// complex128, string, []byte, time.Time, []any, map[string]any, map[any]any, RecordRef and Typed.
//
// A struct is a map[string]any of its fields by the names they are stored under. A map is a
// map[any]any if some key is not a string, or if a text is the key of several entries, which
// pointers can be. A key that Go cannot hash, or that the map has already, is a pointer to the
// generic value, such as a *[]byte or a *map[string]any; an array as a key is an array of any, such
// as [2]any, if it has at most 64 elements that can all be hashed and nothing else refers to it.
//
// A pointer is the value that it points to. If that may be nil, it is a []any of one. Pointers and
// maps that are shared inside the record are one map or slice here too, cycles included.
//
// Typed is what the record holds in an interface, but for bool, string, int, int64, uint64,
// float64, complex128, []byte, time.Time and map[string]any, which are the value alone. In records
// of before December 2026, an array of two whose first element is a string may look the same as a
// type with a value. It is taken for that if it must be an interface (in a []any or map[string]any
// that is in an interface itself); or if the string is the name of a type that is registered or
// built in, and the value can be one of that type; or if the string could be the name of some other
// type and the value is an array or a map, or the string has a dot between identifiers and the
// value is not a string.
func (r Record) Value() (any, error) {
	v, _, err := r.generic(nil)
	return v, err
}

// generic returns the value and the header. If o is not nil, it is filled.
func (r Record) generic(o *codec.Origins) (any, codec.Header, error) {
	lim := r.limits
	if lim.MaxBytes <= 0 {
		lim.MaxBytes = defaultMaxBytes
	}
	if lim.MaxDepth <= 0 {
		lim.MaxDepth = defaultMaxDepth
	}
	h, err := records.Parse(r.Bytes, lim)
	if err != nil {
		return nil, h, fmt.Errorf("record %q: %w", r.ID, err)
	}
	v, err := records.Generic(h, lim, genericForms, o)
	if err != nil {
		return nil, h, fmt.Errorf("record %q: %w", r.ID, err)
	}
	return v, h, nil
}
