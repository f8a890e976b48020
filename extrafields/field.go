package extrafields

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
)

// A Field derives the value of one column from objects. It is an immutable value, made by [Of],
// [Get] or [Func]; its methods return changed copies. Mistakes in its making are reported by
// [Field.Check], which a store calls when it is opened. It is safe for concurrent use as far as
// the caller's functions are.
type Field struct {
	column  driver.Column
	extract extractor
	of      reflect.Type   // of a field made by Of, pointers stripped; nil: any type
	only    []reflect.Type // pointers stripped; nil: any type
	deflt   any            // canonical; nil: none
	err     error          // the first mistake in the making
}

// An extractor finds the value in an object: canonical, or nil where there is nothing. applies is
// false for an object that it is not made for.
type extractor func(obj any) (v any, applies bool, err error)

// A Value is a Go type that is a column value as it is: its kind is Text for strings, Int for
// integers (also where they have a String method), Float, Bool, Bytes or Time.
type Value interface {
	~string | ~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr |
		~float32 | ~float64 | ~bool | ~[]byte | time.Time
}

// Of returns a field with the value that get returns for objects of type T, given
// as *T or T; objects of other types have NULL. get is not called with nil. Where T is an
// interface, get is called for all objects that implement it.
func Of[T any, V Value](column string, get func(*T) V) Field {
	kind := kindOf(reflect.TypeFor[V]())
	f := Field{column: driver.Column{Name: column, Kind: kind}, of: stripPointers(reflect.TypeFor[T]())}
	if get == nil {
		f.err = errors.New("nil function")
		return f
	}
	f.extract = func(obj any) (any, bool, error) {
		p, ok := obj.(*T)
		switch {
		case ok && p == nil:
			return nil, true, nil
		case !ok:
			if _, ok := obj.(T); !ok {
				return nil, false, nil
			}
			p = new(T) // not earlier: it costs an allocation
			*p = obj.(T)
		}
		v, err := Canonical(kind, get(p))
		return v, true, err
	}
	return f
}

// kindOf returns the kind of a type that satisfies Value.
func kindOf(t reflect.Type) Kind {
	switch t.Kind() {
	case reflect.String:
		return Text
	case reflect.Bool:
		return Bool
	case reflect.Float32, reflect.Float64:
		return Float
	case reflect.Slice:
		return Bytes
	case reflect.Struct:
		return Time
	}
	return Int
}

// Get returns a field with the value at a path in the object; the package comment says what paths
// look like. What [Canonical] takes for the kind may be given.
func Get(column string, kind Kind, path string) Field {
	f := Field{column: driver.Column{Name: column, Kind: kind}}
	a, err := newAccessor(path)
	if err != nil {
		f.err = err
		return f
	}
	f.extract = func(obj any) (any, bool, error) {
		v, err := a.find(reflect.ValueOf(obj))
		if err != nil || !v.IsValid() {
			return nil, true, err
		}
		c, err := canonical(kind, v)
		if err != nil {
			err = fmt.Errorf("path %s: %w", path, err)
		}
		return c, true, err
	}
	return f
}

// Func returns a field with the value that fn returns, which may be any that [Canonical] takes
// for the kind. fn is given the object as the caller saves it, mostly a pointer to a struct.
func Func(column string, kind Kind, fn func(obj any) (any, error)) Field {
	f := Field{column: driver.Column{Name: column, Kind: kind}}
	if fn == nil {
		f.err = errors.New("nil function")
		return f
	}
	f.extract = func(obj any) (any, bool, error) {
		v, err := fn(obj)
		if err == nil {
			v, err = Canonical(kind, v)
		}
		return v, true, err
	}
	return f
}

// Default returns f with the value v where f applies to an object and finds nothing. It is not
// for objects of other types (of Of, or excluded by Only), nor for an extractor that fails: they
// have NULL. v may be any value that [Canonical] takes for the kind, but for NULL.
func (f Field) Default(v any) Field {
	d, err := Canonical(f.column.Kind, v)
	switch {
	case err != nil:
		f.mistake(fmt.Errorf("default: %w", err))
	case d == nil:
		f.mistake(errors.New("default: it must not be NULL"))
	}
	f.deflt = d
	return f
}

// Only returns f restricted to objects of the types of the values given: others have NULL.
// Task{}, &Task{} and (*Task)(nil) alike mean objects of type Task and *Task; a nil pointer to an
// interface, as (*fmt.Stringer)(nil), means all objects that implement it. Of several calls the
// last one counts. The column is that of the store: what another program, or an earlier version of
// this one, has stored in it for other types is found too, unless the query names a Type.
func (f Field) Only(types ...any) Field {
	f.only = make([]reflect.Type, 0, len(types))
	for _, v := range types {
		t, ok := v.(reflect.Type)
		if !ok {
			t = reflect.TypeOf(v)
		}
		if t == nil {
			f.mistake(errors.New("only: nil has no type"))
			continue
		}
		f.only = append(f.only, stripPointers(t))
	}
	if len(types) == 0 {
		f.mistake(errors.New("only: no type given"))
	}
	return f
}

// Indexed returns f with an index on the column. Its texts are then limited to 255 characters, and
// its bytes to 255: a longer value is a failing extractor.
func (f Field) Indexed() Field {
	f.column.Indexed = true
	return f
}

// Unique returns f with a unique index on the column: no two records have the same value in it, but
// for NULL, and a save that would make it so is ErrUnique. Values are limited as by Indexed. An
// object for which the extractor fails cannot be saved: ErrUnstorable. persistence.Options.Indexes
// makes unique indexes over several columns.
func (f Field) Unique() Field {
	f.column.Unique = true
	return f
}

func (f *Field) mistake(err error) {
	if f.err == nil {
		f.err = err
	}
}

// Column returns the column that the field needs. Its Types are nil: a store knows the names of
// the types.
func (f Field) Column() driver.Column { return f.column }

// Types returns the types of the objects that f is for, pointers stripped: those given to Only,
// else the T of [Of]. nil means that f may be for objects of any type, as it is where one of the
// types is an interface.
func (f Field) Types() []reflect.Type {
	types := f.only
	if types == nil && f.of != nil {
		types = []reflect.Type{f.of}
	}
	for _, t := range types {
		if t.Kind() == reflect.Interface {
			return nil
		}
	}
	return slices.Clone(types)
}

// libraryColumns are in every table.
var libraryColumns = []string{"id", "data", "state", "type", "revision", "size", "created", "modified", "claim_owner", "claim_until", "claim_token", driver.ColColumnSet}

// systemColumns are in every table of one of the databases, which then takes no other column of the
// name: of PostgreSQL, and of MySQL's and MariaDB's InnoDB.
var systemColumns = []string{
	"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "db_row_id", "db_trx_id", "db_roll_ptr", "fts_doc_id",
}

// Check returns an error if f was not made well: a bad or reserved column name, an unknown kind,
// a path of bad syntax, a nil function, a default of the wrong kind, or no types for Only.
func (f Field) Check() error {
	err := f.err
	switch name := f.column.Name; {
	case !driver.ValidName(name):
		err = errors.New("a column name is made of letters, digits and underscores, starts with no digit, and has at most 63 bytes")
	case slices.Contains(libraryColumns, strings.ToLower(name)), slices.Contains(systemColumns, strings.ToLower(name)):
		err = errors.New("the column name is reserved")
	case !validKind(f.column.Kind):
		err = errKind
	case err == nil && f.extract == nil:
		err = errors.New("made by none of Of, Get and Func")
	case err == nil:
		err = f.checkIndexed(f.deflt)
	}
	if err != nil {
		return fmt.Errorf("extra field %.80q: %w", f.column.Name, err)
	}
	return nil
}

// Value returns the value of the column for an object: canonical (see [driver.Kind]), or nil for
// NULL. obj is as the caller saved it: a pointer to a struct or any other value. An error means
// that the extractor failed; it says why and names the column. Value never panics.
func (f Field) Value(obj any) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("extra field %q: panic: %v", f.column.Name, p)
		}
	}()
	if f.only != nil && !f.isFor(reflect.TypeOf(obj)) {
		return nil, nil
	}
	if f.extract == nil {
		return nil, f.Check()
	}
	v, applies, err := f.extract(obj)
	if err == nil {
		err = f.checkIndexed(v)
	}
	if err != nil {
		return nil, fmt.Errorf("extra field %q: %w", f.column.Name, err)
	}
	if v == nil && applies {
		v = f.deflt
		if b, ok := v.([]byte); ok {
			v = slices.Clone(b)
		}
	}
	return v, nil
}

func (f *Field) isFor(t reflect.Type) bool {
	if t == nil {
		return false
	}
	base := stripPointers(t)
	for _, o := range f.only {
		if base == o || o.Kind() == reflect.Interface && (t.Implements(o) || base.Implements(o)) {
			return true
		}
	}
	return false
}

// stripPointers returns what t points to. Only a bounded number of pointers is followed, for type
// P *P leads to itself.
func stripPointers(t reflect.Type) reflect.Type {
	for range maxIndirect {
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
	}
	return t
}

func (f *Field) checkIndexed(v any) error {
	if !f.column.Indexed && !f.column.Unique {
		return nil
	}
	switch v := v.(type) {
	case string:
		if len(v) <= driver.MaxIndexedTextLen {
			return nil
		}
		if n := utf8.RuneCountInString(v); n > driver.MaxIndexedTextLen {
			return fmt.Errorf("text %.10q… of %d characters in an indexed column: at most %d", v, n, driver.MaxIndexedTextLen)
		}
	case []byte:
		if len(v) > driver.MaxIndexedBytesLen {
			return fmt.Errorf("%d bytes in an indexed column: at most %d", len(v), driver.MaxIndexedBytesLen)
		}
	}
	return nil
}
