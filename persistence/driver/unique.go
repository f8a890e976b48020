package driver

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"
)

// A UniqueError is the [ErrUnique] of a write: another record has the values that a unique index
// allows once.
type UniqueError struct {
	Columns []string // of the index
	// Holder is the record that has the values, which may be one of those being written; "" if none
	// is found any more.
	Holder ID
}

func (e *UniqueError) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("the values in the unique index over %s are taken", quotedList(e.Columns))
	}
	return fmt.Sprintf("record %q has the same values in the unique index over %s", e.Holder, quotedList(e.Columns))
}

// Unwrap returns ErrUnique.
func (e *UniqueError) Unwrap() error { return ErrUnique }

// ErrHeld returns the error of a write that gives a record values which another one has in a unique
// index; "": nobody has them any more.
func ErrHeld(x Index, id, holder ID) error {
	return &RecordError{ID: id, Err: &UniqueError{Columns: slices.Clone(x.Columns), Holder: holder}}
}

// IndexValue returns the value that a record has in a column of an index: its own, or the one that
// field returns for an extra field.
func IndexValue(r *Record, column string, field func(name string) any) any {
	if _, own := indexedLibraryColumns[column]; own {
		return new(Columns).Value(r, column)
	}
	return field(column)
}

// Key returns the key of a record in a unique index, as [IndexKey] makes it; false: it has none.
// field is that of [IndexValue].
func (x Index) Key(r *Record, field func(name string) any) (key string, ok bool) {
	values := make([]any, len(x.Columns))
	for i, name := range x.Columns {
		values[i] = IndexValue(r, name, field)
	}
	return IndexKey(values)
}

// IndexKey returns the values of a unique index in one text, such that equal texts are equal
// values; false: one of them is NULL. It is for backends that keep such indexes themselves.
func IndexKey(values []any) (key string, ok bool) {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			return "", false
		case string:
			b = binary.AppendUvarint(append(b, 's'), uint64(len(v)))
			b = append(b, v...)
		case []byte:
			b = binary.AppendUvarint(append(b, 'b'), uint64(len(v)))
			b = append(b, v...)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
		case bool:
			b = append(b, 'o', byte(rank(v)))
		case time.Time:
			b = binary.BigEndian.AppendUint64(append(b, 't'), uint64(v.UnixMicro()))
		}
	}
	return string(b), true
}
