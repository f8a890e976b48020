package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-go/brine/persistence"
)

// A listing is what the address of a list of records says: which, in what order, and where the page
// begins. Every page has an address of its own, which can be kept.
type listing struct {
	filters []filter
	json    string // further conditions, as ParseQuery reads them: parameter q
	sort    []sortKey
	size    int // records on a page
	after   string
	page    int      // its number, from 1
	back    []string // the tokens of the pages before this one, the first page's "" left out
}

// A sortKey is a column of the order.
type sortKey struct {
	column string
	desc   bool
}

const (
	defaultPageSize = 50
	maxPageSize     = 200
	// maxBack is the length of all tokens of the pages before: an address has its limits. The way
	// back ends there, and the way to the first page is always there.
	maxBack = 3000
)

func listingOf(v url.Values) (*listing, error) {
	filters, err := filtersOf(v)
	if err != nil {
		return nil, err
	}
	l := &listing{filters: filters, json: strings.TrimSpace(v.Get("q")), size: defaultPageSize, after: v.Get("after"), page: 1, back: v["back"]}
	for name := range strings.SplitSeq(v.Get("sort"), ",") {
		column, desc := strings.CutPrefix(name, "-")
		// After a column has decided, it decides no more.
		if name != "" && !slices.ContainsFunc(l.sort, func(k sortKey) bool { return k.column == column }) {
			l.sort = append(l.sort, sortKey{column, desc})
		}
	}
	if text := v.Get("n"); text != "" {
		if l.size, err = strconv.Atoi(text); err != nil || l.size < 1 || l.size > maxPageSize {
			return nil, badRequestf("The number of records on a page is 1 to %d, not %q.", maxPageSize, visible(text))
		}
	}
	if l.after != "" {
		l.page = 2
		if n, err := strconv.Atoi(v.Get("p")); err == nil && n > 2 {
			l.page = n
		}
	}
	return l, nil
}

// query returns the query of a listing.
func (l *listing) query(columns []column) (*persistence.Query, error) {
	q := &persistence.Query{}
	if l.json != "" {
		var err error
		if q, err = persistence.ParseQuery([]byte(l.json)); err != nil {
			return nil, badRequestf("The JSON of the query: %v.", err)
		}
		if q.After != "" || q.Limit != 0 {
			return nil, badRequestf("The JSON of the query has \"after\" or \"limit\": the pages of the list go on by their links.")
		}
	}
	conds, err := conditions(columns, l.filters)
	if err != nil {
		return nil, err
	}
	q.Where = append(q.Where, conds...)
	if len(l.sort) > 0 {
		q.Order = nil
	}
	for _, k := range l.sort {
		if find(columns, k.column) == nil {
			return nil, badRequestf("The store has no column %q to sort by.", visible(k.column))
		}
		if k.desc {
			q.Order = append(q.Order, persistence.Desc(k.column))
		} else {
			q.Order = append(q.Order, persistence.Asc(k.column))
		}
	}
	q.Limit = l.size
	return q, nil
}

// link returns the address of a listing on a page.
func (l *listing) link(page string) string {
	v := url.Values{}
	or := slices.ContainsFunc(l.filters, func(f filter) bool { return f.Or })
	for _, f := range l.filters {
		if or {
			v.Add("j", map[bool]string{true: "or", false: "and"}[f.Or])
		}
		v.Add("c", f.Column)
		v.Add("o", f.Op)
		v.Add("v", f.Value)
	}
	if l.json != "" {
		v.Set("q", l.json)
	}
	if len(l.sort) > 0 {
		v.Set("sort", l.sortText())
	}
	if l.size != 0 && l.size != defaultPageSize {
		v.Set("n", strconv.Itoa(l.size))
	}
	if l.after != "" {
		v.Set("after", l.after)
		v.Set("p", strconv.Itoa(l.page))
	}
	for _, token := range l.back {
		v.Add("back", token)
	}
	if len(v) == 0 {
		return page
	}
	return page + "?" + v.Encode()
}

func (l *listing) sortText() string {
	var keys []string
	for _, k := range l.sort {
		name := k.column
		if k.desc {
			name = "-" + name
		}
		keys = append(keys, name)
	}
	return strings.Join(keys, ",")
}

// first returns the listing of the first page.
func (l *listing) first() *listing {
	m := *l
	m.after, m.back, m.page = "", nil, 1
	return &m
}

// next returns the listing of the page that a token begins.
func (l *listing) next(token string) *listing {
	m := *l
	m.after, m.page = token, l.page+1
	if l.after != "" {
		m.back = append(slices.Clone(l.back), l.after)
	}
	length := 0
	for i := len(m.back) - 1; i >= 0; i-- {
		if length += len(m.back[i]); length > maxBack {
			m.back = m.back[i+1:]
			break
		}
	}
	return &m
}

// previous returns the listing of the page before, or nil if there is none, or the address does not
// know it, because too many pages are between.
func (l *listing) previous() *listing {
	switch {
	case l.page == 2:
		return l.first()
	case l.page < 2 || len(l.back) == 0:
		return nil
	}
	m := *l
	last := len(l.back) - 1
	m.after, m.back, m.page = l.back[last], l.back[:last], l.page-1
	return &m
}

// sortedBy returns the listing in the order of a column: ascending, then descending, then in that
// of the IDs.
func (l *listing) sortedBy(name string) *listing {
	m := l.first()
	switch l.sorted(name) {
	case "":
		m.sort = []sortKey{{name, false}}
	case "ascending":
		m.sort = []sortKey{{name, true}}
	default:
		m.sort = nil
	}
	return m
}

// sorted says how a listing is sorted by a column first: "ascending", "descending" or "".
func (l *listing) sorted(name string) string {
	switch {
	case len(l.sort) == 0 && name == "id" && l.json == "":
		return "ascending"
	case len(l.sort) == 0 || l.sort[0].column != name:
		return ""
	case l.sort[0].desc:
		return "descending"
	}
	return "ascending"
}
