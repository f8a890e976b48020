package sqlbench

import (
	"database/sql"
	"strconv"
	"testing"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/persistence/driver"
)

// ByStateInOrder reads the first 100 records with a state, in the order of another column, twenty
// times. A third of 100,000 records has the state. Both sides have an index over state and that
// column.
func ByStateInOrder(b *testing.B, d Dialect) {
	store, hand := d.New(b)
	fields := []driver.Column{{Name: "priority", Kind: driver.Int, InIndex: true}}
	_, err := store.Init(b.Context(), driver.Schema{IntegerIDs: true, Fields: fields})
	Check(b, err)
	Check(b, store.(driver.Indexer).MakeIndexes(b.Context(), []driver.Index{{Columns: []string{driver.ColState, "priority"}}}))
	byHand := func(text string) {
		_, err := hand.Writer.ExecContext(b.Context(), text)
		Check(b, err)
	}
	byHand("ALTER TABLE " + hand.Table + " ADD COLUMN priority BIGINT")
	const n, mixed = 100_000, 100_003
	priority := func(id int64) int64 { return id * 7919 % mixed }
	for first := int64(0); first < n; first += 10_000 {
		recs := Records(10_000)
		for i := range recs {
			recs[i].State = []string{"NEW", "READY", "DONE"}[(first+int64(i))%3]
		}
		hand.Batch(b, recs, first, 50)
		for i := range recs {
			recs[i].Fields = []any{priority(first + int64(i))}
		}
		sqltest.Apply(b, store, Creates(recs, first)...)
	}
	byHand("UPDATE " + hand.Table + " SET priority = id * 7919 % " + strconv.Itoa(mixed))
	byHand("CREATE INDEX store_state_priority ON " + hand.Table + " (state, priority)")
	if hand.Analyze != nil {
		hand.Analyze(b)
	}
	query := hand.prepare(b, hand.Reader, "SELECT "+Columns+" FROM "+hand.Table+" WHERE state = ? ORDER BY priority, id LIMIT 100")
	const times = 20
	q := &driver.Query{
		Where: []driver.Cond{{Column: driver.ColState, Op: driver.Eq, Values: []any{"READY"}}},
		Order: []driver.Order{{Column: "priority"}}, Limit: 100, Parts: driver.Info | driver.Data,
		Columns: []string{driver.ColState, driver.ColType, driver.ColRevision, driver.ColSize, driver.ColCreated, driver.ColModified},
	}
	last := int64(-1)
	ordered := func(id driver.ID) {
		seq, _ := id.Seq()
		p := priority(seq)
		if p < last {
			b.Fatalf("%d after %d", p, last)
		}
		last = p
	}
	Versus(b, func() {
		for range times {
			got := make([]driver.Record, 0, 100)
			Check(b, driver.ReadOnce(b.Context(), store, func(r driver.Reader) error {
				for rec, err := range r.Scan(b.Context(), q) {
					if err != nil {
						return err
					}
					got = append(got, rec)
				}
				return nil
			}))
			checkHundred(b, got, ordered)
			last = -1
		}
	}, func() {
		for range times {
			checkHundred(b, hundred(b, query), ordered)
			last = -1
		}
	})
}

// hundred returns what a statement by hand reads.
func hundred(b *testing.B, query *sql.Stmt) []driver.Record {
	rows, err := query.QueryContext(b.Context(), "READY")
	Check(b, err)
	defer rows.Close()
	got := make([]driver.Record, 0, 100)
	for rows.Next() {
		var r driver.Record
		scan(b, rows, &r)
		got = append(got, r)
	}
	Check(b, rows.Err())
	return got
}

func checkHundred(b *testing.B, got []driver.Record, each func(driver.ID)) {
	if len(got) != 100 {
		b.Fatalf("%d records", len(got))
	}
	for i := range got {
		each(got[i].ID)
	}
}
