package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// valueTypes are what --as of "kv set" may say.
var valueTypes = []string{"text", "int", "float", "bool", "time", "bytes", "json"}

// parseValue reads the value of a pair. as is one of valueTypes, or "" for the type of old.
func parseValue(text, as string, old any) (v any, err error) {
	switch as {
	case "":
		v, err = parseLike(text, old)
		if err != nil {
			return nil, withHint(usagef("%q is no %T, which the value of the key is: %w", text, old, err),
				"--as sets a value of another type, such as --as text.")
		}
		return v, nil
	case "text":
		v = text
	case "int":
		v, err = strconv.Atoi(text)
	case "float":
		v, err = strconv.ParseFloat(text, 64)
	case "bool":
		v, err = strconv.ParseBool(text)
	case "time":
		v, err = time.Parse(time.RFC3339Nano, text)
	case "bytes":
		v, err = base64.StdEncoding.DecodeString(text)
	case "json":
		v, err = parseJSON(text)
	default:
		return nil, usagef("--as %s: want one of %s", as, strings.Join(valueTypes, ", "))
	}
	if err != nil {
		return nil, usagef("--as %s: %w", as, err)
	}
	return v, nil
}

var durationType = reflect.TypeFor[time.Duration]()

// parseLike reads a value of the type that old has.
func parseLike(text string, old any) (any, error) {
	switch old.(type) {
	case nil:
		return parseJSON(text)
	case time.Time:
		return time.Parse(time.RFC3339Nano, text)
	case []byte:
		return base64.StdEncoding.DecodeString(text)
	}
	v := reflect.New(reflect.TypeOf(old)).Elem()
	t := v.Type()
	var err error
	switch k := t.Kind(); {
	case t == durationType:
		var d time.Duration
		d, err = time.ParseDuration(text)
		v.SetInt(int64(d))
	case k == reflect.String:
		v.SetString(text)
	case k == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, t.Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, t.Bits())
		v.SetUint(n)
	case v.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(text, t.Bits())
		v.SetFloat(f)
	case t == reflect.TypeFor[map[string]any]() || t == reflect.TypeFor[[]any]():
		var parsed any
		if parsed, err = parseJSON(text); err == nil && reflect.TypeOf(parsed) != t {
			err = fmt.Errorf("it is a %T", parsed)
		}
		return parsed, err
	default:
		err = json.Unmarshal([]byte(text), v.Addr().Interface())
	}
	return v.Interface(), err
}

// parseJSON reads JSON as a program would have the value: whole numbers are ints.
func parseJSON(text string) (any, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after the value")
	}
	return withNumbers(v)
}

// withNumbers replaces the json.Numbers in v.
func withNumbers(v any) (_ any, err error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n, nil
		} else if !strings.ContainsAny(v.String(), ".eE") {
			return nil, fmt.Errorf("%s is too large for an int: write %s.0 for a float64", v, v)
		}
		return v.Float64()
	case []any:
		for i := range v {
			if v[i], err = withNumbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range v {
			if v[name], err = withNumbers(v[name]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
