package driver_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

func TestRowsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	row := []driver.NamedValue{
		{Name: "null"}, {Name: "int", Value: int64(math.MinInt64)}, {Name: "float", Value: 0.1}, {Name: "inf", Value: math.Inf(-1)},
		{Name: "bool", Value: true}, {Name: "text", Value: "grün \"x\" \x00<"}, {Name: "no text", Value: "\xff\x00"},
		{Name: "empty", Value: ""}, {Name: "bytes", Value: []byte{0, 0xff}}, {Name: "no bytes", Value: []byte{}},
		{Name: "time", Value: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}, {Name: "none", Value: time.Time{}},
	}
	data, err := driver.EncodeRow(row)
	if err != nil {
		t.Fatal(err)
	}
	back, err := driver.DecodeRow(data)
	if d := cmp.Diff(row, back); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	if _, err := driver.EncodeRow([]driver.NamedValue{{Name: "x", Value: 1}}); err == nil {
		t.Error("a value of another type must be refused")
	}
	for _, bad := range []string{"", "{}", `[{"name":"x","kind":"word"}]`, `[{"name":"x","kind":"int","value":"y"}]`, `[{"name":"x","kind":"bytes","value":"?"}]`} {
		if _, err := driver.DecodeRow([]byte(bad)); err == nil {
			t.Errorf("%s must be refused", bad)
		}
	}
}
