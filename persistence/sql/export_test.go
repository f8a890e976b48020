package sql

import (
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
)

// ScanStatements returns the statements that Scan would run, and their arguments.
func ScanStatements(b driver.Backend, q *driver.Query) (texts []string, args [][]any, err error) {
	sh, err := b.(*Backend).tables.objects.selects(q, 0, false)
	for _, st := range sh.statements {
		texts, args = append(texts, st.text), append(args, st.args)
	}
	return texts, args, err
}

// Short reports whether Scan takes the statements of q for short ones.
func Short(b driver.Backend, q *driver.Query) (bool, error) {
	sh, err := b.(*Backend).tables.objects.selects(q, q.Limit, false)
	return sh.short, err
}

// ClaimStatement returns the statement that a Claim would run, or with which it would begin.
func ClaimStatement(b driver.Backend, q *driver.Query, c driver.Claiming) (text string, args []any, err error) {
	be := b.(*Backend)
	cl := &claiming{Claiming: c, b: be, l: be.tables.objects, q: *q}
	p, err := cl.newPlan()
	if err != nil {
		return "", nil, err
	}
	if !p.steps {
		return sqlx.Rebind(be.traits.BindType, p.statement.text), cl.bind(p.statement.args), nil
	}
	s := be.tables.objects.selection(driver.Info, cl.order...)
	segments, _, err := cl.segments(&cl.q, be.now())
	if err != nil {
		return "", nil, err
	}
	st := cl.locking(&segments[0], s, c.Limit, c.Limit+claimSlack)
	return sqlx.Rebind(be.traits.BindType, st.text), st.args, nil
}

// Successor is exported for its test.
var Successor = successor

// ListedInOne is how many values of In one statement takes.
func ListedInOne(b driver.Backend) int { return b.(*Backend).tables.objects.maxListed() }

// Forget makes the connections that are not in use ask for the identity of the store when they are
// used next.
func Forget(b driver.Backend) {
	be := b.(*Backend)
	for _, p := range be.open.pools() {
		p.mu.Lock()
		for _, c := range p.free {
			c.compared = time.Time{}
		}
		p.mu.Unlock()
	}
}

// LimitedStatements returns the statements that Scan would run for a query with its limit.
func LimitedStatements(b driver.Backend, q *driver.Query) (texts []string, args [][]any, err error) {
	be := b.(*Backend)
	sh, err := be.tables.objects.selects(q, q.Limit, false)
	for _, st := range sh.statements {
		texts, args = append(texts, sqlx.Rebind(be.traits.BindType, st.text)), append(args, st.args)
	}
	return texts, args, err
}
