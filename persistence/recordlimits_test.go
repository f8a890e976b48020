package persistence_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/persistence"
)

// A Chain nests in one record.
type Chain struct {
	Next *Chain
	Text string
}

// What is over Limits is refused by Save, on every backend the same, and what is just within loads.
func TestLimitsOfRecords(t *testing.T) {
	const maxBytes, maxDepth = 1000, 20
	chain := func(n int) *Chain {
		var c *Chain
		for range n {
			c = &Chain{Next: c}
		}
		return c
	}
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, &persistence.Options{Limits: persistence.Limits{MaxBytes: maxBytes, MaxDepth: maxDepth}})
		ctx := t.Context()
		try := func(what string, v func(n int) any, most int) (accepted int) {
			t.Helper()
			refusals := 0
			for n := 1; n <= most; n++ {
				before := count(t, s)
				id, err := s.Save(ctx, v(n))
				if err != nil {
					refusals++
					wantIs(t, err, persistence.ErrTooLarge)
					wantIs(t, s.KV().Set(ctx, "k", v(n)), persistence.ErrTooLarge)
					if count(t, s) != before {
						t.Errorf("%s of %d: refused, and yet stored", what, n)
					}
					continue
				}
				if refusals > 0 {
					t.Errorf("%s of %d is accepted, less is not", what, n)
				}
				accepted = n
				got, err := persistence.Load[Chain](ctx, s, id)
				if err != nil || !cmp.Equal(got, v(n)) {
					t.Errorf("%s of %d: %v", what, n, err)
				}
				check(t, s.KV().Set(ctx, "k", v(n)))
				_, err = persistence.Value[Chain](ctx, s.KV(), "k")
				check(t, err)
			}
			if refusals == 0 || accepted == 0 {
				t.Errorf("%s: %d refusals, %d accepted", what, refusals, accepted)
			}
			return accepted
		}
		n := try("text", func(n int) any { return &Chain{Text: strings.Repeat("x", n+900)} }, 100)
		info := must[persistence.Info](t)(s.Stat(ctx, must[persistence.ID](t)(s.Save(ctx, &Chain{Text: strings.Repeat("x", n+900)}))))
		if info.Size != maxBytes {
			t.Errorf("the longest text makes a record of %d bytes, want %d", info.Size, maxBytes)
		}
		try("depth", func(n int) any { return chain(n) }, maxDepth+2)
	})
}

// The values that a record holds come back as they are, or are refused.
func TestLimitsOfValues(t *testing.T) {
	type limit struct {
		name  string
		value any
		want  error
	}
	name := func(n int) string { return strings.Repeat("z", n) }
	at := time.Unix(1_700_000_000, 999_999_999)
	inZone := func(zone string, offset int) time.Time { return at.In(time.FixedZone(zone, offset)) }
	cycle := map[string]any{}
	cycle["self"] = []any{cycle}
	limits := []limit{
		{"NaN and infinities", []any{math.NaN(), math.Inf(1), math.Inf(-1), float32(math.Inf(1)), math.Copysign(0, -1)}, nil},
		{"integers", []any{int64(math.MinInt64), uint64(math.MaxUint64), int8(-128), uint(math.MaxUint), int32(math.MinInt32)}, nil},
		{"complex numbers", []any{complex(math.Inf(1), -1), complex64(1)}, nil},
		{"texts", []any{"", "\x00", "\xff", "\xed\xa0\x80", strings.Repeat("x", 1<<16)}, nil},
		{"bytes", []any{[]byte{}, []byte(nil), make([]byte, 1<<16)}, nil},
		{"keys", map[string]int{"": 1, "\x00": 2, "\xff": 3}, nil},
		{"the first time", time.Unix(math.MinInt64, 0).UTC(), nil},
		{"the last time", time.Unix(math.MaxInt64, 999_999_999).UTC(), nil},
		{"the zero time", time.Time{}, nil},
		{"an offset of seconds", inZone("", 1), nil},
		{"the greatest offset", inZone("", math.MaxInt32), nil},
		{"a zone's name of 255 bytes", inZone(name(255), 3600), nil},
		{"a zone's name of 256 bytes", inZone(name(256), 3600), persistence.ErrUnstorable},
		{"a zone's name of any bytes", inZone("\xff/../\x00", 3600), nil},
		{"the greatest duration", []any{time.Duration(math.MaxInt64), time.Duration(math.MinInt64)}, nil},
		{"nil things", []any{nil, []any(nil), map[string]any(nil), (*int)(nil), map[int]string{}}, nil},
		{"a cycle", cycle, nil},
		{"a channel", []any{make(chan int)}, persistence.ErrUnstorable},
		{"a func", map[string]any{"f": func() {}}, persistence.ErrUnstorable},
		{"a uintptr", uintptr(0), persistence.ErrUnstorable},
		{"nothing", nil, persistence.ErrUnstorable},
	}
	if offset := int64(math.MaxInt32 + 1); int64(int(offset)) == offset { // an int has 64 bits
		limits = append(limits, limit{"an offset that is too great", inZone("", int(offset)), persistence.ErrUnstorable})
	}
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		for _, l := range limits {
			before := count(t, s)
			id, err := s.Save(ctx, l.value)
			if wantRefused(t, err, l.want); err != nil {
				if count(t, s) != before {
					t.Errorf("%s: refused, and yet stored", l.name)
				}
				continue
			}
			got, err := s.Load(ctx, id)
			if err != nil {
				t.Errorf("%s: %v", l.name, err)
				continue
			}
			if p, ok := got.(*time.Time); ok {
				got = *p
			}
			if l.name == "a cycle" {
				if m := got.(map[string]any); reflect.ValueOf(m["self"].([]any)[0]).Pointer() != reflect.ValueOf(m).Pointer() {
					t.Errorf("the cycle is %v", got)
				}
				continue
			}
			if diff := cmp.Diff(l.value, got, cmpopts.EquateNaNs(), cmp.Comparer(sameTime)); diff != "" {
				t.Errorf("%s: (-want +got)\n%.500s", l.name, diff)
			}
		}
	})
}

// sameTime reports whether two times are the same moment in zones of equal names and offsets.
func sameTime(a, b time.Time) bool {
	an, ao := a.Zone()
	bn, bo := b.Zone()
	return a.Equal(b) && an == bn && ao == bo
}

// Registered names of 255 bytes, and one more.
type (
	LongName  struct{ N int }
	LongRunes struct{ N int }
)

func init() {
	persistence.Register[LongName](strings.Repeat("n", 255))
	persistence.Register[LongRunes](strings.Repeat("😀", 63) + "abc")
}

func TestLimitsOfTypeNames(t *testing.T) {
	type over struct{ N int }
	for _, name := range []string{"", strings.Repeat("n", 256), strings.Repeat("é", 128), "a\x00", "a\n", "\xff", "*T", "[]T", "map[a]b", "a]b"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Register took the name %.30q", name)
				}
			}()
			persistence.Register[over](name)
		}()
	}
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		for _, obj := range []any{&LongName{1}, &LongRunes{2}} {
			id := must[persistence.ID](t)(s.Save(ctx, obj))
			if got, err := s.Load(ctx, id); err != nil || !cmp.Equal(obj, got) {
				t.Errorf("%T: %v, %v", obj, got, err)
			}
			info := must[persistence.Info](t)(s.Stat(ctx, id))
			if n, err := s.Count(ctx, &persistence.Query{Type: info.Type}); n != 1 || err != nil || len(info.Type) != 255 {
				t.Errorf("%T: %d of type %q, %v", obj, n, info.Type, err)
			}
			check(t, s.KV().Set(ctx, "k", obj))
			if got, err := s.KV().Get(ctx, "k"); err != nil || !cmp.Equal(obj, got) {
				t.Errorf("%T as a pair: %v, %v", obj, got, err)
			}
			// Composed of it: the name is longer.
			_, err := s.Save(ctx, map[string]any{"in": obj})
			check(t, err)
			many := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(obj)), 1, 1).Interface()
			_, err = s.Save(ctx, many)
			wantIs(t, err, persistence.ErrUnstorable)
			wantIs(t, s.KV().Set(ctx, "k", many), persistence.ErrUnstorable)
		}
		// A struct without a name has its text, tags included.
		fits := reflect.StructOf([]reflect.StructField{{Name: strings.Repeat("F", 255-len(`struct { F int }`)+1), Type: reflect.TypeFor[int]()}})
		if len(fits.String()) != 255 {
			t.Fatal(len(fits.String()))
		}
		id, err := s.Save(ctx, reflect.New(fits).Interface())
		if info, statErr := s.Stat(ctx, id); err != nil || statErr != nil || info.Type != fits.String() {
			t.Errorf("%v, %v: %q", err, statErr, info.Type)
		}
		longer := reflect.StructOf([]reflect.StructField{{Name: "F", Type: reflect.TypeFor[int](), Tag: reflect.StructTag(fmt.Sprintf("%0256d", 1))}})
		_, err = s.Save(ctx, reflect.New(longer).Interface())
		wantIs(t, err, persistence.ErrUnstorable)
	})
}
