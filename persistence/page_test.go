package persistence_test

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

type paged struct {
	Name string
	Rank *int64
	Cost float64
	Raw  []byte
	Due  time.Time
	Done bool
}

var pagedFields = []extrafields.Field{
	extrafields.Of("name", func(p *paged) string { return p.Name }).Indexed(),
	extrafields.Func("rank", extrafields.Int, func(obj any) (any, error) { return obj.(*paged).Rank, nil }),
	extrafields.Of("cost", func(p *paged) float64 { return p.Cost }),
	extrafields.Of("raw", func(p *paged) []byte { return p.Raw }),
	extrafields.Of("due", func(p *paged) time.Time { return p.Due }),
	extrafields.Of("done", func(p *paged) bool { return p.Done }),
}

// savePaged saves 40 records, many of them equal in each column.
func savePaged(t *testing.T, s *persistence.Store) {
	t.Helper()
	var objs []any
	for i := range 40 {
		p := &paged{Name: []string{"", "é\"%", "b"}[i%3], Cost: []float64{0, -1.5, 1e300, math.SmallestNonzeroFloat64}[i%4],
			Raw: [][]byte{{}, {0xff, 0}, nil}[i%3], Due: epoch.Add(time.Duration(i%5) * time.Microsecond), Done: i%2 == 0}
		if i%4 > 0 {
			rank := []int64{math.MaxInt64, math.MinInt64, 1<<53 + 1}[i%3]
			p.Rank = &rank
		}
		objs = append(objs, p)
	}
	must[[]persistence.ID](t)(s.SaveAll(t.Context(), objs...))
}

func pages(t *testing.T, s *persistence.Store, q *persistence.Query) (ids []persistence.ID, sizes []int) {
	t.Helper()
	token := ""
	for {
		page, next, err := s.StatPage(t.Context(), q, token)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range page {
			ids = append(ids, info.ID)
		}
		sizes = append(sizes, len(page))
		if token = next; token == "" || len(sizes) > 50 {
			return ids, sizes
		}
	}
}

func TestPagesAreTheWholeInAnyOrder(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, &persistence.Options{ExtraFields: pagedFields})
		savePaged(t, s)
		asc, desc := persistence.Asc, persistence.Desc
		for name, q := range map[string]*persistence.Query{
			"nil":           nil,
			"IDs":           {Limit: 7},
			"IDs, reversed": {Order: []persistence.Order{desc("id")}, Limit: 9},
			"text":          {Order: []persistence.Order{asc("name")}, Limit: 10},
			"integers":      {Order: []persistence.Order{desc("rank")}, Limit: 3},
			"floats":        {Order: []persistence.Order{asc("cost"), desc("rank")}, Limit: 8},
			"bytes":         {Order: []persistence.Order{desc("raw"), asc("name")}, Limit: 11},
			"times":         {Order: []persistence.Order{desc("due"), asc("done")}, Limit: 6},
			"all":           {Order: []persistence.Order{asc("due")}},
			"exactly one":   {Order: []persistence.Order{asc("done"), asc("revision"), desc("created"), asc("type")}, Limit: 40},
			"some":          {Where: []persistence.Cond{persistence.Or(persistence.Eq("done", true), persistence.IsNull("rank"))}, Order: []persistence.Order{asc("rank")}, Limit: 4},
			"none":          {State: []string{"none"}, Limit: 4},
			"no end":        {Order: []persistence.Order{asc("name")}, Limit: math.MaxInt},
			"after one":     {After: "12", Limit: 5},
		} {
			got, sizes := pages(t, s, q)
			whole := &persistence.Query{}
			if q != nil {
				*whole = *q
			}
			limit := whole.Limit
			whole.Limit = 0
			want := list(t, s, whole)
			if !slices.Equal(got, want) {
				t.Errorf("%s: pages of %v gave\n%v, want\n%v", name, sizes, got, want)
			}
			for i, n := range sizes {
				if last := i == len(sizes)-1; limit > 0 && (n > limit || !last && n < limit || last && n == 0 && len(want) > 0) {
					t.Errorf("%s: pages of %v, with a limit of %d", name, sizes, limit)
				}
			}
		}
	})
}

func TestAPageGoesOnWhereTheLastOneEndedThoughRecordsAreGone(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", &persistence.Options{ExtraFields: pagedFields})
	savePaged(t, s)
	q := &persistence.Query{Order: []persistence.Order{persistence.Desc("due")}, Limit: 10}
	want := list(t, s, &persistence.Query{Order: q.Order})
	first, next, err := s.StatPage(t.Context(), q, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range first {
		if err := s.Remove(t.Context(), info.ID); err != nil {
			t.Fatal(err)
		}
	}
	page, _, err := s.StatPage(t.Context(), q, next)
	if err != nil {
		t.Fatal(err)
	}
	for i, info := range page {
		if info.ID != want[10+i] || info.Fields["due"] == nil {
			t.Errorf("record %d is %+v, want %s", 10+i, info, want[10+i])
		}
	}
}

func TestTokensThatAreNoneAreErrors(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", &persistence.Options{ExtraFields: pagedFields})
	savePaged(t, s)
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	byRank := &persistence.Query{Order: []persistence.Order{persistence.Asc("rank")}, Limit: 2}
	_, good, err := s.StatPage(t.Context(), byRank, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		q     *persistence.Query
		token string
		words string
	}{
		{byRank, "?", "is none that StatPage"},
		{byRank, good[:len(good)-3], "is none that StatPage"},
		{byRank, encoded(`{}`), "is none that StatPage"},
		{byRank, encoded(`{"o":"rank ","id":"1"}`), "is none that StatPage"},
		{byRank, encoded(`{"o":"rank ","v":["1"],"id":"x"}`), "is none that StatPage"},
		{byRank, encoded(`{"o":"rank ","v":["1.5"],"id":"1"}`), `column "rank"`},
		{byRank, encoded(`{"o":"rank ","v":["9223372036854775808"],"id":"1"}`), `column "rank"`},
		{&persistence.Query{Order: []persistence.Order{persistence.Desc("rank")}}, good, "one of the order"},
		{nil, good, "one of the order"},
		{&persistence.Query{Order: []persistence.Order{persistence.Asc("due")}}, encoded(`{"o":"due ","v":["x"],"id":"1"}`), `column "due"`},
		{&persistence.Query{Order: []persistence.Order{persistence.Asc("done")}}, encoded(`{"o":"done ","v":["x"],"id":"1"}`), `column "done"`},
		{&persistence.Query{Order: []persistence.Order{persistence.Asc("cost")}}, encoded(`{"o":"cost ","v":["1e999"],"id":"1"}`), `column "cost"`},
		{&persistence.Query{Order: []persistence.Order{persistence.Asc("name")}}, encoded(`{"o":"name ","v":["\u0000"],"id":"1"}`), `column "name"`},
	} {
		page, next, err := s.StatPage(t.Context(), tt.q, tt.token)
		if err == nil || !strings.Contains(err.Error(), tt.words) || page != nil || next != "" {
			t.Errorf("%q: %d records, %q and error %v, want one that says %s", tt.token, len(page), next, err, tt.words)
		}
	}
	if _, _, err := s.StatPage(t.Context(), &persistence.Query{After: "1", Order: byRank.Order}, ""); err == nil || !strings.Contains(err.Error(), "StatPage") {
		t.Errorf("After with Order: %v", err)
	}
}
