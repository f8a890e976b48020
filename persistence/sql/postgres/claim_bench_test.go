package postgres_test

import (
	stdsql "database/sql"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// claimTasks is how many finished and how many ready records the benchmarks of claims begin with.
const claimTasks = 20_000

// BenchmarkClaim claims records and completes them: their state and data change, and the claim ends.
func BenchmarkClaim(b *testing.B) {
	for name, limit := range map[string]int{"One": 1, "Hundred": 100} {
		b.Run(name, func(b *testing.B) { benchmarkClaim(b, limit) })
	}
}

func benchmarkClaim(b *testing.B, limit int) {
	ctx := b.Context()
	url, hand := newBench(b)
	store := open(b, url, integers, driver.OpenOptions{})
	run(b, hand.db, "ALTER TABLE store ADD COLUMN owner TEXT", "ALTER TABLE store ADD COLUMN until BIGINT", "ALTER TABLE store ADD COLUMN token BIGINT",
		"CREATE INDEX store_until ON store (until) WHERE until IS NOT NULL")
	const clock = "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)"
	claim := hand.prepare(b, `WITH c AS MATERIALIZED (SELECT id AS claimed FROM store WHERE state = 'READY' AND (until IS NULL OR until <= `+clock+`)
		ORDER BY state, id LIMIT $3 FOR UPDATE SKIP LOCKED) UPDATE store SET owner = $1, until = `+clock+` + $2, token = revision + 1, revision = revision + 1
		FROM c WHERE id = claimed RETURNING id, token`)
	complete := hand.prepare(b, `UPDATE store SET data = $1, state = $2, type = $3, revision = revision + 1, size = $4, modified = $5,
		owner = NULL, until = NULL, token = NULL WHERE id = $6 AND token = $7`)
	recs := benchRecords(100)
	for first := int64(1); first <= 2*claimTasks; first += 100 {
		for i := range recs {
			if recs[i].State = "DONE"; first > claimTasks {
				recs[i].State = "READY"
			}
		}
		apply(b, store, creates(recs, first)...)
		hand.batch(b, recs, first, 4)
	}
	q := &driver.Query{Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"READY"}}}}
	claiming := driver.Claiming{Owner: "me", Lease: time.Minute, Limit: limit}
	rounds := max(20/limit, 1)
	versus(b, func() {
		for range rounds {
			records, err := store.(driver.Claimer).Claim(ctx, q, claiming)
			check(b, err)
			if len(records) != limit {
				b.Fatalf("%d claimed", len(records))
			}
			ms := make([]driver.Mutation, len(records))
			for i, rec := range records {
				ms[i] = driver.Mutation{Op: driver.Update, Rec: record(rec.ID, string(recs[i].Data)), Token: rec.Claim.Token, Release: true}
				ms[i].Rec.State = "DONE"
			}
			apply(b, store, ms...)
		}
	}, func() {
		for range rounds {
			now := time.Now()
			ids, tokens := claimed(b, claim, "me", time.Minute.Microseconds(), limit)
			if len(ids) != limit {
				b.Fatalf("%d claimed", len(ids))
			}
			var tx *stdsql.Tx
			var err error
			s := complete
			if limit > 1 {
				tx, err = hand.db.BeginTx(ctx, nil)
				check(b, err)
				s = tx.StmtContext(ctx, complete)
			}
			for i, id := range ids {
				r := record("", string(recs[i].Data))
				res, err := s.ExecContext(ctx, r.Data, "DONE", r.Type, int64(len(r.Data)), now.UnixMicro(), id, tokens[i])
				check(b, err)
				if n, err := res.RowsAffected(); n != 1 {
					b.Fatal(n, err)
				}
			}
			if tx != nil {
				check(b, tx.Commit())
			}
		}
	})
}

// claimed returns the IDs and tokens that a hand-written claim gives.
func claimed(b *testing.B, claim *stdsql.Stmt, args ...any) (ids, tokens []int64) {
	rows, err := claim.QueryContext(b.Context(), args...)
	check(b, err)
	defer rows.Close()
	for rows.Next() {
		var id, token int64
		check(b, rows.Scan(&id, &token))
		ids, tokens = append(ids, id), append(tokens, token)
	}
	check(b, rows.Err())
	return ids, tokens
}
