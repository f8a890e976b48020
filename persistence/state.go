package persistence

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// unknownState is the state of an object that has none (GC3Pie's UNKNOWN).
const unknownState = "UNKNOWN"

// state returns the text for the state column. A State method or function that panics does not
// fail the save: the logger gets a warning, as for a failing extractor.
func (s *Store) state(obj any, id ID) (state string, err error) {
	state = s.readState(obj, id)
	return state, checkState(state, reflect.TypeOf(obj))
}

// checkState returns an error if a state cannot be stored. of is what the error says it is the
// state of.
func checkState(state string, of any) error {
	switch {
	case utf8.RuneCountInString(state) > driver.MaxStateLen:
		return fmt.Errorf("state %.20q… of %v has %d characters, at most %d: %w",
			state, of, utf8.RuneCountInString(state), driver.MaxStateLen, ErrTooLarge)
	case !utf8.ValidString(state) || strings.IndexByte(state, 0) >= 0:
		return fmt.Errorf("state %q of %v is not UTF-8 text without NUL: %w", state, of, ErrUnstorable)
	}
	return nil
}

func (s *Store) readState(obj any, id ID) (state string) {
	defer func() {
		if p := recover(); p != nil {
			state = unknownState
			s.warnFailure("the state of an object could not be read and is stored as "+unknownState+": correct the method State, or Options.State",
				driver.ColState, obj, id, fmt.Errorf("panic: %v", p))
		}
	}()
	if s.stateOf != nil {
		return s.stateOf(obj)
	}
	if o, ok := obj.(interface{ State() string }); ok && s.stateField(reflect.TypeOf(obj)).method {
		return o.State()
	}
	return s.stateField(reflect.TypeOf(obj)).read(reflect.ValueOf(obj))
}

// A stateField reads and writes the state of objects of a type. set is nil if there is no field
// of string kind to write.
type stateField struct {
	method   bool // the type has a method State of its own, which goes first
	promoted bool // it has one that is promoted, and no field for the state
	none     bool // there is no field for the state
	read     func(reflect.Value) string
	set      func(obj reflect.Value, state string) bool // obj is a pointer; false: the field cannot be reached
}

// stateField returns the stateField of type t.
func (s *Store) stateField(t reflect.Type) *stateField {
	f, ok := s.states.Load(t)
	if !ok {
		f, ok = s.states.LoadOrStore(t, compileState(t))
		if f := f.(*stateField); !ok && f.promoted {
			s.logger.Warn("the method State of a type is promoted from an embedded field and does not give the state of its objects: declare State on the type itself",
				"type", fmt.Sprint(t))
		}
	}
	return f.(*stateField)
}

var staterType = reflect.TypeFor[interface{ State() string }]()

// stateIsField reports whether the state of objects of type t, a struct, is a field that can be
// set.
func (s *Store) stateIsField(t reflect.Type) bool {
	return s.stateOf == nil && !s.stateField(reflect.PointerTo(t)).method && s.stateField(reflect.PointerTo(t)).set != nil
}

// setState sets the State field of the object that ptr points to, and reports whether it could.
func (s *Store) setState(ptr any, state string) bool {
	t := reflect.TypeOf(ptr)
	return s.stateIsField(t.Elem()) && s.stateField(t).set(reflect.ValueOf(ptr), state)
}

// compileState makes the stateField of type t. A method State that is promoted from an embedded
// field is that of the field, not of t.
func compileState(t reflect.Type) *stateField {
	f := compileStateField(t)
	if t != nil && t.Implements(staterType) {
		f.method = codec.OwnMethod(t, "State")
		f.promoted = !f.method && f.none
	}
	return f
}

// compileStateField is compileState without methods; t is a struct or a pointer to one.
func compileStateField(t reflect.Type) *stateField {
	for _, path := range [][]string{{"State"}, {"Execution", "State"}} {
		if f := compileStatePath(t, path); f != nil {
			return f
		}
	}
	return &stateField{none: true, read: func(reflect.Value) string { return unknownState }}
}

func compileStatePath(t reflect.Type, path []string) *stateField {
	var steps [][]int
	for _, name := range path {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return nil
		}
		f, ok := t.FieldByName(name)
		if !ok || !f.IsExported() {
			return nil
		}
		steps = append(steps, f.Index)
		t = f.Type
	}
	text := stateText(t)
	if text == nil {
		return nil
	}
	find := func(v reflect.Value) (reflect.Value, bool) {
		for _, index := range steps {
			if v.Kind() == reflect.Pointer {
				if v.IsNil() {
					return v, false
				}
				v = v.Elem()
			}
			var err error
			if v, err = v.FieldByIndexErr(index); err != nil {
				return v, false
			}
		}
		return v, true
	}
	f := &stateField{read: func(v reflect.Value) string {
		v, ok := find(v)
		if !ok {
			return unknownState
		}
		return text(v)
	}}
	if t.Kind() == reflect.String {
		f.set = func(obj reflect.Value, state string) bool {
			v, ok := find(obj)
			if ok {
				v.SetString(state)
			}
			return ok
		}
	}
	return f
}

var stringerType = reflect.TypeFor[fmt.Stringer]()

// stateText returns a function that converts a field of type t to a state, or nil if t is
// unsuitable. A string is used as it is, even if it has a String method.
func stateText(t reflect.Type) func(reflect.Value) string {
	switch {
	case t.Kind() == reflect.String:
		return reflect.Value.String
	case t.Implements(stringerType):
		return func(v reflect.Value) string {
			if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
				return unknownState
			}
			return v.Interface().(fmt.Stringer).String()
		}
	case reflect.PointerTo(t).Implements(stringerType):
		return func(v reflect.Value) string {
			if !v.CanAddr() {
				c := reflect.New(t)
				c.Elem().Set(v)
				return c.Interface().(fmt.Stringer).String()
			}
			return v.Addr().Interface().(fmt.Stringer).String()
		}
	}
	return nil
}

// fields returns the values of the extra columns of obj. A failing extractor results in NULL
// and a warning, once for each mistake and type. In a column of a unique index it is ErrUnstorable
// besides: NULL would escape the index.
func (s *Store) fields(obj any, id ID) (values []any, failed error) {
	if len(s.extras) == 0 {
		return nil, nil
	}
	values = make([]any, len(s.extras))
	for i, f := range s.extras {
		v, err := f.Value(obj)
		if err != nil {
			name := f.Column().Name
			if s.isUnique(name) {
				failed = cmp.Or(failed, fmt.Errorf("%w, and a unique index has the column: %w", err, ErrUnstorable))
				continue
			}
			s.warnFailure("an extra field could not be read and its column becomes NULL: correct its path or function, or name the types that it is for with Only",
				name, obj, id, err)
			continue
		}
		values[i] = v
	}
	return values, failed
}
