package sqlbench

import (
	"database/sql"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/persistence/driver"
)

// claimTasks is how many finished and how many ready records the benchmarks of claims begin with.
const claimTasks = 20_000

// Claim claims records and completes them: their state and data change, and the claim ends.
func Claim(b *testing.B, d Dialect) {
	for name, limit := range map[string]int{"One": 1, "Hundred": 100} {
		b.Run(name, func(b *testing.B) {
			c := newClaims(b, d, limit)
			rounds := max(20/limit, 1)
			Versus(b, func() {
				for range rounds {
					c.ours(b)
				}
			}, func() {
				for range rounds {
					c.byHand(b)
				}
			})
		})
	}
}

// claims is both sides of a benchmark of claims.
type claims struct {
	store           driver.Backend
	hand            *Hand
	dialect         Dialect
	claim, complete *sql.Stmt
	data            []byte
	limit           int
}

func newClaims(b *testing.B, d Dialect, limit int) *claims {
	b.Helper()
	store, hand := d.New(b)
	sqltest.Exec(b, hand.Writer, d.ClaimColumns...)
	recs := Records(100)
	for first := int64(1); first <= 2*claimTasks; first += 100 {
		for i := range recs {
			if recs[i].State = "DONE"; first > claimTasks {
				recs[i].State = "READY"
			}
		}
		sqltest.Apply(b, store, Creates(recs, first)...)
		hand.Batch(b, recs, first, 4)
	}
	return &claims{
		store: store, hand: hand, dialect: d, claim: hand.Prepare(b, d.Claim),
		complete: hand.Prepare(b, "UPDATE "+hand.Table+" SET data = ?, state = ?, type = ?, revision = revision + 1,"+
			" size = ?, modified = ?, owner = NULL, until = NULL, token = NULL WHERE id = ? AND token = ?"),
		data: recs[0].Data, limit: limit,
	}
}

func (c *claims) ours(b *testing.B) {
	q := &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"READY"}}}}
	recs, err := c.store.(driver.Claimer).Claim(b.Context(), q,
		driver.Claiming{Owner: "me", Lease: time.Minute, Limit: c.limit})
	Check(b, err)
	if len(recs) != c.limit {
		b.Fatalf("%d claimed", len(recs))
	}
	ms := make([]driver.Mutation, len(recs))
	for i, rec := range recs {
		ms[i] = driver.Mutation{Op: driver.Update, Rec: sqltest.Record(rec.ID, string(c.data)), Token: rec.Claim.Token, Release: true}
		ms[i].Rec.State = "DONE"
	}
	sqltest.Apply(b, c.store, ms...)
}

func (c *claims) byHand(b *testing.B) {
	now := time.Now()
	ids, tokens := claimed(b, c.claim, c.dialect.ClaimArgs("me", now, time.Minute, c.limit)...)
	if len(ids) != c.limit {
		b.Fatalf("%d claimed", len(ids))
	}
	s := c.complete
	var tx *sql.Tx
	if c.limit > 1 {
		var err error
		tx, err = c.hand.Writer.BeginTx(b.Context(), nil)
		Check(b, err)
		defer func() { _ = tx.Rollback() }()
		s = tx.StmtContext(b.Context(), c.complete) //nolint:sqlclosecheck // the transaction closes it
	}
	for i, id := range ids {
		r := sqltest.Record("", string(c.data))
		res, err := s.ExecContext(b.Context(),
			r.Data, "DONE", r.Type, int64(len(r.Data)), now.UnixMicro(), id, tokens[i])
		Check(b, err)
		if n, err := res.RowsAffected(); n != 1 {
			b.Fatal(n, err)
		}
	}
	if tx != nil {
		Check(b, tx.Commit())
	}
}

// claimed returns the IDs and tokens that a hand-written claim gives.
func claimed(b *testing.B, claim *sql.Stmt, args ...any) (ids, tokens []int64) {
	rows, err := claim.QueryContext(b.Context(), args...)
	Check(b, err)
	defer rows.Close()
	for rows.Next() {
		var id, token int64
		Check(b, rows.Scan(&id, &token))
		ids, tokens = append(ids, id), append(tokens, token)
	}
	Check(b, rows.Err())
	return ids, tokens
}
