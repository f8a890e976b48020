package sql

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/brine-go/brine/persistence/driver"
)

// A claimPlan is how claims of one shape are made.
type claimPlan struct {
	steps     bool // one statement does not do; what follows is not set
	statement clause
	selection *selection // without cells
	order     []*column
}

// claimPlans are those used so far, by the shape of the query.
type claimPlans struct {
	mu    sync.RWMutex
	known map[string]*claimPlan
}

// claimedID names the IDs of a subquery, unlike any column.
const claimedID = "brine_claimed_id"

// These stand for arguments in the statement of a plan that is kept.
type (
	ownerSlot struct{}
	leaseSlot struct{}
	clockSlot struct{}
)

// plan returns how to claim, with the values of this claim.
func (cl *claiming) plan() (*claimPlan, error) {
	l := cl.l
	if cl.Edit != nil || !l.cacheable(&cl.q) {
		return cl.newPlan()
	}
	var buf [256]byte
	key := appendShape(buf[:0], &cl.q, cl.Limit)
	l.claims.mu.RLock()
	p := l.claims.known[string(key)]
	l.claims.mu.RUnlock()
	if p == nil {
		template := *cl
		template.q.Where = slotted(cl.q.Where)
		var err error
		if p, err = template.newPlan(); err != nil {
			return nil, err
		}
		l.claims.mu.Lock()
		if l.claims.known == nil || len(l.claims.known) >= maxShapes {
			l.claims.known = make(map[string]*claimPlan)
		}
		l.claims.known[string(key)] = p
		l.claims.mu.Unlock()
	}
	cl.order = p.order
	return p, nil
}

// newPlan makes a plan of the query of the claim.
func (cl *claiming) newPlan() (*claimPlan, error) {
	l := cl.l
	changes := false // claiming changes a column of the order
	cl.order = nil
	for _, o := range cl.q.Order {
		col := l.columns[o.Column]
		if col == nil {
			return nil, unsupported(l, o.Column)
		}
		cl.order = append(cl.order, col)
		changes = changes || col == l.claimOwner || col == l.claimUntil || col == l.claimToken
	}
	segments, filters, err := cl.segments(&cl.q, clockOperand(cl.b, clockSlot{}))
	if err != nil {
		return nil, err
	}
	if !cl.b.traits.Returning || cl.Edit != nil || changes || len(segments) > 1 || len(filters) > 0 {
		return &claimPlan{steps: true, order: cl.order}, nil
	}
	s := l.selection(driver.Info|cl.Parts, cl.order...)
	return &claimPlan{statement: cl.statement(&segments[0], s), selection: s, order: cl.order}, nil
}

// statement returns the statement that claims what a segment has, and gives the columns of s.
func (cl *claiming) statement(sg *segment, s *selection) clause {
	l := cl.l
	inner := sg.text("SELECT " + l.id.quoted + " AS " + claimedID + " FROM " + l.table)
	inner.add(" LIMIT " + strconv.Itoa(cl.Limit))
	until := clockOperand(cl.b, clockSlot{})
	until.add(" + ?", leaseSlot{})
	set := clause{text: l.claimSet(until.text), args: append([]any{ownerSlot{}}, until.args...)}
	var st clause
	if skip := cl.b.traits.SkipLocked; skip != "" {
		st.add("WITH c AS MATERIALIZED ("+inner.text+" "+skip+") ", inner.args...)
		st.add(set.text, set.args...)
		st.add(" FROM c WHERE " + l.table + "." + l.id.quoted + " = " + claimedID)
	} else {
		st.add(set.text, set.args...)
		st.add(" WHERE "+l.id.quoted+" IN ("+inner.text+")", inner.args...)
	}
	st.add(" RETURNING " + s.list())
	return st
}

// atOnce claims with one statement, which is a transaction of its own.
func (cl *claiming) atOnce(ctx context.Context, c *conn, p *claimPlan) error {
	cl.got, cl.skipped = nil, false
	s := p.selection.fresh()
	return c.query(ctx, p.statement.text, cl.bind(p.statement.args), s.dest, func() error {
		row, err := s.claimed(len(cl.order), 0)
		if err != nil {
			return cl.skip(err)
		}
		cl.got = append(cl.got, row)
		return nil
	})
}

// bind returns the arguments of a plan with the values of this claim.
func (cl *claiming) bind(args []any) []any {
	bound := slices.Clone(args)
	now := nowMicros()
	for i, arg := range args {
		switch arg := arg.(type) {
		case slot:
			bound[i] = toSQL(cl.q.Where[arg].Values[0])
		case ownerSlot:
			bound[i] = cl.Owner
		case leaseSlot:
			bound[i] = cl.Lease.Microseconds()
		case clockSlot:
			bound[i] = now
		}
	}
	return bound
}
