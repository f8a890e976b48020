package web

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A recordsPage is a page of a list of records.
type recordsPage struct {
	Columns   []heading
	Rows      template.HTML
	Filters   []filter // those of the list, and an empty one
	Choices   []column // of the filters
	Operators []operator
	JSON      string // q of the address
	Query     string // the whole query as JSON
	Sort      string
	Size      int
	Sizes     []int
	Filtered  bool
	Damaged   []string
	Number    int // of the page, from 1
	// Where other pages of the list are; "": nowhere
	First, Previous, Next, Count, All string
}

// A heading is that of a column, with the address of the list sorted by it.
type heading struct {
	column
	Sorted, Link string
	Number       bool // its values are numbers
}

// listed returns what a request lists, with the query for it and the columns of the store.
func (s *site) listed(ctx context.Context, r *http.Request) (l *listing, q *persistence.Query, columns []column, err error) {
	if columns, err = s.columns.get(ctx, s.store); err != nil {
		return nil, nil, nil, err
	}
	if l, err = listingOf(r.URL.Query()); err != nil {
		return nil, nil, nil, err
	}
	q, err = l.query(columns)
	return l, q, columns, err
}

func (s *site) records(ctx context.Context, r *http.Request) (*view, error) {
	l, q, columns, err := s.listed(ctx, r)
	if err != nil {
		return nil, err
	}
	infos, next, err := s.store.StatPage(ctx, q, l.after)
	p := recordsPage{
		Filters: append(l.filters[:len(l.filters):len(l.filters)], filter{}), Choices: columns, Operators: operators, JSON: l.json,
		Sort: l.sortText(), Size: l.size, Sizes: []int{25, 50, 100, maxPageSize}, Number: l.page,
		Filtered: len(l.filters) > 0 || l.json != "", Count: l.first().link("count"), All: "records",
	}
	if err != nil {
		if !errors.Is(err, persistence.ErrCorrupt) || ctx.Err() != nil {
			return nil, err
		}
		p.Damaged = each(err)
	}
	q.Limit = 0
	if text, err := persistence.FormatQuery(q); err == nil {
		p.Query = string(text)
	}
	for _, c := range columns {
		p.Columns = append(p.Columns, heading{c, l.sorted(c.Name), l.sortedBy(c.Name).link("records"), c.Kind == extrafields.Int || c.Kind == extrafields.Float})
	}
	var rows rowWriter
	values := make([]shown, len(columns)-len(libraryColumns))
	for i := range infos {
		for j, c := range p.Columns[len(libraryColumns):] {
			v := showValue(infos[i].Fields[c.Name])
			if v.Class == "null" && c.Number {
				v.Class = "num null" // in line with the others
			}
			values[j] = v
		}
		rows.row(&infos[i], values)
	}
	p.Rows = rows.html()
	if next != "" {
		p.Next = l.next(next).link("records")
	}
	if l.after != "" {
		p.First = l.first().link("records")
	}
	if previous := l.previous(); previous != nil {
		p.Previous = previous.link("records")
	}
	return &view{name: "records.html", title: "Records", nav: "records", live: true, data: p}, nil
}

// each returns the texts of the errors that an error joins.
func each(err error) []string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if joined, ok := e.(interface{ Unwrap() []error }); ok {
			var texts []string
			for _, e := range joined.Unwrap() {
				texts = append(texts, cut(valueLength, e.Error()))
			}
			return texts
		}
	}
	return []string{cut(valueLength, err.Error())}
}

// A countPage is the number of records of a list.
type countPage struct {
	Text string
	List string // its address
}

// count counts the records of a list, for as long as may be: by the database, and if that does not
// end in time by reading their IDs, which gives a number that is too small.
func (s *site) count(ctx context.Context, r *http.Request) (*view, error) {
	l, q, _, err := s.listed(ctx, r)
	if err != nil {
		return nil, err
	}
	q.Limit, q.Order = 0, nil
	text, err := s.countText(ctx, q)
	if err != nil {
		return nil, err
	}
	return &view{name: "count.html", title: "Count", nav: "records", data: countPage{text, l.link("records")}}, nil
}

func (s *site) countText(ctx context.Context, q *persistence.Query) (string, error) {
	begin := time.Now()
	first, cancel := context.WithTimeout(ctx, s.countLimit/2)
	defer cancel()
	n, err := s.store.Count(first, q)
	if err == nil {
		return records(n), nil
	}
	if first.Err() == nil || ctx.Err() != nil {
		return "", err
	}
	second, cancel := context.WithTimeout(ctx, s.countLimit/2)
	defer cancel()
	n, all := 0, true
	for _, err := range s.store.List(second, q) {
		if err != nil && concernsOneRecord(err) {
			continue
		}
		if err != nil && second.Err() == nil {
			return "", err
		}
		if err != nil {
			all = false
			break
		}
		n++
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if all {
		return records(n), nil
	}
	if n == 0 {
		if err := s.answers(ctx); err != nil {
			return "", err
		}
	}
	return "more than " + records(n) + " (counted for " + seconds(time.Since(begin)) + ")", nil
}

func records(n int64) string {
	return strings.TrimSuffix(grouped(n)+" records", map[bool]string{true: "s"}[n == 1])
}
