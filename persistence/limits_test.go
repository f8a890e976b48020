package persistence_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// These tests try every limit, at the bound and one past it, on every backend: what one of them
// refuses all of them refuse, with the same error and when it is written; what is accepted comes
// back equal. docs/limits.md lists the limits.

// errAny is the expected error where there is no sentinel: callers cannot act on it.
var errAny = errors.New("any error")

func wantRefused(t *testing.T, err, want error) {
	t.Helper()
	switch {
	case want == nil && err != nil:
		t.Errorf("refused: %v", err)
	case want != nil && err == nil:
		t.Errorf("accepted, want %v", want)
	case want != nil && !errors.Is(want, errAny) && !errors.Is(err, want):
		t.Errorf("got %v, want %v", err, want)
	}
}

// A Row is an object whose columns are given by the test.
type Row struct {
	persistence.Persistable
	Name    string
	State   string
	Columns map[string]any `msgpack:"-"`
}

func init() { persistence.Register[Row]("limits_test.Row") }

// rowKinds are the columns of a Row: one of each kind, with an index and without.
var rowKinds = map[string]extrafields.Kind{
	"text": extrafields.Text, "int": extrafields.Int, "float": extrafields.Float,
	"bool": extrafields.Bool, "bytes": extrafields.Bytes, "time": extrafields.Time,
}

func rowFields() []extrafields.Field {
	var fields []extrafields.Field
	for _, kind := range []string{"text", "int", "float", "bool", "bytes", "time"} {
		get := func(obj any) (any, error) {
			if r, ok := obj.(*Row); ok {
				return r.Columns[kind], nil
			}
			return nil, nil
		}
		fields = append(fields, extrafields.Func(kind+"_plain", rowKinds[kind], get), extrafields.Func(kind+"_indexed", rowKinds[kind], get).Indexed())
	}
	return fields
}

// warningCount counts what is logged at level Warn.
type warningCount struct {
	mu sync.Mutex
	n  int
}

func (w *warningCount) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (w *warningCount) Handle(context.Context, slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	return nil
}
func (w *warningCount) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w *warningCount) WithGroup(string) slog.Handler      { return w }

// taken returns the number of warningCount since the last call.
func (w *warningCount) taken() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.n
	w.n = 0
	return n
}

func count(t *testing.T, s *persistence.Store) int64 {
	t.Helper()
	return must[int64](t)(s.Count(t.Context(), nil))
}

func TestLimitsOfIDs(t *testing.T) {
	type limit struct {
		id   string
		want error
	}
	texts := []limit{
		{"x", nil},
		{" ", nil},
		{".", nil},
		{"../x", nil},
		{"a\nb\t\u0001", nil},
		{"\ufffe\uffff\U0010ffff", nil},
		{"007", nil},
		{"-0", nil},
		{"9223372036854775808", nil},
		{strings.Repeat("x", 191), nil},
		{strings.Repeat("é", 95) + "x", nil},
		{strings.Repeat("😀", 47) + "abc", nil},
		{strings.Repeat("/", 191), nil},
		{"", persistence.ErrInvalidID},
		{strings.Repeat("x", 192), persistence.ErrInvalidID},
		{strings.Repeat("é", 96), persistence.ErrInvalidID},
		{"a\x00b", persistence.ErrInvalidID},
		{"\xff", persistence.ErrInvalidID},
		{"\xed\xa0\x80", persistence.ErrInvalidID}, // half of a surrogate pair
	}
	integers := []limit{
		{"0", nil},
		{"-5", nil},
		{"9223372036854775807", nil},
		{"-9223372036854775808", nil},
		{"9223372036854775808", persistence.ErrInvalidID},
		{"-9223372036854775809", persistence.ErrInvalidID},
		{"", persistence.ErrInvalidID},
		{"007", persistence.ErrInvalidID},
		{"+1", persistence.ErrInvalidID},
		{"-0", persistence.ErrInvalidID},
		{" 1", persistence.ErrInvalidID},
		{"1.0", persistence.ErrInvalidID},
		{"x", persistence.ErrInvalidID},
		{"１", persistence.ErrInvalidID}, // a digit that is not ASCII
	}
	for kind, c := range map[string]struct {
		ids    idfactory.Factory
		limits []limit
	}{"text": {idfactory.UUIDv7(), texts}, "integer": {idfactory.Integers(), integers}} {
		t.Run(kind, func(t *testing.T) {
			backends(t, func(t *testing.T, url string) {
				s, ctx := open(t, url, &persistence.Options{IDs: c.ids}), t.Context()
				for i, l := range c.limits {
					id := persistence.ID(l.id)
					before := count(t, s)
					wantRefused(t, s.Insert(ctx, id, i), l.want)
					if l.want != nil {
						wantRefused(t, s.Put(ctx, id, i), l.want)
						wantRefused(t, s.Replace(ctx, id, i), l.want)
						_, err := s.Load(ctx, id)
						wantRefused(t, err, persistence.ErrNotFound)
						_, err = s.Stat(ctx, id)
						wantRefused(t, err, persistence.ErrNotFound)
						wantRefused(t, s.Remove(ctx, id), persistence.ErrNotFound)
						_, err = s.LoadAll(ctx, id)
						wantRefused(t, err, persistence.ErrNotFound)
						_, err = persistence.Load[Row](ctx, s, id)
						wantRefused(t, err, persistence.ErrNotFound)
						if n := count(t, s); n != before {
							t.Errorf("%q: %d records where %d were", l.id, n, before)
						}
						continue
					}
					if got, err := s.Load(ctx, id); got != i || err != nil {
						t.Errorf("%q gives %v, %v", l.id, got, err)
					}
					wantRefused(t, s.Replace(ctx, id, i), nil)
					n, err := s.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", id)}})
					if n != 1 || err != nil {
						t.Errorf("a query for %q finds %d, %v", l.id, n, err)
					}
				}
				// What a factory makes is held to the same.
				for _, l := range texts {
					if kind == "text" && l.want != nil {
						bad := idfactory.Func(func(context.Context, any) (idfactory.ID, error) { return idfactory.ID(l.id), nil })
						f := open(t, url, &persistence.Options{IDs: bad})
						_, err := f.Save(ctx, 1)
						wantRefused(t, err, l.want)
					}
				}
			})
		})
	}
}

// The number after the greatest ID does not exist.
func TestTheCounterHasAnEnd(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		check(t, s.Insert(ctx, persistence.ID("9223372036854775807"), "last"))
		for range 2 {
			if id, err := s.Save(ctx, "one more"); err == nil {
				t.Errorf("one more is saved as %q", id)
			}
		}
		check(t, s.Insert(ctx, persistence.ID("1"), "first"))
		if n := count(t, s); n != 2 {
			t.Errorf("%d records, want 2", n)
		}
	})
}

func TestLimitsOfReserve(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		must[persistence.ID](t)(s.Save(ctx, "first"))
		for n, want := range map[int]error{-1: errAny, 0: errAny, math.MinInt: errAny, math.MaxInt: errAny, 1: nil, 1_000_000_000: nil} {
			wantRefused(t, s.Reserve(ctx, n), want)
		}
		id, err := s.Save(ctx, "last")
		if n, ok := id.Seq(); err != nil || !ok || n > 2_000_000_000 {
			t.Errorf("saved as %q, %v", id, err)
		}
	})
}

func TestLimitsOfStates(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		claimed := must[persistence.ID](t)(s.Save(ctx, &Row{Name: "claimed"}))
		for _, l := range []struct {
			state string
			want  error
		}{
			{"", nil},
			{" ", nil},
			{"\u0001\n", nil},
			{strings.Repeat("x", 128), nil},
			{strings.Repeat(" ", 128), nil},
			{strings.Repeat("😀", 128), nil},
			{strings.Repeat("x", 129), persistence.ErrTooLarge},
			{strings.Repeat("x", 128) + " ", persistence.ErrTooLarge},
			{strings.Repeat("😀", 129), persistence.ErrTooLarge},
			{"a\x00", persistence.ErrUnstorable},
			{"\xff", persistence.ErrUnstorable},
		} {
			before := count(t, s)
			id, err := s.Save(ctx, &Row{State: l.state})
			wantRefused(t, err, l.want)
			q := &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", claimed)}}
			if l.state != "" {
				claims, err := s.Claim(ctx, q, persistence.ClaimOptions{Owner: "me", Lease: time.Minute, State: l.state})
				wantRefused(t, err, l.want)
				for _, c := range claims {
					check(t, c.Release(ctx))
					if info := must[persistence.Info](t)(s.Stat(ctx, claimed)); info.State != l.state {
						t.Errorf("claimed with state %q, not %q", info.State, l.state)
					}
				}
			}
			if l.want != nil {
				if n := count(t, s); n != before {
					t.Errorf("%q: %d records where %d were", l.state, n, before)
				}
				continue
			}
			info := must[persistence.Info](t)(s.Stat(ctx, id))
			row, err := persistence.Load[Row](ctx, s, id)
			if err != nil || info.State != l.state || row.State != l.state {
				t.Errorf("state %q is %q and %q, %v", l.state, info.State, row.State, err)
			}
			n, err := s.Count(ctx, &persistence.Query{State: []string{l.state}, Where: []persistence.Cond{persistence.Eq("id", id)}})
			if n != 1 || err != nil {
				t.Errorf("a query for state %q finds %d, %v", l.state, n, err)
			}
		}
	})
}

func TestLimitsOfColumns(t *testing.T) {
	long := func(n int) string { return strings.Repeat("😀", n) }
	type none struct{}
	last := time.Unix(math.MaxInt64/1_000_000, 0)
	limits := []struct {
		kind  string
		value any
		want  any // in the column
		// stored says in which columns: a value that is not is NULL with a warning.
		plain, indexed bool
	}{
		{"text", "", "", true, true},
		{"text", " a ", " a ", true, true},
		{"text", long(255), long(255), true, true},
		{"text", strings.Repeat(" ", 255), strings.Repeat(" ", 255), true, true},
		{"text", long(256), long(256), true, false},
		{"text", strings.Repeat(" ", 256), strings.Repeat(" ", 256), true, false},
		{"text", long(100_000), long(100_000), true, false},
		{"text", "a\x00", nil, false, false},
		{"text", "\xff", nil, false, false},
		{"text", 1, nil, false, false},
		{"int", int64(math.MaxInt64), int64(math.MaxInt64), true, true},
		{"int", int64(math.MinInt64), int64(math.MinInt64), true, true},
		{"int", uint64(math.MaxInt64), int64(math.MaxInt64), true, true},
		{"int", uint64(math.MaxInt64 + 1), nil, false, false},
		{"int", 1.0, nil, false, false},
		{"float", math.MaxFloat64, math.MaxFloat64, true, true},
		{"float", -math.MaxFloat64, -math.MaxFloat64, true, true},
		{"float", math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat64, true, true},
		{"float", float32(0.1), float64(float32(0.1)), true, true},
		{"float", math.Copysign(0, -1), 0.0, true, true},
		{"float", math.NaN(), nil, true, true}, // NULL, but no failure
		{"float", math.Inf(1), nil, false, false},
		{"float", math.Inf(-1), nil, false, false},
		{"float", int64(1 << 53), float64(1 << 53), true, true},
		{"float", int64(1<<53 + 1), nil, false, false},
		{"bool", true, true, true, true},
		{"bool", 1, nil, false, false},
		{"bytes", []byte{}, []byte{}, true, true},
		{"bytes", []byte{0, 255}, []byte{0, 255}, true, true},
		{"bytes", make([]byte, 255), make([]byte, 255), true, true},
		{"bytes", make([]byte, 256), make([]byte, 256), true, false},
		{"bytes", make([]byte, 1<<16), make([]byte, 1<<16), true, false},
		{"bytes", "text", nil, false, false},
		{"time", time.Time{}, time.Time{}, true, true},
		{"time", last.Add(-time.Nanosecond), last.Add(-time.Microsecond), true, true},
		{"time", last, nil, false, false},
		{"time", time.Unix(-last.Unix(), 0).Add(time.Second), time.Unix(-last.Unix(), 0).Add(time.Second), true, true},
		{"time", time.Unix(-last.Unix(), 0), nil, false, false},
		{"time", time.Unix(math.MaxInt64, 0), nil, false, false},
		{"time", "2024-01-01", nil, false, false},
		{"time", none{}, nil, false, false},
	}
	backends(t, func(t *testing.T, url string) {
		log := &warningCount{}
		s, ctx := open(t, url, &persistence.Options{ExtraFields: rowFields(), Logger: slog.New(log)}), t.Context()
		for _, l := range limits {
			log.taken()
			id := must[persistence.ID](t)(s.Save(ctx, &Row{Columns: map[string]any{l.kind: l.value}}))
			warned := log.taken()
			info := must[persistence.Info](t)(s.Stat(ctx, id))
			wantWarnings := 0
			for _, c := range []struct {
				name   string
				stored bool
			}{{"_plain", l.plain}, {"_indexed", l.indexed}} {
				want := l.want
				if !c.stored {
					want = nil
					wantWarnings++
				}
				if diff := cmp.Diff(want, info.Fields[l.kind+c.name], cmpopts.EquateApproxTime(0)); diff != "" {
					t.Errorf("%.40v in %s%s: (-want +got)\n%.400s", l.value, l.kind, c.name, diff)
				}
				if want == nil {
					continue
				}
				q := &persistence.Query{Where: []persistence.Cond{persistence.Eq(l.kind+c.name, l.value), persistence.Eq("id", id)}}
				if n, err := s.Count(ctx, q); n != 1 || err != nil {
					t.Errorf("a query for %.40v in %s%s finds %d, %v", l.value, l.kind, c.name, n, err)
				}
			}
			if warned != wantWarnings {
				t.Errorf("%.40v in %s: %d warningCount, want %d", l.value, l.kind, warned, wantWarnings)
			}
		}
	})
}
