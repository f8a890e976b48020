package idfactory

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPrefixAndSeq(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		id     ID
		prefix string
		seq    int64
		ok     bool
	}{
		{"an integer", "17", "", 17, true},
		{"zero", "0", "", 0, true},
		{"the greatest integer", "9223372036854775807", "", math.MaxInt64, true},
		{"an integer beyond 63 bits", "9223372036854775808", "", 0, false},
		{"a prefix", "Task.17", "Task", 17, true},
		{"a prefix with dots", "a..b.3", "a..b", 3, true},
		{"a prefix that is a number", "1.2", "1", 2, true},
		{"a negative integer", "-3", "", 0, false},
		{"a negative number after a prefix", "Task.-3", "", 0, false},
		{"a sign", "+3", "", 0, false},
		{"leading zeros", "Task.017", "", 0, false},
		{"no prefix before the dot", ".5", "", 0, false},
		{"no number after the dot", "Task.", "", 0, false},
		{"an underscore in the number", "1_0", "", 0, false},
		{"any other text", "0197f3a2-7", "", 0, false},
		{"no ID", "", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seq, ok := tt.id.Seq()
			if prefix := tt.id.Prefix(); prefix != tt.prefix || seq != tt.seq || ok != tt.ok {
				t.Errorf("%q: prefix %q, number %d, %t", tt.id, prefix, seq, ok)
			}
		})
	}
}

func TestCompareOrder(t *testing.T) {
	t.Parallel()
	want := []ID{
		"", "-9223372036854775808", "-10", "-9", "0", "9", "10", "9223372036854775807",
		"-0", "-09", "007", "9223372036854775808",
		"Job.3", "Task", "Task.9", "Task.10", "Task.", "Task.-1", "Task.01", "Task.x", "Task.x.1", "a",
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestCompareIsAnOrder(t *testing.T) {
	t.Parallel()
	ids := rapid.Custom(func(t *rapid.T) ID {
		prefix := rapid.SampledFrom([]string{"", "", "-", "a", "a.", "a.1", ".", "1."}).Draw(t, "prefix")
		return ID(prefix + rapid.SampledFrom([]string{"", "0", "1", "9", "10", "01", "x", ".1", ".10", "-1", "99999999999999999999"}).Draw(t, "rest"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := ids.Draw(t, "a"), ids.Draw(t, "b"), ids.Draw(t, "c")
		if (Compare(a, b) == 0) != (a == b) {
			t.Fatalf("Compare(%q, %q) = %d", a, b, Compare(a, b))
		}
		if Compare(a, b) != -Compare(b, a) {
			t.Fatalf("%q and %q: %d and %d", a, b, Compare(a, b), Compare(b, a))
		}
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
			t.Fatalf("%q <= %q <= %q, but not the first and the last", a, b, c)
		}
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		id       ID
		text     string // part of the error; "" if valid
		integral string
	}{
		{"an integer", "17", "", ""},
		{"a negative integer", "-17", "", ""},
		{"zero", "0", "", ""},
		{"the least integer", "-9223372036854775808", "", ""},
		{"beyond 64 bits", "9223372036854775808", "", "canonical"},
		{"below 64 bits", "-9223372036854775809", "", "canonical"},
		{"minus zero", "-0", "", "canonical"},
		{"a leading zero", "017", "", "canonical"},
		{"a plus", "+17", "", "canonical"},
		{"two signs", "--17", "", "canonical"},
		{"a sign alone", "-", "", "canonical"},
		{"a blank", " 17", "", "canonical"},
		{"an underscore", "1_7", "", "canonical"},
		{"digits of another script", "१७", "", "canonical"},
		{"any text", "Task 1/ä", "", "canonical"},
		{"nothing", "", "empty", "empty"},
		{"the longest", ID(strings.Repeat("x", MaxLen)), "", "canonical"},
		{"too long", ID(strings.Repeat("x", MaxLen+1)), "192 bytes", "192 bytes"},
		{"a NUL", "a\x00b", "NUL", "NUL"},
		{"invalid UTF-8", "a\xff", "UTF-8", "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for integer, want := range map[bool]string{false: tt.text, true: tt.integral} {
				err := Validate(tt.id, integer)
				if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("integer %t: error %v, want %q", integer, err, want)
				}
			}
		})
	}
}

func TestValidateTakesEveryInteger(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		if err := Validate(ID(strconv.FormatInt(n, 10)), true); err != nil {
			t.Fatal(err)
		}
	})
}
