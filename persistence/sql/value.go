package sql

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
)

// zeroMicros is the zero time in Unix microseconds: what a column of times holds where none is
// known.
const zeroMicros int64 = -62135596800000000

// toSQL returns what is bound for a value of the driver contract.
func toSQL(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case time.Time:
		return v.UnixMicro()
	case driver.ID:
		return string(v)
	case []byte:
		if v == nil {
			return nil
		}
	}
	return v
}

// cell takes a column's value as the driver gives it, without the copies and
// conversions of database/sql.
type cell struct{ v any }

// Scan implements sql.Scanner.
func (c *cell) Scan(src any) error {
	c.v = src
	return nil
}

// bytes returns the value of a blob column: empty where it is NULL.
func (c *cell) bytes(fresh bool) ([]byte, error) {
	switch v := c.v.(type) {
	case nil:
		return []byte{}, nil
	case []byte:
		if len(v) == 0 {
			return []byte{}, nil
		}
		if fresh {
			return v, nil
		}
		return bytes.Clone(v), nil
	case string:
		return []byte(v), nil
	}
	return nil, fmt.Errorf("%T instead of bytes", c.v)
}

// text returns the value of a text column: empty where it is NULL.
func (c *cell) text() (string, error) {
	switch v := c.v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	v, err := fromSQL(driver.Text, c.v)
	if err != nil {
		return "", err
	}
	return v.(string), nil
}

// integer returns the value of an integer column, or null where it is NULL.
func (c *cell) integer(null int64) (int64, error) {
	switch v := c.v.(type) {
	case nil:
		return null, nil
	case int64:
		return v, nil
	}
	v, err := fromSQL(driver.Int, c.v)
	if err != nil {
		return 0, err
	}
	return v.(int64), nil
}

// fromSQL converts a value as the driver gives it to the Go type of a kind. A column made by hand
// may have values of another type: what cannot be converted without loss is an error.
func fromSQL(kind driver.Kind, src any) (any, error) {
	if src == nil {
		return nil, nil
	}
	var v any
	var ok bool
	switch kind {
	case driver.Text:
		v, ok = toText(src)
	case driver.Int:
		v, ok = toInt(src)
	case driver.Float:
		v, ok = toFloat(src)
	case driver.Bool:
		v, ok = toBool(src)
	case driver.Bytes:
		v, ok = toBytes(src)
	case driver.Time:
		v, ok = toTime(src)
	}
	if !ok {
		return nil, fmt.Errorf("%T is no %s", src, kind)
	}
	return v, nil
}

func toText(src any) (string, bool) {
	switch v := src.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), utf8.Valid(v)
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return "", false
}

func toFloat(src any) (float64, bool) {
	switch v := src.(type) {
	case float64:
		return v, true
	case int64:
		f := float64(v)
		return f, f < 1<<63 && int64(f) == v
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && !math.IsNaN(f)
	case []byte:
		return toFloat(string(v))
	}
	return 0, false
}

func toBool(src any) (value, ok bool) {
	if b, ok := src.(bool); ok {
		return b, true
	}
	n, ok := toInt(src)
	return n == 1, ok && (n == 0 || n == 1)
}

func toBytes(src any) ([]byte, bool) {
	switch v := src.(type) {
	case []byte:
		if len(v) == 0 {
			return []byte{}, true
		}
		return bytes.Clone(v), true
	case string:
		return []byte(v), true
	}
	return nil, false
}

func toTime(src any) (time.Time, bool) {
	if t, ok := src.(time.Time); ok {
		return t.UTC().Truncate(time.Microsecond), true
	}
	n, ok := toInt(src)
	return time.UnixMicro(n).UTC(), ok
}

func toInt(src any) (int64, bool) {
	switch v := src.(type) {
	case int64:
		return v, true
	case float64:
		if v == math.Trunc(v) && v >= -1<<63 && v < 1<<63 {
			return int64(v), true
		}
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	case []byte:
		return toInt(string(v))
	}
	return 0, false
}

// integerID returns the number that an ID of an integer table stands for. It
// reports false for what is no canonical decimal: no record has such an ID.
func integerID(id driver.ID) (int64, bool) {
	s := string(id)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, false
	}
	if digits := strings.TrimPrefix(s, "-"); s[0] == '+' || digits[0] == '0' && s != "0" {
		return 0, false
	}
	return n, true
}
