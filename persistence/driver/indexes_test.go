package driver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

func index(columns ...string) driver.Index { return driver.Index{Columns: columns} }

func unique(columns ...string) driver.Index { return driver.Index{Columns: columns, Unique: true} }

func TestCheckOfAnIndex(t *testing.T) {
	t.Parallel()
	fields := []driver.Column{text("host"), number("prio"), {Name: "key", Kind: driver.Bytes}}
	many := make([]string, driver.MaxIndexColumns+1)
	for i := range many {
		many[i] = fmt.Sprintf("n%d", i)
		fields = append(fields, number(many[i]))
	}
	for name, tt := range map[string]struct {
		x    driver.Index
		want string // in the error; "": none
	}{
		"a library column":          {index("state"), ""},
		"an extra field":            {unique("host"), ""},
		"several":                   {index("type", "host", "prio"), ""},
		"as many as there may be":   {index(many[1:]...), ""},
		"one more":                  {index(many...), "17 columns, at most 16"},
		"the largest":               {index("type", "state", "host"), ""}, // 1020 + 512 + 1020 bytes
		"over that, by its values":  {index("type", "state", "host", "key"), "an index holds 2600"},
		"without columns":           {index(), "without columns"},
		"the ID":                    {index("id"), `no column "id"`},
		"a column of claims":        {index("claim_owner"), `no column "claim_owner"`},
		"an unknown column":         {index("hosts"), `no column "hosts"`},
		"a column that comes twice": {index("host", "prio", "host"), `"host" is given twice`},
	} {
		err := tt.x.Check(fields)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestIndexesOfACatalog(t *testing.T) {
	t.Parallel()
	was := &driver.Catalog{
		Columns: []driver.Column{text("host"), {Name: "prio", Kind: driver.Int, Indexed: true}},
		Indexes: []driver.Index{index("state", "host"), unique("host")},
	}
	for name, tt := range map[string]struct {
		x              driver.Index
		serves         bool
		added, removed []driver.Index // what is recorded after AddIndex and RemoveIndex; nil: as before
		indexed        bool           // whether prio is marked as indexed after RemoveIndex
	}{
		"one that is there":              {index("state", "host"), true, nil, []driver.Index{unique("host")}, true},
		"the same in other letters":      {index("STATE", "Host"), true, nil, []driver.Index{unique("host")}, true},
		"the same, unique":               {unique("state", "host"), false, []driver.Index{unique("state", "host"), unique("host")}, nil, true},
		"the columns of a unique one":    {index("host"), true, nil, nil, true},
		"the columns in another order":   {index("host", "state"), false, []driver.Index{index("state", "host"), unique("host"), index("host", "state")}, nil, true},
		"that of an indexed extra field": {index("prio"), false, []driver.Index{index("state", "host"), unique("host"), index("prio")}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := was.Serves(tt.x); got != tt.serves {
				t.Errorf("Serves is %v, want %v", got, tt.serves)
			}
			for op, want := range map[string][]driver.Index{"AddIndex": tt.added, "RemoveIndex": tt.removed} {
				c := was.Clone()
				do := c.AddIndex
				if op == "RemoveIndex" {
					do = c.RemoveIndex
				}
				changed := do(tt.x)
				wantChange := want != nil || op == "RemoveIndex" && !tt.indexed
				if want == nil {
					want = was.Indexes
				}
				if diff := cmp.Diff(want, c.Indexes); diff != "" || changed != wantChange {
					t.Errorf("%s: %v, want %v; -want +got:\n%s", op, changed, wantChange, diff)
				}
				if op == "RemoveIndex" && c.Column("prio").Indexed != tt.indexed {
					t.Errorf("prio is indexed: %v, want %v", !tt.indexed, tt.indexed)
				}
			}
		})
	}
	if diff := cmp.Diff([]driver.Index{unique("host")}, was.UniqueIndexes()); diff != "" {
		t.Errorf("unique ones, -want +got:\n%s", diff)
	}
	for column, want := range map[string][2]bool{"HOST": {true, true}, "state": {true, true}, "prio": {true, false}, "none": {false, false}} {
		if in, begins := was.InIndexes(column), was.Begins(column); in != want[0] || begins != want[1] {
			t.Errorf("%s: in an index %v, at the beginning %v, want %v", column, in, begins, want)
		}
	}
	var none *driver.Catalog
	if none.Serves(index("host")) || none.RemoveIndex(index("host")) || none.InIndexes("host") || none.Begins("host") || none.UniqueIndexes() != nil {
		t.Error("a nil Catalog has an index")
	}
}

func TestKeysOfUniqueIndexes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC)
	values := [][]any{ // all different
		{""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab"}, {[]byte("a")}, {[]byte{}},
		{int64(0)}, {int64(1)}, {int64(1), int64(2)}, {0.0}, {1.0}, {true}, {false}, {at}, {at.Add(time.Microsecond)},
	}
	seen := map[string][]any{}
	for _, vs := range values {
		key, ok := driver.IndexKey(vs)
		if other, twice := seen[key]; !ok || twice {
			t.Errorf("%v and %v have the key %q (%v)", vs, other, key, ok)
		}
		seen[key] = vs
	}
	same, _ := driver.IndexKey([]any{at.In(time.FixedZone("", 3600))})
	if seen[same] == nil {
		t.Error("a time in another zone has another key")
	}
	if key, ok := driver.IndexKey([]any{"a", nil}); ok {
		t.Errorf("NULL has the key %q", key)
	}
	rec := &driver.Record{ID: "1", Type: "T", State: "NEW", Revision: 3, Created: at, Modified: at}
	field := func(name string) any { return map[string]any{"host": "red", "null": nil}[name] }
	for name, tt := range map[string]struct {
		x    driver.Index
		want []any // nil: none
	}{
		"library columns": {unique("type", "state", "revision", "created", "modified"), []any{"T", "NEW", int64(3), at, at}},
		"an extra field":  {unique("state", "host"), []any{"NEW", "red"}},
		"NULL":            {unique("host", "null"), nil},
	} {
		key, ok := tt.x.Key(rec, field)
		if want, wanted := driver.IndexKey(tt.want); ok != (tt.want != nil) || ok && (key != want || !wanted) {
			t.Errorf("%s: %q, %v, want the key of %v", name, key, ok, tt.want)
		}
	}
}

func TestValuesThatFitAnIndex(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		value any
		fits  bool
	}{
		"NULL":                     {nil, true},
		"a number":                 {int64(1), true},
		"255 letters":              {strings.Repeat("a", 255), true},
		"256 letters":              {strings.Repeat("a", 256), false},
		"255 letters of 4 bytes":   {strings.Repeat("😀", 255), true},
		"256 letters of 4 bytes":   {strings.Repeat("😀", 256), false},
		"255 bytes":                {make([]byte, 255), true},
		"256 bytes":                {make([]byte, 256), false},
		"a text of bytes, no rune": {strings.Repeat("\xff", 256), false},
	} {
		if got := driver.FitsIndex(tt.value); got != tt.fits {
			t.Errorf("%s: %v, want %v", name, got, tt.fits)
		}
	}
}

func TestErrorsOfIndexes(t *testing.T) {
	t.Parallel()
	held := driver.ErrHeld(unique("host"), "7", "3")
	re, about := errors.AsType[*driver.RecordError](held)
	ue, taken := errors.AsType[*driver.UniqueError](held)
	if !about || re.ID != "7" || !taken || ue.Holder != "3" || !errors.Is(held, driver.ErrUnique) {
		t.Errorf("%#v", held)
	}
	for want, err := range map[string]error{
		`record "7": record "3" has the same values in the unique index over "host"`:                    held,
		`the values in the unique index over "host" are taken`:                                          &driver.UniqueError{Columns: []string{"host"}},
		`the unique index over "a", "b" cannot be made: records "1" and "2" have the same values in it`: driver.ErrCollide(unique("a", "b"), "1", "2"),
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if err := driver.ErrTooLongForIndex(index("host"), "host", "9"); !strings.Contains(err.Error(), `record "9" in column "host"`) {
		t.Error(err)
	}
}
