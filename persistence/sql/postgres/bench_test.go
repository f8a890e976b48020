package postgres_test

import (
	"bytes"
	stdsql "database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
)

const benchRounds = 40

// byHand is what one writes without a library: the same driver, settings, columns and indexes, plain database/sql.
type byHand struct {
	db             *stdsql.DB
	insert, update *stdsql.Stmt
}

const handColumns = "id, data, state, type, revision, size, created, modified"

// newBench returns a store and its hand-written equivalent on one server.
func newBench(b *testing.B) (url string, h *byHand) {
	b.Helper()
	s := testserver.SharedPostgres(b)
	h = &byHand{db: raw(b, s.URL(s.NewDB(b)))}
	h.db.SetMaxOpenConns(1)
	run(b, h.db, `CREATE TABLE store (id BIGINT NOT NULL PRIMARY KEY, data BYTEA NOT NULL, state VARCHAR(128) COLLATE "C" NOT NULL,
		type TEXT COLLATE "C" NOT NULL, revision BIGINT NOT NULL, size BIGINT NOT NULL, created BIGINT NOT NULL, modified BIGINT NOT NULL)`,
		`CREATE INDEX store_state ON store (state, id)`)
	h.insert = h.prepare(b, handInsert(1))
	h.update = h.prepare(b, "UPDATE store SET data = $1, state = $2, type = $3, revision = revision + 1, size = $4, modified = $5 WHERE id = $6 AND revision = $7")
	return s.URL(s.NewDB(b)), h
}

func (h *byHand) prepare(b *testing.B, text string) *stdsql.Stmt {
	s, err := h.db.Prepare(text)
	check(b, err)
	b.Cleanup(func() { s.Close() })
	return s
}

func handInsert(n int) string {
	var rows []string
	for i := range n {
		k := i * 8
		rows = append(rows, fmt.Sprintf("($%d, $%d, $%d, $%d, $%d, $%d, $%d, $%d)", k+1, k+2, k+3, k+4, k+5, k+6, k+7, k+8))
	}
	return "INSERT INTO store (" + handColumns + ") VALUES " + strings.Join(rows, ", ")
}

func handArgs(args []any, r *driver.Record, id int64) []any {
	return append(args, id, r.Data, r.State, r.Type, r.Revision, int64(len(r.Data)), r.Created.UnixMicro(), r.Modified.UnixMicro())
}

// batch inserts records in one transaction, n rows a statement.
func (h *byHand) batch(b *testing.B, recs []driver.Record, first int64, n int) {
	tx, err := h.db.Begin()
	check(b, err)
	defer tx.Rollback()
	s, err := tx.Prepare(handInsert(n))
	check(b, err)
	defer s.Close()
	for i := 0; i < len(recs); i += n {
		args := make([]any, 0, n*8)
		for j := range n {
			args = handArgs(args, &recs[i+j], first+int64(i+j))
		}
		_, err := s.Exec(args...)
		check(b, err)
	}
	check(b, tx.Commit())
}

func benchRecords(n int) []driver.Record {
	recs := make([]driver.Record, n)
	for i := range recs {
		recs[i] = record("", string(bytes.Repeat([]byte{byte(i), byte(i >> 8), 'x', 7}, 250)))
	}
	return recs
}

func creates(recs []driver.Record, first int64) []driver.Mutation {
	ms := make([]driver.Mutation, len(recs))
	for i := range recs {
		ms[i] = driver.Mutation{Op: driver.Create, Rec: recs[i]}
		ms[i].Rec.ID = driver.ID(strconv.FormatInt(first+int64(i), 10))
	}
	return ms
}

// versus runs both sides in turn and reports the median of the ratios of their times.
func versus(b *testing.B, ours, hand func()) {
	b.Helper()
	rounds := benchRounds
	if testing.Short() { // shows that the benchmarks run, no more
		rounds = 1
	}
	for b.Loop() {
		var ratios, us, them []float64
		for round := range rounds {
			var took [2]time.Duration
			for k := range 2 {
				side := (round + k) % 2 // who goes first changes
				begin := time.Now()
				if side == 0 {
					ours()
				} else {
					hand()
				}
				took[side] = time.Since(begin)
			}
			ratios = append(ratios, float64(took[0])/float64(took[1]))
			us, them = append(us, float64(took[0].Microseconds())), append(them, float64(took[1].Microseconds()))
		}
		for _, s := range [][]float64{ratios, us, them} {
			slices.Sort(s)
		}
		b.ReportMetric(ratios[rounds/2], "ratio")
		b.ReportMetric(us[rounds/2], "brine-µs")
		b.ReportMetric(them[rounds/2], "hand-µs")
	}
}

func check(b *testing.B, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}

func BenchmarkCreateOne(b *testing.B) {
	url, hand := newBench(b)
	store := open(b, url, integers, driver.OpenOptions{})
	recs := benchRecords(100)
	ours, theirs := int64(0), int64(0)
	versus(b, func() {
		for i := range recs {
			ours++
			apply(b, store, creates(recs[i:i+1], ours)...)
		}
	}, func() {
		for i := range recs {
			theirs++
			_, err := hand.insert.ExecContext(b.Context(), handArgs(nil, &recs[i], theirs)...)
			check(b, err)
		}
	})
}

func BenchmarkUpdateOne(b *testing.B) {
	url, hand := newBench(b)
	store := open(b, url, integers, driver.OpenOptions{})
	recs := benchRecords(1000)
	apply(b, store, creates(recs, 0)...)
	hand.batch(b, recs, 0, 50)
	ours, theirs := int64(0), int64(0)
	versus(b, func() {
		ours++
		for i := range 100 {
			m := creates(recs[i:i+1], int64(i))[0]
			m.Op, m.IfRev = driver.Update, ours
			apply(b, store, m)
		}
	}, func() {
		theirs++
		for i := range 100 {
			r := &recs[i]
			res, err := hand.update.ExecContext(b.Context(), r.Data, r.State, r.Type, int64(len(r.Data)), r.Modified.UnixMicro(), int64(i), theirs)
			check(b, err)
			if n, _ := res.RowsAffected(); n != 1 {
				b.Fatal("nothing updated")
			}
		}
	})
}

func BenchmarkCreate10000(b *testing.B) {
	for _, n := range []int{50, 250, 1000} {
		b.Run(fmt.Sprintf("against %d rows a statement", n), func(b *testing.B) {
			url, hand := newBench(b)
			store := open(b, url, integers, driver.OpenOptions{})
			recs := benchRecords(10_000)
			ours, theirs := int64(0), int64(0)
			versus(b, func() {
				apply(b, store, creates(recs, ours)...)
				ours += 10_000
			}, func() {
				hand.batch(b, recs, theirs, n)
				theirs += 10_000
			})
		})
	}
}

func BenchmarkGet10000(b *testing.B) {
	url, hand := newBench(b)
	store := open(b, url, integers, driver.OpenOptions{})
	recs := benchRecords(40_000)
	apply(b, store, creates(recs, 0)...)
	hand.batch(b, recs, 0, 50)
	run(b, hand.db, "VACUUM ANALYZE store")
	run(b, raw(b, url), "VACUUM ANALYZE store")
	for _, step := range []int{1, 3} {
		b.Run(fmt.Sprintf("every %d", step), func(b *testing.B) {
			ids := make([]driver.ID, 10_000)
			for i := range ids {
				ids[i] = driver.ID(strconv.Itoa(i * step))
			}
			query := hand.prepare(b, "SELECT "+handColumns+" FROM store WHERE id < $1 AND id % $2 = 0")
			versus(b, func() {
				check(b, store.View(b.Context(), func(r driver.Reader) error {
					got, err := r.Get(b.Context(), ids, driver.Data|driver.Info)
					if len(got) != len(ids) {
						b.Fatalf("%d records", len(got))
					}
					return err
				}))
			}, func() {
				rows, err := query.QueryContext(b.Context(), 10_000*step, step)
				check(b, err)
				defer rows.Close()
				var got []driver.Record
				for rows.Next() {
					var r driver.Record
					var id, created, modified int64
					check(b, rows.Scan(&id, &r.Data, &r.State, &r.Type, &r.Revision, &r.Size, &created, &modified))
					r.ID = driver.ID(strconv.FormatInt(id, 10))
					r.Created, r.Modified = time.UnixMicro(created).UTC(), time.UnixMicro(modified).UTC()
					got = append(got, r)
				}
				check(b, rows.Err())
				if len(got) != len(ids) {
					b.Fatalf("%d records", len(got))
				}
			})
		})
	}
}
