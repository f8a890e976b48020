package sql

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// A claim in steps reads at least claimPage records where the database cannot evaluate all
// conditions, and claimSlack more than it wants where those that others have locked are passed
// over.
const (
	claimPage  = 256
	claimSlack = 64
)

// inSteps claims inside a transaction: it locks the records, has them edited, and updates them.
func (cl *claiming) inSteps(ctx context.Context, c *conn) error {
	cl.got = nil
	for q := cl.q; ; {
		segments, filters, err := cl.segments(&q, cl.b.now())
		if err != nil {
			return err
		}
		q.After = nil
		for i := range segments {
			if err := ctx.Err(); err != nil {
				return err
			}
			rows, next, err := cl.lock(ctx, c, &segments[i], filters)
			if err != nil {
				return err
			}
			if err := cl.take(ctx, c, rows); err != nil {
				return err
			}
			if q.After = next; next != nil || len(cl.got) == cl.Limit {
				break
			}
		}
		if q.After == nil || len(cl.got) == cl.Limit {
			break
		}
	}
	if cl.Edit != nil {
		return nil // each has been updated by itself
	}
	return cl.mark(ctx, c)
}

// lock selects some records of a segment for update. next is the place of the last one where more
// may follow.
func (cl *claiming) lock(ctx context.Context, c *conn, st *segment, filters []*filter) (rows []claimed, next *driver.Cursor, err error) {
	size := cl.Limit - len(cl.got)
	if len(filters) > 0 {
		size = max(size, claimPage)
	}
	parts := driver.Info | cl.Parts
	if cl.Edit != nil {
		parts |= driver.Fields | driver.Data
	}
	s := cl.l.selection(parts, slices.Concat(cl.order, filterColumns(filters))...)
	var now cell
	dest := append(slices.Clip(s.dest), &now)
	n := 0
	for _, candidates := range [...]int{max(size, size+claimSlack), math.MaxInt} { // it may overflow
		rows, n = nil, 0
		text := cl.locking(st, s, size, candidates)
		err = c.query(ctx, text.text, text.args, dest, func() error {
			n++
			row, err := s.claimed(len(cl.order), len(filterColumns(filters)))
			if row.unreadable = err != nil; err != nil {
				if err = cl.skip(err); err != nil || row.place == nil {
					return err
				}
			}
			row.passed = s.passes(filters)
			rows = append(rows, row)
			return nil
		})
		if err != nil || n == size || cl.b.traits.LockRows == nil {
			break
		}
	}
	cl.sort(rows)
	if err != nil || len(rows) == 0 {
		return nil, nil, err
	}
	if n == size {
		next = rows[len(rows)-1].place
	}
	rows = slices.DeleteFunc(rows, func(row claimed) bool { return row.unreadable })
	clockNow, err := now.integer(0)
	if err != nil {
		return nil, nil, err
	}
	cl.until = clockNow + cl.Lease.Microseconds()
	return rows, next, nil
}

// locking returns the SELECT that locks up to size records of a segment. It gives the columns of s,
// and the clock. Where the dialect has a statement of its own for that, it reads so many
// candidates.
func (cl *claiming) locking(st *segment, s *selection, size, candidates int) clause {
	l, t := cl.l, cl.b.traits
	clock := cl.b.now()
	columns := s.list() + ", " + clock.text
	var text clause
	if t.LockRows == nil {
		text = st.text("SELECT " + columns + " FROM " + l.table)
		text.args = slices.Concat(clock.args, text.args)
	} else {
		text.add(t.LockRows(&LockingSelect{
			Columns: columns, Table: l.table, ID: l.id.quoted, IDIndex: quote(t, l.idIndex),
			Where: st.where.conjunction(), OrderBy: st.order.text, Candidates: candidates,
		}), slices.Concat(clock.args, st.where.args, st.order.args, st.where.args)...)
	}
	text.add(" LIMIT " + strconv.Itoa(size))
	if t.SkipLocked != "" {
		text.add(" " + t.SkipLocked)
	}
	return text
}

// take claims the records among some locked ones, up to the limit; what is edited, it updates.
func (cl *claiming) take(ctx context.Context, c *conn, rows []claimed) error {
	for i := range rows {
		row := &rows[i]
		if len(cl.got) == cl.Limit {
			break
		}
		if !row.passed {
			continue
		}
		if cl.Edit != nil {
			refused, err := cl.edit(ctx, c, &row.rec)
			if err != nil {
				return err
			}
			if refused {
				continue
			}
		}
		cl.got = append(cl.got, *row)
	}
	return nil
}

// edit has a record edited, and stores it with its claim. refused: it is left alone.
func (cl *claiming) edit(ctx context.Context, c *conn, r *driver.Record) (refused bool, err error) {
	was := *r
	was.Fields = slices.Clone(r.Fields)
	if cl.Edit(r) != nil {
		return true, nil //nolint:nilerr // Edit has told its caller why
	}
	r.ID, r.Revision = was.ID, was.Revision
	if !cl.guarded && cl.l.unchanged(&was, r) {
		return false, cl.update(ctx, c, r)
	}
	m := driver.Mutation{Op: driver.Update, Rec: *r}
	clash, err := cl.guard(ctx, c, &m, func() error { return cl.update(ctx, c, r) })
	if clash != nil && cl.Refused != nil {
		cl.Refused(was.ID, clash)
	}
	return clash != nil, err
}

// update stores an edited record with its claim.
func (cl *claiming) update(ctx context.Context, c *conn, r *driver.Record) error {
	l := cl.l
	edited := []driver.Mutation{{Op: driver.Update, Rec: *r}}
	if err := l.valid(&edited[0]); err != nil {
		return err
	}
	cl.stamp(r)
	key, _ := l.key(r.ID)
	args := append(l.set(r), cl.Owner, cl.until, r.Claim.Token, key)
	err := changed(c.exec(c.short(ctx), l.claimEdited(), args...))
	if err != nil && cl.b.classify(err) == TooLarge {
		err = (&batch{b: cl.b, ms: edited, at: []int{0}}).explain(err)
	}
	r.Size = int64(len(r.Data))
	if cl.Parts&driver.Data == 0 {
		r.Data = nil
	}
	if cl.Parts&driver.Fields == 0 {
		r.Fields = nil
	}
	return err
}

// claimEdited returns the UPDATE of a record and its claim.
func (l *layout) claimEdited() string {
	return fmt.Sprintf("UPDATE %s SET %s, %s = ?, %s = ?, %s = ? WHERE %s = ?",
		l.table, l.edited, l.claimOwner.quoted, l.claimUntil.quoted, l.claimToken.quoted, l.id.expr)
}

// stamp notes in a record what claiming makes of it.
func (cl *claiming) stamp(r *driver.Record) {
	r.Revision++
	r.Claim = driver.Claim{Owner: cl.Owner, Until: time.UnixMicro(cl.until).UTC(), Token: r.Revision}
}

// mark claims the records that are locked.
func (cl *claiming) mark(ctx context.Context, c *conn) error {
	const most = 512 // IDs of a statement
	l := cl.l
	keys := make([]any, 0, most)
	for i := range cl.got {
		r := &cl.got[i].rec
		cl.stamp(r)
		key, _ := l.key(r.ID)
		if keys = append(keys, key); len(keys) < most && i < len(cl.got)-1 {
			continue
		}
		args := append([]any{cl.Owner, cl.until}, pad(keys)...)
		if _, err := c.exec(c.short(ctx), l.claimSet("?")+" WHERE "+l.id.expr+in(listed(len(keys))), args...); err != nil {
			return err
		}
		keys = keys[:0]
	}
	return nil
}

// unchanged reports whether no unique index has other values of a record than before.
func (l *layout) unchanged(was, is *driver.Record) bool {
	for i := range l.uniques {
		for k := range l.uniques[i].columns {
			c := l.uniques[i].columns[k].col
			if c == nil || c == l.created || c == l.revision {
				continue
			}
			a, b := l.given(&driver.Mutation{Rec: *was}, c), l.given(&driver.Mutation{Rec: *is}, c)
			if hashable(toSQL(a)) != hashable(toSQL(b)) {
				return false
			}
		}
	}
	return true
}

// guard calls write, which stores an edited record. Where a unique index refuses it, guard undoes
// it and returns the error to tell Claiming.Refused.
func (cl *claiming) guard(ctx context.Context, c *conn, m *driver.Mutation, write func() error) (refused, err error) {
	if err := run(c.short(ctx), c, "SAVEPOINT edit"); err != nil {
		return nil, err
	}
	err = write()
	if err == nil {
		return nil, run(c.short(ctx), c, "RELEASE SAVEPOINT edit")
	}
	if cl.b.classify(err) != Unique {
		return nil, err
	}
	if undone := run(c.short(ctx), c, "ROLLBACK TO SAVEPOINT edit", "RELEASE SAVEPOINT edit"); undone != nil {
		return nil, errors.Join(err, undone)
	}
	t := &batch{b: cl.b, tables: &tables{objects: cl.l}, ms: []driver.Mutation{*m}, uniques: cl.uniques}
	refused = t.clash(ctx, c)
	cl.uniques = t.uniques
	if refused == nil {
		refused = t.violated(err)
	}
	re, ok := errors.AsType[*driver.RecordError](refused)
	if !ok || !errors.Is(refused, driver.ErrUnique) {
		return nil, errors.Join(err, refused)
	}
	return re.Err, nil
}
