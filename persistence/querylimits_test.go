package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// condsOn are the comparisons of a column with one value.
var condsOn = map[string]func(column string, v any) persistence.Cond{
	"Eq": persistence.Eq, "Ne": persistence.Ne, "Lt": persistence.Lt, "Le": persistence.Le, "Gt": persistence.Gt, "Ge": persistence.Ge,
	"In":    func(column string, v any) persistence.Cond { return persistence.In(column, v) },
	"NotIn": func(column string, v any) persistence.Cond { return persistence.NotIn(column, v) },
}

// Each value is compared with a column by every comparison: all of them refuse it, or none does.
func TestLimitsOfConditions(t *testing.T) {
	type named string
	over, large := time.Unix(math.MaxInt64/1_000_000, 0), 10_000
	if long() {
		large = 100_000
	}
	values := []struct {
		columns []string
		value   any
		ok      bool
	}{
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, "", true},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, strings.Repeat("😀", large), true},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, named("x "), true},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, persistence.ID("x"), true},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, "a\x00", false},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, "\xff", false},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, "\xed\xa0\x80", false},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, nil, false},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, 1, false},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, time.Now(), false},
		{[]string{"text_plain", "text_indexed", "type", "state", "claim_owner"}, []byte("x"), false},
		{[]string{"int_plain", "int_indexed", "revision", "claim_token"}, int64(math.MaxInt64), true},
		{[]string{"int_plain", "int_indexed", "revision", "claim_token"}, int64(math.MinInt64), true},
		{[]string{"int_plain", "int_indexed", "revision", "claim_token"}, time.Second, true},
		{[]string{"int_plain", "int_indexed", "revision", "claim_token"}, uint64(math.MaxInt64), true},
		{[]string{"int_plain", "int_indexed", "revision", "claim_token"}, uint64(math.MaxInt64 + 1), false},
		{[]string{"int_plain", "int_indexed", "revision", "claim_token"}, 1.0, false},
		{[]string{"int_plain", "int_indexed", "revision", "claim_token"}, "1", false},
		{[]string{"int_plain", "int_indexed", "revision", "claim_token"}, true, false},
		{[]string{"float_plain", "float_indexed"}, math.MaxFloat64, true},
		{[]string{"float_plain", "float_indexed"}, -math.SmallestNonzeroFloat64, true},
		{[]string{"float_plain", "float_indexed"}, int64(1 << 53), true},
		{[]string{"float_plain", "float_indexed"}, int64(1<<53 + 1), false},
		{[]string{"float_plain", "float_indexed"}, math.NaN(), false},
		{[]string{"float_plain", "float_indexed"}, math.Inf(1), false},
		{[]string{"float_plain", "float_indexed"}, "1", false},
		{[]string{"bool_plain", "bool_indexed"}, true, true},
		{[]string{"bool_plain", "bool_indexed"}, 1, false},
		{[]string{"bytes_plain", "bytes_indexed"}, []byte{}, true},
		{[]string{"bytes_plain", "bytes_indexed"}, make([]byte, large), true},
		{[]string{"bytes_plain", "bytes_indexed"}, [2]byte{1, 2}, true},
		{[]string{"bytes_plain", "bytes_indexed"}, []byte(nil), false},
		{[]string{"bytes_plain", "bytes_indexed"}, "x", false},
		{[]string{"time_plain", "time_indexed", "created", "modified", "claim_until"}, time.Time{}, true},
		{[]string{"time_plain", "time_indexed", "created", "modified", "claim_until"}, over.Add(-1), true},
		{[]string{"time_plain", "time_indexed", "created", "modified", "claim_until"}, over, false},
		{[]string{"time_plain", "time_indexed", "created", "modified", "claim_until"}, time.Unix(-over.Unix(), 0).Add(time.Second), true},
		{[]string{"time_plain", "time_indexed", "created", "modified", "claim_until"}, time.Unix(-over.Unix(), 0), false},
		{[]string{"time_plain", "time_indexed", "created", "modified", "claim_until"}, int64(0), false},
		{[]string{"time_plain", "time_indexed", "created", "modified", "claim_until"}, "2024-01-01", false},
		{[]string{"id"}, 17, true},
		{[]string{"id"}, "17", true},
		{[]string{"id"}, persistence.ID("-9223372036854775808"), true},
		{[]string{"id"}, uint64(math.MaxInt64 + 1), false},
		{[]string{"id"}, "017", false},
		{[]string{"id"}, "", false},
		{[]string{"id"}, "x", false},
		{[]string{"id"}, 1.5, false},
		{[]string{"id"}, nil, false},
		{[]string{"no_such_column", "data", "ID", "Text_Plain", "size"}, "x", false},
	}
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, &persistence.Options{ExtraFields: rowFields()})
		check(t, s.Insert(t.Context(), "17", &Row{Columns: map[string]any{"text": "x"}}))
		for _, v := range values {
			for _, column := range v.columns {
				for name, cond := range condsOn {
					tryQuery(t, s, &persistence.Query{Where: []persistence.Cond{cond(column, v.value)}}, v.ok, fmt.Sprintf("%s(%s, %.40v)", name, column, v.value))
				}
			}
		}
	})
}

// tryQuery asks a store a query in every way, and tells whether it is refused before any I/O: then
// the error is not that of a context that has ended.
func tryQuery(t *testing.T, s *persistence.Store, q *persistence.Query, ok bool, name string) {
	t.Helper()
	for _, ended := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		if ended {
			cancel()
		}
		_, countErr := s.Count(ctx, q)
		errs := map[string]error{"Count": countErr}
		for _, err := range s.List(ctx, q) {
			errs["List"] = err
		}
		if !ok { // these change what they find
			_, errs["Update"] = s.Update(ctx, q, func(any) error { return nil })
			_, errs["RemoveAll"] = s.RemoveAll(ctx, q)
			_, errs["Claim"] = s.Claim(ctx, q, persistence.ClaimOptions{Owner: "me", Lease: time.Second})
			_, errs["CountBy"] = s.CountBy(ctx, "state", q)
			for _, err := range s.StatAll(ctx, q) {
				errs["StatAll"] = err
			}
			for _, err := range s.All(ctx, q) {
				errs["All"] = err
			}
		}
		for verb, err := range errs {
			switch {
			case ok && !ended && err != nil:
				t.Errorf("%s of %s: %v", verb, name, err)
			case !ok && err == nil:
				t.Errorf("%s of %s is accepted", verb, name)
			case !ok && errors.Is(err, context.Canceled):
				t.Errorf("%s of %s is refused only after I/O", verb, name)
			}
		}
		cancel()
	}
}

func TestLimitsOfQueries(t *testing.T) {
	conds := func(n int, c persistence.Cond) []persistence.Cond {
		list := make([]persistence.Cond, n)
		for i := range list {
			list[i] = c
		}
		return list
	}
	ids := make([]any, 40_000) // two such lists have more values than any database has parameters
	if long() {
		ids = make([]any, 100_000)
	}
	for i := range ids {
		ids[i] = i
	}
	var everyOrder, twice []persistence.Order
	for _, f := range rowFields() {
		everyOrder = append(everyOrder, persistence.Desc(f.Column().Name))
	}
	for range 3000 {
		twice = append(twice, persistence.Asc("state"), persistence.Desc("state"), persistence.Desc("id"))
	}
	queries := []struct {
		name string
		q    persistence.Query
		ok   bool
	}{
		{"a limit of 0", persistence.Query{}, true},
		{"the greatest limit", persistence.Query{Limit: math.MaxInt}, true},
		{"the greatest limit in an order", persistence.Query{Limit: math.MaxInt, Order: []persistence.Order{persistence.Asc("text_plain")}}, true},
		{"a negative limit", persistence.Query{Limit: -1}, false},
		{"after an ID", persistence.Query{After: "17"}, true},
		{"after the last ID", persistence.Query{After: "9223372036854775807"}, true},
		{"after what is no ID", persistence.Query{After: "x"}, false},
		{"after an ID, in an order", persistence.Query{After: "17", Order: []persistence.Order{persistence.Asc("state")}}, false},
		{"a type", persistence.Query{Type: strings.Repeat("x", 5000)}, true},
		{"a type with a NUL", persistence.Query{Type: "a\x00"}, false},
		{"a type that is not UTF-8", persistence.Query{Type: "\xff"}, false},
		{"a long state", persistence.Query{State: []string{strings.Repeat("x", 5000), "a"}}, true},
		{"no state", persistence.Query{State: []string{}}, true},
		{"a state with a NUL", persistence.Query{State: []string{"a\x00"}}, false},
		{"a state that is not UTF-8", persistence.Query{State: []string{"x", "\xff"}}, false},
		{"an order by every column", persistence.Query{Order: everyOrder, Limit: 2}, true},
		{"an order by one column many times", persistence.Query{Order: twice}, true},
		{"an order by an unknown column", persistence.Query{Order: []persistence.Order{persistence.Asc("x")}}, false},
		{"an order by the zero Order", persistence.Query{Order: []persistence.Order{{}}}, false},
		{"the zero condition", persistence.Query{Where: []persistence.Cond{{}}}, false},
		{"NULL of an unknown column", persistence.Query{Where: []persistence.Cond{persistence.IsNull("x")}}, false},
		{"NULL of every kind", persistence.Query{Where: []persistence.Cond{persistence.IsNull("bytes_plain"), persistence.NotNull("text_plain"), persistence.NotNull("id"), persistence.IsNull("claim_until")}}, true},
		{"in none", persistence.Query{Where: []persistence.Cond{persistence.In("bytes_plain"), persistence.NotIn("id")}}, true},
		{"in a long list", persistence.Query{Where: []persistence.Cond{persistence.In("id", ids...), persistence.NotIn("int_plain", ids...)}}, true},
		{"in a long list with one of another kind", persistence.Query{Where: []persistence.Cond{persistence.In("int_plain", append(ids[:len(ids):len(ids)], "x")...)}}, false},
		{"500 conditions", persistence.Query{Where: conds(500, persistence.Ne("text_plain", "y"))}, true},
		{"501 conditions", persistence.Query{Where: conds(501, persistence.Ne("text_plain", "y"))}, false},
		{"500 conditions with those of type and state", persistence.Query{Type: "x", State: []string{"a", "b"}, Where: conds(498, persistence.NotIn("time_plain", time.Now(), time.Now()))}, true},
		{"501 conditions with those of type and state", persistence.Query{Type: "x", State: []string{"a"}, Where: conds(499, persistence.IsNull("time_plain"))}, false},
		{"prefix: none", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("text_plain", "")}}, true},
		{"prefix: none, of the ID", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("id", "")}}, true},
		{"prefix: what no ID begins with", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("id", "x")}}, true},
		{"prefix: a sign", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("id", "-")}}, true},
		{"prefix: the last character", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("text_indexed", "\U0010ffff\U0010ffff")}}, true},
		{"prefix: before the surrogates", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("state", "\ud7ff")}}, true},
		{"prefix: a long one", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("type", strings.Repeat("%", 100_000))}}, true},
		{"prefix: with a NUL", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("text_plain", "a\x00")}}, false},
		{"prefix: not UTF-8", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("id", "\xff")}}, false},
		{"prefix: half a character", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("text_plain", "é"[:1])}}, false},
		{"prefix of a number", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("int_plain", "1")}}, false},
		{"prefix of bytes", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("bytes_plain", "1")}}, false},
		{"prefix of a time", persistence.Query{Where: []persistence.Cond{persistence.HasPrefix("created", "2024")}}, false},
		{"part: none", persistence.Query{Where: []persistence.Cond{persistence.Contains("text_plain", "")}}, true},
		{"part: none, of the ID", persistence.Query{Where: []persistence.Cond{persistence.Contains("id", "")}}, true},
		{"part: what no ID holds", persistence.Query{Where: []persistence.Cond{persistence.Contains("id", "x")}}, true},
		{"part: a sign", persistence.Query{Where: []persistence.Cond{persistence.Contains("id", "-")}}, true},
		{"part: the last character", persistence.Query{Where: []persistence.Cond{persistence.Contains("text_indexed", "\U0010ffff\U0010ffff")}}, true},
		{"part: before the surrogates", persistence.Query{Where: []persistence.Cond{persistence.Contains("state", "\ud7ff")}}, true},
		{"part: a long one", persistence.Query{Where: []persistence.Cond{persistence.Contains("type", strings.Repeat("%", 100_000))}}, true},
		{"part: with a NUL", persistence.Query{Where: []persistence.Cond{persistence.Contains("text_plain", "a\x00")}}, false},
		{"part: not UTF-8", persistence.Query{Where: []persistence.Cond{persistence.Contains("id", "\xff")}}, false},
		{"part: half a character", persistence.Query{Where: []persistence.Cond{persistence.Contains("text_plain", "é"[:1])}}, false},
		{"part of a number", persistence.Query{Where: []persistence.Cond{persistence.Contains("int_plain", "1")}}, false},
		{"part of bytes", persistence.Query{Where: []persistence.Cond{persistence.Contains("bytes_plain", "1")}}, false},
		{"part of a time", persistence.Query{Where: []persistence.Cond{persistence.Contains("created", "2024")}}, false},
		{"suffix: none", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("text_plain", "")}}, true},
		{"suffix: none, of the ID", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("id", "")}}, true},
		{"suffix: what no ID holds", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("id", "x")}}, true},
		{"suffix: a sign", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("id", "-")}}, true},
		{"suffix: the last character", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("text_indexed", "\U0010ffff\U0010ffff")}}, true},
		{"suffix: before the surrogates", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("state", "\ud7ff")}}, true},
		{"suffix: a long one", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("type", strings.Repeat("%", 100_000))}}, true},
		{"suffix: with a NUL", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("text_plain", "a\x00")}}, false},
		{"suffix: not UTF-8", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("id", "\xff")}}, false},
		{"suffix: half a character", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("text_plain", "é"[:1])}}, false},
		{"suffix of a number", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("int_plain", "1")}}, false},
		{"suffix of bytes", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("bytes_plain", "1")}}, false},
		{"suffix of a time", persistence.Query{Where: []persistence.Cond{persistence.HasSuffix("created", "2024")}}, false},
	}
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, &persistence.Options{ExtraFields: rowFields()})
		for i := range 3 {
			must[persistence.ID](t)(s.Save(t.Context(), &Row{Columns: map[string]any{"text": fmt.Sprint(i)}}))
		}
		for _, q := range queries {
			if q.q.After == "" || !q.ok {
				tryQuery(t, s, &q.q, q.ok, q.name)
			} else if _, err := s.Count(t.Context(), &q.q); err != nil && !strings.Contains(err.Error(), "After") {
				t.Errorf("%s: %v", q.name, err)
			}
		}
		if n := count(t, s); n != 3 {
			t.Errorf("%d records are left of 3", n)
		}
	})
}

// What is asked for by the names of columns is given, or refused before any I/O, alike.
func TestLimitsOfColumnsAskedFor(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, &persistence.Options{ExtraFields: rowFields()})
		for i := range 3 {
			must[persistence.ID](t)(s.Save(t.Context(), &Row{Columns: map[string]any{"text": "x", "int": i % 2, "bytes": []byte{1}, "time": time.Unix(1, 0), "bool": true, "float": 1}}))
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		groups := map[string]int{"state": 1, "type": 1, "revision": 1, "claim_owner": 1, "claim_until": 1, "claim_token": 1, "id": 3}
		for _, f := range rowFields() {
			groups[f.Column().Name] = 1
		}
		groups["int_plain"], groups["int_indexed"] = 2, 2
		for column, want := range groups {
			got, err := s.CountBy(t.Context(), column, nil)
			if err != nil || len(got) != want {
				t.Errorf("CountBy %s: %d groups, %v, want %d", column, len(got), err, want)
			}
		}
		for _, column := range []string{"", "x", "data", "ID", "Text_Plain", "a\x00"} {
			if _, err := s.CountBy(ended, column, nil); err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("CountBy %q: %v", column, err)
			}
			var err error
			for _, err = range s.StatAll(ended, nil, "state", column) {
			}
			if err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("StatAll %q: %v", column, err)
			}
		}
		for info, err := range s.StatAll(t.Context(), nil, "int_plain", "int_plain", "claim_owner", "created", "text_indexed") {
			if err != nil || info.Fields["text_indexed"] != "x" || info.Created.IsZero() {
				t.Errorf("StatAll: %+v, %v", info, err)
			}
		}
		many := make([]persistence.ID, 40_000)
		for i := range many {
			many[i] = persistence.ID(fmt.Sprint(1 + i%3))
		}
		if objs, err := s.LoadAll(t.Context(), many...); err != nil || len(objs) != len(many) || objs[0] != objs[3] {
			t.Errorf("LoadAll of many: %d, %v", len(objs), err)
		}
		many[39_999] = "77"
		_, err := s.LoadAll(t.Context(), many...)
		wantIs(t, err, persistence.ErrNotFound, "77")
	})
}

// Text IDs are compared like text: a query takes each that a store may have.
func TestLimitsOfConditionsOnTextIDs(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, &persistence.Options{IDs: idfactory.UUIDv7()})
		for _, v := range []struct {
			value any
			ok    bool
		}{
			{strings.Repeat("x", 191), true},
			{"017", true},
			{persistence.ID("é"), true},
			{strings.Repeat("x", 192), false},
			{"a\x00", false},
			{"\xff", false},
			{17, false},
			{"", false},
		} {
			for name, cond := range condsOn {
				tryQuery(t, s, &persistence.Query{Where: []persistence.Cond{cond("id", v.value)}}, v.ok, fmt.Sprintf("%s(id, %.20v)", name, v.value))
			}
		}
	})
}
