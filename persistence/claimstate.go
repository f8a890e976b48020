package persistence

import (
	"reflect"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// restate gives a record that is about to be claimed another state, and sets the extra columns that
// follow from it. The object is decoded for that without the objects that it refers to: a column is
// left alone if the object as it is stored does not have its value.
func (s *Store) restate(rec *driver.Record, state string) {
	was := rec.State
	rec.State = state
	if len(s.extras) == 0 || len(rec.Fields) != len(s.extras) || was == state {
		return
	}
	ptr, ok := s.decodeAlone(rec)
	if !ok {
		return
	}
	obj := natural(ptr)
	if was != "" && was != s.readState(obj, rec.ID) && !s.setState(ptr, was) {
		return
	}
	before := s.computed(obj)
	if !s.setState(ptr, state) {
		return
	}
	for i, after := range s.computed(obj) {
		if !sameFields(before[i:i+1], []any{after}) && sameFields(before[i:i+1], rec.Fields[i:i+1]) {
			rec.Fields[i] = after
		}
	}
}

// computed returns the values of the extra columns of obj, NULL where an extractor fails.
func (s *Store) computed(obj any) []any {
	values := make([]any, len(s.extras))
	for i, f := range s.extras {
		if v, err := f.Value(obj); err == nil {
			values[i] = v
		}
	}
	return values
}

// decodeAlone returns a pointer to the object of a record, whose references are nil, and whether it
// could be decoded.
func (s *Store) decodeAlone(rec *driver.Record) (ptr any, ok bool) {
	head, err := records.Parse(rec.Data, s.limits)
	if err != nil {
		return nil, false
	}
	t, _, err := records.Resolve(head.Type)
	if err != nil {
		return nil, false
	}
	ptr = reflect.New(t).Interface()
	store := s.ident.Value()
	_, err = records.Decode(head, ptr, codec.DecodeOptions{
		Limits: s.limits, Alone: true, Store: store, Lazy: func(l *codec.Link) { l.Store = store },
	})
	return ptr, err == nil
}
