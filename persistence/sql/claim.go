package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// Claim implements [driver.Claimer]. It is one statement that commits by itself, where the database
// has one that can do it; else, and always with c.Edit, a transaction that locks the records,
// passing over those that others have locked.
func (b *Backend) Claim(ctx context.Context, q *driver.Query, c driver.Claiming) ([]driver.Record, error) {
	o, ts, err := b.readyToWrite(ctx)
	if err != nil {
		return nil, err
	}
	defer b.leave()
	l := ts.objects
	if err := l.claimable(); err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	cl := &claiming{Claiming: c, b: b, l: l, q: driver.Query{Where: q.Where, Order: q.Order, Parts: c.Parts}}
	plan, err := cl.plan()
	inSteps := func(c *conn) error { return cl.inSteps(ctx, c) }
	switch {
	case err != nil:
	case plan.steps:
		err = b.write(ctx, o, inSteps)
		if b.classify(err) == Unique { // of an index that was made since this store was opened
			cl.guarded = true
			err = b.write(ctx, o, inSteps)
		}
	default:
		err = b.autocommit(ctx, o, func(ctx context.Context, c *conn) error { return cl.atOnce(ctx, c, plan) })
		if first := cl.got; err == nil && cl.skipped && len(first) < cl.Limit {
			// Steps find their way past records that cannot be read.
			cl.Limit -= len(first)
			if b.write(ctx, o, inSteps) != nil {
				cl.got = nil // those of the first are claimed all the same
			}
			cl.got = append(first, cl.got...)
		}
	}
	if err != nil {
		return nil, b.translate(err)
	}
	return cl.records(), nil
}

// claimable returns an error that names the first column without which there are no claims.
func (l *layout) claimable() error {
	for _, c := range []struct {
		name string
		col  *column
	}{
		{driver.ColRevision, l.revision}, {driver.ColClaimOwner, l.claimOwner},
		{driver.ColClaimUntil, l.claimUntil}, {driver.ColClaimToken, l.claimToken},
	} {
		if c.col == nil {
			return unsupported(l, c.name)
		}
	}
	return nil
}

// now returns the clock as an operand.
func (b *Backend) now() clause { return clockOperand(b, nowMicros()) }

func nowMicros() int64 { return time.Now().UnixMicro() }

// clockOperand returns the database's clock, or an operand that is bound to now.
func clockOperand(b *Backend, now any) clause {
	if b.traits.Now != "" {
		return clause{text: b.traits.Now}
	}
	return clause{text: "?", args: []any{now}}
}

// A claiming is one Claim.
type claiming struct {
	driver.Claiming
	b     *Backend
	l     *layout
	q     driver.Query
	order []*column
	got   []claimed

	guarded bool     // every edit: there may be unique indexes that the layout does not know
	uniques []unique // as they were found after a clash; nil: there was none

	skipped bool  // over a record that cannot be read
	until   int64 // of a claim in steps: its end
}

// A claimed record has its place in the order of the query.
type claimed struct {
	rec    driver.Record
	place  *driver.Cursor
	passed bool // of a claim in steps: all conditions hold

	unreadable bool // there is a place alone
}

// records returns what has been claimed, in the order of the query.
func (cl *claiming) records() []driver.Record {
	cl.sort(cl.got)
	recs := make([]driver.Record, len(cl.got))
	for i := range cl.got {
		recs[i] = cl.got[i].rec
	}
	return recs
}

func (cl *claiming) sort(list []claimed) {
	columns := driver.NewColumns(cl.l.schema)
	slices.SortFunc(list, func(a, b claimed) int { return columns.Compare(&cl.q, a.place, b.place) })
}

// claimed makes a record, and its place in the order, of the row in the cells: the place alone
// where the record cannot be read.
func (s *selection) claimed(order, filters int) (claimed, error) {
	place, err := s.cursor(order, filters)
	if err != nil {
		return claimed{}, err
	}
	rec, err := s.record()
	return claimed{rec: rec, place: place}, err
}

// skip passes over a record that cannot be read, so that those after it can be claimed.
func (cl *claiming) skip(err error) error {
	if _, about := errors.AsType[*driver.RecordError](err); !about {
		return err
	}
	cl.skipped = true
	if cl.b.logged.First(err.Error()) {
		cl.b.options.Logger.Warn("a damaged record cannot be claimed, and stays as it is", "table", cl.l.name, "error", err)
	}
	return nil
}

// claimSet returns the beginning of an UPDATE that claims: the owner is bound, and what until has
// in it. The token stands before the revision that it is made of: MySQL assigns one after the
// other.
func (l *layout) claimSet(until string) string {
	next := fmt.Sprintf("coalesce(%s.%s, 0) + 1", l.table, l.revision.quoted)
	return fmt.Sprintf("UPDATE %s SET %s = ?, %s = %s, %s = %s, %s = %s", l.table, l.claimOwner.quoted,
		l.claimUntil.quoted, until, l.claimToken.quoted, next, l.revision.quoted, next)
}

// A segment is a part of the order of a query, and what of it may be claimed.
type segment struct {
	where, order clause
}

// text returns a SELECT with WHERE and ORDER BY.
func (s *segment) text(head string) clause {
	st := clause{text: head}
	st.add(s.where.conjunction(), s.where.args...)
	st.add(s.order.text, s.order.args...)
	return st
}

// segments returns what to select from, one after the other, and the conditions that are left to be
// looked at. A claim is free if it has lapsed by now.
func (cl *claiming) segments(q *driver.Query, now clause) ([]segment, []*filter, error) {
	l := cl.l
	conds, first, equal := q.Where, "", clause{}
	if q.After == nil {
		conds, first, equal = l.preferIndex(q)
	}
	room := l.maxListed()
	if l.traits.LockRows != nil {
		room /= 2 // the conditions stand there twice
	}
	where, filters, err := l.whereWithin(conds, room)
	if err != nil {
		return nil, nil, err
	}
	where = and(where, equal)
	spans, err := l.ranges(q)
	if err != nil {
		return nil, nil, err
	}
	free := clause{text: "(" + l.claimUntil.quoted + " IS NULL OR " + l.claimUntil.quoted + " <= "}
	free.add(now.text+")", now.args...)
	segments := make([]segment, len(spans))
	for i, sp := range spans {
		segments[i].where = and(where, free, sp.where)
		segments[i].order = clause{text: " ORDER BY " + first + strings.Join(sp.order, ", "), args: sp.orderArgs}
	}
	return segments, filters, nil
}

// preferIndex keeps planners from reading the records in the order of the key, those that do not
// match too, as they do when they expect most records to match. Where columns equal values, an
// index on these, the more the better, serves in the order of the key too; with the last one
// written as a range, in the order of it and the key, nothing else does. It returns that range, the
// beginning of the order, and the other conditions.
func (l *layout) preferIndex(q *driver.Query) (conds []driver.Cond, first string, equal clause) {
	desc := ""
	for i, o := range q.Order {
		if i > 0 || o.Column != driver.ColID {
			return q.Where, "", clause{}
		}
		if o.Desc {
			desc = " DESC"
		}
	}
	best, size := -1, 0
	for _, names := range l.keyed {
		if last := l.equals(q.Where, names); last >= 0 && len(names) > size {
			best, size = last, len(names)
		}
	}
	if best < 0 {
		return q.Where, "", clause{}
	}
	c := &q.Where[best]
	col := l.columns[c.Column]
	value, _ := l.bind(col, c.Values[0])
	operand := "?"
	if col.kind == driver.Text {
		operand = l.traits.express(OpaqueText, operand)
	}
	equal.add(col.expr+" >= "+operand+" AND "+col.expr+" <= "+operand, value, value)
	return slices.Concat(q.Where[:best], q.Where[best+1:]), col.expr + desc + ", ", equal
}

// equals returns the condition that the last of some columns equals a value, if all do; else -1.
func (l *layout) equals(conds []driver.Cond, names []string) (last int) {
	last = -1
	for _, name := range names {
		last = slices.IndexFunc(conds, func(c driver.Cond) bool {
			col := l.columns[c.Column]
			return strings.EqualFold(c.Column, name) && (c.Op == driver.Eq || c.Op == driver.In && len(c.Values) == 1) &&
				col != nil && col != l.id && (!col.nullable || col.zero == nil)
		})
		if last < 0 {
			return -1
		}
	}
	return last
}
