package extrafields

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
)

// Kind is the kind of a column's values.
type Kind = driver.Kind

// The kinds, and the Go types of their canonical values.
const (
	Text  = driver.Text  // string: valid UTF-8 without NUL
	Int   = driver.Int   // int64
	Float = driver.Float // float64; never NaN, an infinity or negative zero
	Bool  = driver.Bool  // bool
	Bytes = driver.Bytes // []byte
	Time  = driver.Time  // time.Time in UTC, whole microseconds
)

// Canonical returns v as the canonical value of a kind, or nil for NULL.
//
// Named types count as what they are underneath, pointers and interfaces as what they point to.
//   - Text takes strings, and other values with a String method, but not times.
//   - Int takes every integer that an int64 holds; a time.Duration is its nanoseconds.
//   - Float takes finite floats, and integers that a float64 holds exactly; -0 becomes 0.
//   - Bool takes bools.
//   - Bytes takes slices and arrays of bytes, and copies them.
//   - Time takes times, and cuts them to the microsecond below.
//
// nil, nil pointers, nil slices and, for Float, NaN are NULL. Everything else is an error. A
// String method that panics does so through Canonical.
func Canonical(kind Kind, v any) (any, error) {
	// What is canonical already needs no second allocation.
	switch x := v.(type) {
	case nil:
		if !validKind(kind) {
			return nil, errKind
		}
		return nil, nil
	case string:
		if kind == Text {
			if err := checkText(x); err != nil {
				return nil, err
			}
			return v, nil
		}
	case int64:
		if kind == Int {
			return v, nil
		}
	case float64:
		if kind == Float {
			return canonicalFloat(x)
		}
	case bool:
		if kind == Bool {
			return v, nil
		}
	case time.Time:
		if kind == Time {
			return canonicalTime(x)
		}
	}
	return canonical(kind, reflect.ValueOf(v))
}

var errKind = errors.New("unknown kind")

func validKind(k Kind) bool { return k >= Text && k <= Time }

// maxIndirect bounds the pointers and interfaces followed to one value: a pointer may lead to
// itself.
const maxIndirect = 32

var (
	timeType     = reflect.TypeFor[time.Time]()
	stringerType = reflect.TypeFor[fmt.Stringer]()
)

// canonical is Canonical of a value that need not be in an interface.
func canonical(kind Kind, v reflect.Value) (any, error) {
	var via reflect.Value // the last pointer followed
	for n := 0; v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface; n++ {
		if n == maxIndirect {
			return nil, fmt.Errorf("more than %d pointers to a %s value", maxIndirect, kind)
		}
		if v.IsNil() {
			return nil, nil
		}
		if v.Kind() == reflect.Pointer {
			via = v
		}
		v = v.Elem()
	}
	if !v.IsValid() && validKind(kind) {
		return nil, nil
	}
	switch kind {
	case Text:
		return canonicalText(v, via)
	case Int:
		return canonicalInt(v)
	case Float:
		return canonicalNumber(v)
	case Bool:
		if v.Kind() == reflect.Bool {
			return v.Bool(), nil
		}
	case Bytes:
		return canonicalBytes(v)
	case Time:
		if v.Kind() == reflect.Struct && v.Type().ConvertibleTo(timeType) {
			return canonicalTime(v.Convert(timeType).Interface().(time.Time))
		}
	default:
		return nil, errKind
	}
	return nil, wrongKind(kind, v.Type())
}

func wrongKind(kind Kind, t reflect.Type) error {
	return fmt.Errorf("a %s is no %s value", t, kind)
}

// canonicalText takes the value and the pointer that led to it, if any, since the method may
// be the pointer's.
func canonicalText(v, via reflect.Value) (any, error) {
	var s string
	switch t := v.Type(); {
	case v.Kind() == reflect.String:
		s = v.String()
	case t.ConvertibleTo(timeType): // what its String method prints is for people
		return nil, wrongKind(Text, t)
	case t.Implements(stringerType):
		s = v.Interface().(fmt.Stringer).String()
	case via.IsValid() && via.Type().Implements(stringerType):
		s = via.Interface().(fmt.Stringer).String()
	case v.CanAddr() && v.Addr().Type().Implements(stringerType):
		s = v.Addr().Interface().(fmt.Stringer).String()
	default:
		return nil, wrongKind(Text, t)
	}
	if err := checkText(s); err != nil {
		return nil, err
	}
	return s, nil
}

func checkText(s string) error {
	i := 0
	for i < len(s) && s[i]-1 < utf8.RuneSelf-1 { // most texts are ASCII without NUL
		i++
	}
	switch s = s[i:]; {
	case s == "":
	case !utf8.ValidString(s):
		return errors.New("text that is not valid UTF-8")
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("text with a NUL")
	}
	return nil
}

func canonicalInt(v reflect.Value) (any, error) {
	switch {
	case v.CanInt():
		return v.Int(), nil
	case v.CanUint():
		if v.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("%d is more than an int64 holds", v.Uint())
		}
		return int64(v.Uint()), nil
	}
	return nil, wrongKind(Int, v.Type())
}

// canonicalNumber takes floats, and integers that are exact as a float64.
func canonicalNumber(v reflect.Value) (any, error) {
	switch {
	case v.CanFloat():
		return canonicalFloat(v.Float())
	case v.CanInt():
		// 1<<63 is the one float64 in reach that no int64 is.
		if f := float64(v.Int()); f < 1<<63 && int64(f) == v.Int() {
			return f, nil
		}
		return nil, fmt.Errorf("%d is not exact as a float64", v.Int())
	case v.CanUint():
		if f := float64(v.Uint()); f < 1<<64 && uint64(f) == v.Uint() {
			return f, nil
		}
		return nil, fmt.Errorf("%d is not exact as a float64", v.Uint())
	}
	return nil, wrongKind(Float, v.Type())
}

// canonicalFloat returns nil for NaN and 0 for -0. Not every database holds infinities.
func canonicalFloat(f float64) (any, error) {
	switch {
	case f != f:
		return nil, nil
	case f == 0:
		return 0.0, nil
	case math.IsInf(f, 0):
		return nil, fmt.Errorf("%v is infinite", f)
	}
	return f, nil
}

// canonicalBytes returns a copy of a slice or array of bytes.
func canonicalBytes(v reflect.Value) (any, error) {
	list := v.Kind() == reflect.Slice || v.Kind() == reflect.Array
	switch {
	case !list || v.Type().Elem().Kind() != reflect.Uint8:
		return nil, wrongKind(Bytes, v.Type())
	case v.Kind() == reflect.Slice && v.IsNil():
		return nil, nil
	case v.Kind() == reflect.Slice:
		return append([]byte{}, v.Bytes()...), nil
	}
	b := make([]byte, v.Len())
	for i := range b { // reflect.Copy wants elements of type byte itself
		b[i] = byte(v.Index(i).Uint())
	}
	return b, nil
}

func canonicalTime(t time.Time) (any, error) {
	// Times are kept as microseconds of 64 bits, which end in the year 294246.
	const most = math.MaxInt64 / 1_000_000
	if s := t.Unix(); s >= most || s <= -most {
		return nil, fmt.Errorf("the year %d is out of range", t.Year())
	}
	return time.UnixMicro(t.UnixMicro()).UTC(), nil
}
