package drivertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// testGroups checks that a Grouper counts like a scan of every record.
func testGroups(t *testing.T, s *suite) {
	s.forBoth(t, "every column is counted by its values", testEveryColumnIsCountedByItsValues)
	s.forText(t, "long lists of values and long texts", testLongListsOfValuesAndLongTexts)
}

func testEveryColumnIsCountedByItsValues(t *testing.T, k *kit) {
	st := k.fresh(t, fields...)
	var ms []driver.Mutation
	for n := range 40 {
		r := k.rec(n)
		for i := range r.Fields {
			if n%(i+5) == 0 {
				r.Fields[i] = nil
			} else {
				r.Fields[i] = k.rec(n % (i + 3)).Fields[i]
			}
		}
		r.Fields[0] = []any{"a", "A", "a ", "ä", "", nil}[n%6] // equal in some collations
		r.Fields[5] = []any{[]byte{}, []byte("a"), []byte("A"), nil}[n%4]
		r.Created = baseTime
		ms = append(ms, create(r))
	}
	st.mustApply(t, ms...)
	columns := []string{driver.ColID, driver.ColType, driver.ColState, driver.ColRevision, driver.ColCreated, driver.ColModified}
	for _, f := range fields {
		columns = append(columns, f.Name)
	}
	for _, q := range []*driver.Query{
		{},
		{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"NEW"}}}},
		{Where: []driver.Cond{{Column: "name", Op: driver.Ne, Values: []any{"a"}}}},
		{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"none"}}}},
	} {
		for _, column := range columns {
			want := map[string]int64{}
			for _, rec := range st.scan(t, &driver.Query{Where: q.Where, Parts: everything}) {
				want[describeValue(st.cols.Value(&rec, column))]++
			}
			got := map[string]int64{}
			st.view(t, func(r driver.Reader) error {
				groups, err := driver.CountBy(bg, r, st.cols, q, column)
				for _, g := range groups {
					name := describeValue(g.Value)
					if _, dup := got[name]; dup {
						t.Errorf("CountBy of %q must give each value once, not %s again", column, name)
					}
					got[name] = g.Count
				}
				return err
			})
			if d := diff(want, got); d != "" {
				t.Errorf("CountBy of %q must count what a Scan finds for %+v (-want +got):\n%s", column, q.Where, d)
			}
		}
	}
}

func testLongListsOfValuesAndLongTexts(t *testing.T, k *kit) {
	st := k.fresh(t, driver.Column{Name: "note", Kind: driver.Text})
	texts := []string{strings.Repeat("x", 3000) + "1", strings.Repeat("x", 3000) + "2"}
	var ms []driver.Mutation
	for n := range 6 {
		r := k.plain(n)
		r.Fields = []any{texts[n%2]}
		ms = append(ms, create(r))
	}
	st.mustApply(t, ms...)
	var values []any
	for n := range 70_000 {
		values = append(values, fmt.Sprint("no such note ", n))
	}
	q := &driver.Query{Where: []driver.Cond{{Column: "note", Op: driver.In, Values: append(values, texts[1])}}}
	st.view(t, func(r driver.Reader) error {
		groups, err := driver.CountBy(bg, r, st.cols, q, "note")
		if err == nil && !slices.Equal(groups, []driver.Group{{Value: texts[1], Count: 3}}) {
			t.Errorf("CountBy must count the 3 records of one text, not give %d groups", len(groups))
		}
		return err
	})
}

func describeValue(v any) string { return fmt.Sprintf("%T %[1]q", v) }
