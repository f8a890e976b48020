package driver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

var schema = driver.Schema{Fields: []driver.Column{
	{Name: "text", Kind: driver.Text}, {Name: "int", Kind: driver.Int}, {Name: "float", Kind: driver.Float},
	{Name: "bool", Kind: driver.Bool}, {Name: "bytes", Kind: driver.Bytes}, {Name: "time", Kind: driver.Time},
}}

func TestConditions(t *testing.T) {
	t.Parallel()
	cols := driver.NewColumns(schema)
	at := time.Date(2026, 11, 27, 5, 0, 0, 0, time.UTC)
	full := &driver.Record{ID: "task.9", Type: "Task", State: "NEW", Revision: 3, Created: at, Modified: at.Add(time.Hour),
		Claim:  driver.Claim{Owner: "ann", Until: at, Token: 3},
		Fields: []any{"abc", int64(7), 1.5, true, []byte{1, 2}, at}}
	null := &driver.Record{ID: "task.10", Fields: make([]any, 6)}
	for _, tt := range []struct {
		column     string
		op         driver.CmpOp
		values     []any
		full, null bool
	}{
		{"text", driver.Eq, []any{"abc"}, true, false},
		{"text", driver.Eq, []any{"ABC"}, false, false},
		{"text", driver.Ne, []any{"abc"}, false, true},
		{"text", driver.Ne, []any{"x"}, true, true},
		{"text", driver.HasPrefix, []any{"ab"}, true, false},
		{"text", driver.HasPrefix, []any{""}, true, false},
		{"text", driver.HasPrefix, []any{"a%"}, false, false},
		{"id", driver.HasPrefix, []any{"task."}, true, true},
		{"text", driver.HasSuffix, []any{"bc"}, true, false},
		{"text", driver.HasSuffix, []any{""}, true, false},
		{"text", driver.HasSuffix, []any{"BC"}, false, false},
		{"text", driver.Contains, []any{"b"}, true, false},
		{"text", driver.Contains, []any{""}, true, false},
		{"text", driver.Contains, []any{"_"}, false, false},
		{"id", driver.HasSuffix, []any{"9"}, true, false},
		{"id", driver.Contains, []any{"k.1"}, false, true},
		{"id", driver.Lt, []any{driver.ID("task.9")}, false, true}, // text by bytes
		{"int", driver.Lt, []any{int64(8)}, true, false},
		{"int", driver.Le, []any{int64(7)}, true, false},
		{"int", driver.Gt, []any{int64(7)}, false, false},
		{"int", driver.Ge, []any{int64(7)}, true, false},
		{"int", driver.In, []any{int64(1), int64(7)}, true, false},
		{"int", driver.In, nil, false, false},
		{"int", driver.NotIn, []any{int64(7)}, false, true},
		{"int", driver.NotIn, nil, true, true},
		{"int", driver.IsNull, nil, false, true},
		{"int", driver.NotNull, nil, true, false},
		{"float", driver.Gt, []any{1.25}, true, false},
		{"bool", driver.Gt, []any{false}, true, false},
		{"bytes", driver.Ge, []any{[]byte{1}}, true, false},
		{"bytes", driver.Lt, []any{[]byte{}}, false, false},
		{"time", driver.Le, []any{at}, true, false},
		{"type", driver.Eq, []any{"Task"}, true, false},
		{"state", driver.In, []any{"NEW", ""}, true, true},
		{"revision", driver.Ge, []any{int64(3)}, true, false},
		{"created", driver.Lt, []any{at.Add(time.Second)}, true, true},
		{"modified", driver.Gt, []any{at}, true, false},
		{driver.ColClaimOwner, driver.Eq, []any{"ann"}, true, false},
		{driver.ColClaimUntil, driver.IsNull, nil, false, true},
		{driver.ColClaimToken, driver.Eq, []any{int64(3)}, true, false},
	} {
		q := &driver.Query{Where: []driver.Cond{{Column: tt.column, Op: tt.op, Values: tt.values}}}
		if got := cols.Match(q, full); got != tt.full {
			t.Errorf("%s %v %v: got %v of the full record", tt.column, tt.op, tt.values, got)
		}
		if got := cols.Match(q, null); got != tt.null {
			t.Errorf("%s %v %v: got %v of the one of NULLs", tt.column, tt.op, tt.values, got)
		}
	}
}

func TestOrHoldsWhereOneConditionDoes(t *testing.T) {
	t.Parallel()
	cols := driver.NewColumns(driver.Schema{Fields: []driver.Column{{Name: "int", Kind: driver.Int}}})
	rec := &driver.Record{ID: "a", State: "NEW", Fields: []any{int64(7)}}
	yes := driver.Cond{Column: "int", Op: driver.Eq, Values: []any{int64(7)}}
	no := driver.Cond{Column: "int", Op: driver.IsNull}
	also := driver.Cond{Column: driver.ColState, Op: driver.Ne, Values: []any{"DONE"}}
	for _, tt := range []struct {
		any  []driver.Cond
		want bool
	}{
		{nil, false}, {[]driver.Cond{no}, false}, {[]driver.Cond{no, no}, false},
		{[]driver.Cond{yes}, true}, {[]driver.Cond{no, also}, true}, {[]driver.Cond{yes, no}, true},
	} {
		or := driver.Cond{Op: driver.Or, Any: tt.any}
		for _, all := range [][]driver.Cond{{or}, {or, also}, {yes, or}} {
			if got := cols.Match(&driver.Query{Where: all}, rec); got != tt.want {
				t.Errorf("%v: got %v", all, got)
			}
		}
		if cols.Match(&driver.Query{Where: []driver.Cond{or, no}}, rec) {
			t.Errorf("%v and a condition that does not hold", or)
		}
	}
	or := driver.Cond{Op: driver.Or, Any: []driver.Cond{yes, also}}
	if got := slices.Collect(or.Columns()); !slices.Equal(got, []string{"int", driver.ColState}) {
		t.Error(got)
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	rec := func(id driver.ID, text any, n any) *driver.Record {
		return &driver.Record{ID: id, Fields: []any{text, n, nil, nil, nil, nil}}
	}
	recs := []*driver.Record{rec("10", "b", int64(1)), rec("9", "a", nil), rec("-2", nil, int64(2)), rec("1", "b", int64(2))}
	for _, tt := range []struct {
		name     string
		integers bool
		order    []driver.Order
		want     []driver.ID
	}{
		{"integer IDs by value", true, nil, []driver.ID{"-2", "1", "9", "10"}},
		{"text IDs by bytes", false, nil, []driver.ID{"-2", "1", "10", "9"}},
		{"NULL last, ascending", true, []driver.Order{{Column: "text"}}, []driver.ID{"9", "1", "10", "-2"}},
		{"NULL last, descending", true, []driver.Order{{Column: "text", Desc: true}}, []driver.ID{"1", "10", "9", "-2"}},
		{"two columns", true, []driver.Order{{Column: "text", Desc: true}, {Column: "int"}}, []driver.ID{"10", "1", "9", "-2"}},
	} {
		s := schema
		s.IntegerIDs = tt.integers
		cols := driver.NewColumns(s)
		q := &driver.Query{Order: tt.order}
		sorted := slices.SortedFunc(slices.Values(recs), func(a, b *driver.Record) int {
			return cols.Compare(q, cols.Cursor(q, a), cols.Cursor(q, b))
		})
		var got []driver.ID
		for _, r := range sorted {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestColumnsThatAQueryWants(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		q      driver.Query
		column string
		want   bool
	}{
		{driver.Query{}, driver.ColState, false},
		{driver.Query{Parts: driver.Info}, driver.ColState, true},
		{driver.Query{Parts: driver.Version}, driver.ColState, true},
		{driver.Query{Parts: driver.Version}, driver.ColCreated, false},
		{driver.Query{Parts: driver.Fields}, "host", true},
		{driver.Query{Parts: driver.Info}, "host", false},
		{driver.Query{Parts: driver.Info | driver.Fields, Columns: []string{"host"}}, driver.ColState, false},
		{driver.Query{Parts: driver.Info | driver.Fields, Columns: []string{"host"}}, "host", true},
		{driver.Query{Parts: driver.Info, Columns: []string{driver.ColClaimToken}}, driver.ColClaimOwner, true},
	} {
		if got := tt.q.Wants(tt.column); got != tt.want {
			t.Errorf("%+v wants %s: got %v", tt.q, tt.column, got)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"store": true, "_x9": true, "": false, "9x": false, "a-b": false, "ä": false,
		"a23456789012345678901234567890123456789012345678901234567890123":  true,
		"a234567890123456789012345678901234567890123456789012345678901234": false,
	} {
		if got := driver.ValidName(name); got != want {
			t.Errorf("ValidName(%q) is %v", name, got)
		}
	}
}
