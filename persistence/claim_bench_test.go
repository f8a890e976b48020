package persistence_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/brine-go/brine/persistence"
)

// many returns the number of finished jobs in the tables: a million with BRINE_LONG=1.
func many() int {
	switch {
	case testing.Short():
		return 500
	case os.Getenv("BRINE_LONG") != "":
		return 1_000_000
	}
	return 10_000
}

// crowdedStore returns a store of finished jobs followed by new ones, and a plain database/sql
// handle on a table with the same rows, columns and indexes. number returns the nth
// placeholder.
func crowdedStore(b *testing.B, backend string, fresh int) (s *persistence.Store, db *sql.DB, table string, number func(int) string) {
	b.Helper()
	raw := storeURL(b, backend)
	s = open(b, raw, nil)
	save := func(n int, state string) {
		for done := 0; done < n; done += 10_000 {
			objs := make([]any, min(10_000, n-done))
			for i := range objs {
				data := jobData(done + i)
				data.State = state
				objs[i] = &Job{JobData: data}
			}
			if _, err := s.SaveAll(b.Context(), objs...); err != nil {
				b.Fatal(err)
			}
		}
	}
	save(many(), "DONE")
	save(fresh, "NEW")
	run := func(texts ...string) {
		for _, text := range texts {
			if _, err := db.Exec(text); err != nil {
				b.Fatal(text, err)
			}
		}
	}
	var err error
	if backend == "postgres" {
		if db, err = sql.Open("postgres", raw+"&binary_parameters=yes"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		run("CREATE TABLE hand (LIKE store INCLUDING ALL)", "INSERT INTO hand SELECT * FROM store", "VACUUM ANALYZE store", "VACUUM ANALYZE hand")
		return s, db, "hand", func(n int) string { return fmt.Sprint("$", n) }
	}
	path := filepath.Join(b.TempDir(), "hand.db")
	if db, err = sql.Open("sqlite", strings.TrimPrefix(raw, "sqlite:")); err != nil {
		b.Fatal(err)
	}
	run("ANALYZE", "VACUUM INTO '"+path+"'")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	db, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
		"&_pragma=wal_autocheckpoint(10000)&_pragma=mmap_size(268435456)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return s, db, "store", func(int) string { return "?" }
}

// BenchmarkClaimAndComplete claims and completes jobs, among a great many finished ones.
func BenchmarkClaimAndComplete(b *testing.B) {
	for _, backend := range []string{"sqlite", "postgres"} {
		for _, limit := range []int{1, 100} {
			for _, workers := range []int{1, 8} {
				b.Run(fmt.Sprintf("%s/%d at a time/%d workers", backend, limit, workers), func(b *testing.B) {
					claimAndComplete(b, backend, limit, workers)
				})
			}
		}
	}
}

func claimAndComplete(b *testing.B, backend string, limit, workers int) {
	const jobs = 400 // per round
	limit = min(limit, jobs/workers)
	s, db, table, number := crowdedStore(b, backend, (rounds+1)*jobs)
	if backend == "postgres" {
		db.SetMaxOpenConns(workers)
		db.SetMaxIdleConns(workers)
	}
	prepare := func(text string) *sql.Stmt {
		n := 0
		for strings.Contains(text, "@") {
			n++
			text = strings.Replace(text, "@", number(n), 1)
		}
		st, err := db.Prepare(text)
		if err != nil {
			b.Fatal(text, err)
		}
		b.Cleanup(func() { st.Close() })
		return st
	}
	// A range of the state and an order that begins with it: otherwise planners scan the key, past
	// all finished jobs.
	pick := "SELECT id FROM " + table + " WHERE state >= 'NEW' AND state <= 'NEW' AND (claim_until IS NULL OR claim_until <= @) ORDER BY state, id LIMIT " + fmt.Sprint(limit)
	set := "UPDATE " + table + " SET claim_owner = @, claim_until = @, claim_token = revision + 1, revision = revision + 1"
	var claim *sql.Stmt
	if backend == "postgres" {
		claim = prepare("WITH c AS MATERIALIZED (" + pick + " FOR UPDATE SKIP LOCKED) " + set + " FROM c WHERE " + table + ".id = c.id RETURNING " + table + ".id, data, claim_token")
	} else {
		claim = prepare(set + " WHERE id IN (" + pick + ") RETURNING id, data, claim_token")
	}
	done := prepare("UPDATE " + table + " SET data = @, state = 'DONE', size = @, modified = @, revision = revision + 1, " +
		"claim_owner = NULL, claim_until = NULL, claim_token = NULL WHERE id = @ AND claim_token = @")
	crew := func(work func() (int, error)) {
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for did := 0; did < jobs/workers; {
					n, err := work()
					if err != nil || n == 0 {
						b.Error("nothing was claimed: ", err)
						return
					}
					did += n
				}
			})
		}
		all.Wait()
	}
	compare(b, rounds, func(int) {
		crew(func() (int, error) {
			claims, err := s.Claim(b.Context(), &persistence.Query{State: []string{"NEW"}},
				persistence.ClaimOptions{Owner: "bench", Lease: time.Hour, Limit: limit})
			for _, c := range claims {
				job, err := persistence.LoadClaimed[Job](b.Context(), c)
				if err == nil {
					job.State = "DONE"
					err = c.Complete(b.Context(), job)
				}
				if err != nil {
					return 0, err
				}
			}
			return len(claims), err
		})
	}, func(int) {
		crew(func() (int, error) {
			now := time.Now().UnixMicro()
			args := []any{now, "bench", now + time.Hour.Microseconds()}
			if backend != "postgres" {
				args = []any{"bench", now + time.Hour.Microseconds(), now}
			}
			rows, err := claim.QueryContext(b.Context(), args...)
			if err != nil {
				return 0, err
			}
			defer rows.Close()
			type claimed struct {
				id, token int64
				data      []byte
			}
			var got []claimed
			for rows.Next() {
				var c claimed
				if err := rows.Scan(&c.id, &c.data, &c.token); err != nil {
					return 0, err
				}
				got = append(got, c)
			}
			if err := errorsOf(rows); err != nil {
				return 0, err
			}
			for _, c := range got {
				job := &JobRow{} // the same bytes, decoded and encoded by msgpack itself
				job.JobData = jobData(int(c.id))
				data, err := msgpack.Marshal(job)
				if err == nil {
					err = msgpack.Unmarshal(data, job)
				}
				if err == nil {
					_, err = done.ExecContext(b.Context(), c.data, len(c.data), time.Now().UnixMicro(), c.id, c.token)
				}
				if err != nil {
					return 0, err
				}
			}
			return len(got), nil
		})
	})
}

func errorsOf(rows *sql.Rows) error {
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// BenchmarkQueryByState lists the first of the new jobs by priority, among a great many
// finished ones.
func BenchmarkQueryByState(b *testing.B) {
	for _, backend := range []string{"sqlite", "postgres"} {
		b.Run(backend, func(b *testing.B) {
			s, db, table, _ := crowdedStore(b, backend, 500)
			st, err := db.Prepare("SELECT id FROM " + table + " WHERE state = 'NEW' ORDER BY created DESC, id LIMIT 100")
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			const lists = 20 // per round
			q := &persistence.Query{State: []string{"NEW"}, Order: []persistence.Order{persistence.Desc("created")}, Limit: 100}
			compare(b, rounds, func(int) {
				for range lists {
					n := 0
					for _, err := range s.List(b.Context(), q) {
						if err != nil {
							b.Fatal(err)
						}
						n++
					}
					if n != 100 {
						b.Fatal(n)
					}
				}
			}, func(int) {
				for range lists {
					rows, err := st.QueryContext(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					n := 0
					for rows.Next() {
						var id int64
						if err := rows.Scan(&id); err != nil {
							b.Fatal(err)
						}
						n++
					}
					if err := errorsOf(rows); err != nil || n != 100 {
						b.Fatal(n, err)
					}
				}
			})
		})
	}
}
