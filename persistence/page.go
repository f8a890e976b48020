package persistence

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// StatPage returns one page of what [Store.StatAll] streams: q.Limit records, or all that are left
// if it is 0, in any order. The token "" asks for the first page, and next, which is "" after the
// last one, for the page after this one. A nil q selects all.
//
// A token is a position in the order of q: an ID, and its values in the columns of the order when
// the page was read. It holds no resources, does not expire, and is valid in every process that
// opens the store; it may be shown to users, who can read the values. Records written between two
// pages appear where their place is, so one whose place moves on may appear twice. A token of a
// query with another order, or one that is damaged, is an error.
//
// If err is ErrCorrupt it concerns records that are too damaged to be listed: page has the others,
// and next is valid.
func (c *conn) StatPage(ctx context.Context, q *Query, token string) (page []Info, next string, err error) {
	page, next, err = c.statPage(ctx, q, token)
	return page, next, c.s.fail("list", "", err)
}

func (c *conn) statPage(ctx context.Context, q *Query, token string) ([]Info, string, error) {
	dq, err := c.s.compile(q)
	if err == nil && token != "" {
		dq.After, err = c.s.position(dq, token)
	}
	if err != nil {
		return nil, "", err
	}
	dq.Parts = driver.Info | driver.Fields
	c.s.wantOrder(dq)
	into := &statPage{limit: dq.Limit, s: c.s, q: dq}
	size := infoPage
	if dq.Limit > 0 && dq.Limit < math.MaxInt {
		dq.Limit++ // tells whether there is another page
		size = dq.Limit
	}
	p := c.newPager(dq, size, into, nil)
	p.next = size
	var bad []error
	for more := true; more; {
		if more, err = p.read(ctx); err != nil {
			return nil, "", err
		}
		into.page = append(into.page, into.read...)
		bad = append(bad, p.bad...)
	}
	next := ""
	if into.limit > 0 && len(into.page) > into.limit {
		into.page = into.page[:into.limit]
		if next, err = c.s.token(dq, into.last); err != nil {
			return nil, "", err
		}
	}
	return into.page, next, errors.Join(bad...)
}

// A statPage is the sink of StatPage.
type statPage struct {
	s     *Store
	q     *driver.Query
	limit int

	page []Info // of the reads before this one
	read []Info
	last *driver.Cursor // the position of the last record within limit
}

func (p *statPage) begin(int) { p.read = nil }

func (p *statPage) row(rec *driver.Record) {
	p.read = append(p.read, p.s.info(rec))
	if len(p.page)+len(p.read) == p.limit {
		p.last = p.s.values.Cursor(p.q, rec)
	}
}

// A pageToken is what a token holds, as JSON in base64.
type pageToken struct {
	Order  string    `json:"o,omitempty"` // as orderText gives it
	Values []*string `json:"v,omitempty"` // as tokenValue gives them; nil: NULL
	ID     ID        `json:"id"`
}

func orderText(order []driver.Order) string {
	var b strings.Builder
	for _, o := range order {
		b.WriteString(o.Column)
		if o.Desc {
			b.WriteByte('-')
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// token returns the token of a position in the order of q.
func (s *Store) token(q *driver.Query, at *driver.Cursor) (string, error) {
	t := pageToken{Order: orderText(q.Order), ID: at.ID}
	for _, v := range at.Values {
		if v == nil {
			t.Values = append(t.Values, nil)
			continue
		}
		text := tokenValue(v)
		t.Values = append(t.Values, &text)
	}
	b, err := json.Marshal(t)
	return base64.RawURLEncoding.EncodeToString(b), err
}

func tokenValue(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return strconv.FormatInt(v.UnixMicro(), 10)
	case ID:
		return string(v)
	}
	return v.(string)
}

// position returns the position that a token holds.
func (s *Store) position(q *driver.Query, token string) (*driver.Cursor, error) {
	var t pageToken
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil || len(t.Values) != len(strings.Fields(t.Order)) || idfactory.Validate(t.ID, s.ids.Integral()) != nil {
		return nil, errors.New("query: the token of the page is none that StatPage of this store gave")
	}
	if order := orderText(q.Order); t.Order != order {
		return nil, fmt.Errorf("query: the token of the page is one of the order %q, not of %q", t.Order, order)
	}
	at := &driver.Cursor{ID: t.ID}
	for i, text := range t.Values {
		var v any
		if text != nil {
			if v, err = s.valueOf(q.Order[i].Column, *text); err != nil {
				return nil, fmt.Errorf("query: the token of the page: column %q: %w", q.Order[i].Column, err)
			}
		}
		at.Values = append(at.Values, v)
	}
	return at, nil
}

// valueOf is the inverse of tokenValue for the values of a column.
func (s *Store) valueOf(column, text string) (any, error) {
	if column == driver.ColID {
		return s.idValue(text)
	}
	kind := s.columns[column]
	switch kind {
	case driver.Int, driver.Float:
		return canonicalValue(kind, jsonValue{json.Number(text)})
	case driver.Bool:
		v, err := strconv.ParseBool(text)
		return v, err
	case driver.Time:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, err
		}
		return canonicalValue(kind, time.UnixMicro(n))
	}
	return canonicalValue(kind, jsonValue{text})
}
