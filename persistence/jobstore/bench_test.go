package jobstore_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/internal/versus"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/jobstore"
)

// Each benchmark alternates between Brine and plain database/sql on a table with the same rows,
// columns and indexes, and reports the median of the ratios:
//
//	go test -run '^$' -bench . -benchtime 1x ./persistence/jobstore
//
// BRINE_LONG=1: among a million jobs. With -short the figures mean nothing.

// BenchJob is a job of about half a kilobyte. BenchRow is the row that a hand-written program
// stores for it.
type BenchJob struct {
	persistence.Persistable
	BenchRow
}

type BenchRow struct {
	ID      string
	Next    time.Time
	Command string
	Args    []string
	Env     map[string]string
	Note    string
}

func init() { persistence.Register[BenchJob]("jobstore.BenchJob") }

// dueAt is the time of the queries: a hundred jobs are due.
var dueAt = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func benchRow(i int) BenchRow {
	next := dueAt.Add(time.Duration(i) * time.Second)
	if i < 100 {
		next = dueAt.Add(-time.Duration(100-i) * time.Minute)
	}
	return BenchRow{ID: fmt.Sprintf("job-%07d", i), Next: next, Command: "/usr/bin/report", Args: []string{"--daily", fmt.Sprint(i)},
		Env: map[string]string{"LANG": "C.UTF-8", "HOME": "/home/report"}, Note: strings.Repeat("a note on this job\n", 15)}
}

// crowd returns a job store with a great many jobs, and a handle on an equal table.
func crowd(b *testing.B, backend string) (s *jobstore.Store[BenchJob], db *sql.DB, table, mark string) {
	b.Helper()
	n := 10_000
	if os.Getenv("BRINE_LONG") != "" {
		n = 1_000_000
	} else if testing.Short() {
		n = 500
	}
	path := filepath.Join(b.TempDir(), "jobs.db")
	raw := "sqlite:" + path
	if backend == "postgres" {
		srv := testserver.SharedPostgres(b)
		raw = srv.URL(srv.NewDB(b))
	}
	s, err := jobstore.Open(b.Context(), raw, jobstore.Options[BenchJob]{
		ID: func(j *BenchJob) string { return j.ID }, NextRunTime: func(j *BenchJob) time.Time { return j.Next },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	for done := 0; done < n; done += 10_000 {
		objs := make([]any, min(10_000, n-done))
		for i := range objs {
			objs[i] = &BenchJob{BenchRow: benchRow(done + i)}
		}
		if _, err := s.Objects().SaveAll(b.Context(), objs...); err != nil {
			b.Fatal(err)
		}
	}
	run := func(texts ...string) {
		for _, text := range texts {
			if _, err := db.Exec(text); err != nil {
				b.Fatal(text, err)
			}
		}
	}
	if backend == "postgres" {
		if db, err = sql.Open("postgres", raw+"&binary_parameters=yes"); err != nil {
			b.Fatal(err)
		}
		table, mark = "hand", "$1"
		db.SetMaxOpenConns(1)
		run("CREATE TABLE hand (LIKE jobs INCLUDING ALL)", "INSERT INTO hand SELECT * FROM jobs")
	} else {
		if db, err = sql.Open("sqlite", path); err != nil {
			b.Fatal(err)
		}
		copied := filepath.Join(b.TempDir(), "hand.db")
		run("VACUUM INTO '" + copied + "'")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		if db, err = sql.Open("sqlite", "file:"+copied+"?_pragma=journal_mode(WAL)&_pragma=mmap_size(268435456)"); err != nil {
			b.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		table, mark = "jobs", "?"
	}
	b.Cleanup(func() { db.Close() })
	// msgpack itself encodes the jobs that are due.
	for i := range min(n, 100) {
		row := benchRow(i)
		data, err := msgpack.Marshal(&row)
		if err != nil {
			b.Fatal(err)
		}
		update := "UPDATE " + table + " SET data = ? WHERE id = ?"
		if backend == "postgres" {
			update = "UPDATE hand SET data = $1 WHERE id = $2"
		}
		if _, err := db.Exec(update, data, row.ID); err != nil {
			b.Fatal(err)
		}
	}
	if backend == "postgres" {
		run("VACUUM ANALYZE jobs", "VACUUM ANALYZE hand")
	}
	return s, db, table, mark
}

// compare runs both sides in turn, each so many times in a round.
func compare(b *testing.B, times int, ours, hand func() error) {
	b.Helper()
	checked := func(call func() error) func(int) {
		return func(int) {
			if err := call(); err != nil {
				b.Fatal(err)
			}
		}
	}
	versus.Run(b, versus.Rounds, times, checked(ours), checked(hand))
}

func BenchmarkDue100(b *testing.B) {
	for _, backend := range []string{"sqlite", "postgres"} {
		b.Run(backend, func(b *testing.B) {
			s, db, table, mark := crowd(b, backend)
			st, err := db.Prepare("SELECT data FROM " + table + " WHERE next_run_time <= " + mark + " ORDER BY next_run_time, id")
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			want := func(n int) error {
				if n != 100 {
					return fmt.Errorf("%d jobs are due", n)
				}
				return nil
			}
			compare(b, 20, func() error {
				jobs, err := s.Due(b.Context(), dueAt.Add(-time.Second))
				if err != nil {
					return err
				}
				return want(len(jobs))
			}, func() error {
				rows, err := st.QueryContext(b.Context(), dueAt.Add(-time.Second).UnixMicro())
				if err != nil {
					return err
				}
				defer rows.Close()
				var jobs []*BenchRow
				for rows.Next() {
					var data sql.RawBytes
					if err := rows.Scan(&data); err != nil {
						return err
					}
					job := new(BenchRow)
					if err := msgpack.Unmarshal(data, job); err != nil {
						return err
					}
					jobs = append(jobs, job)
				}
				if err := rows.Err(); err != nil {
					return err
				}
				return want(len(jobs))
			})
		})
	}
}

func BenchmarkNextRunTime(b *testing.B) {
	for _, backend := range []string{"sqlite", "postgres"} {
		b.Run(backend, func(b *testing.B) {
			s, db, table, _ := crowd(b, backend)
			st, err := db.Prepare("SELECT next_run_time FROM " + table + " WHERE next_run_time IS NOT NULL ORDER BY next_run_time, id LIMIT 1")
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			first := benchRow(0).Next
			compare(b, 500, func() error {
				next, ok, err := s.NextRunTime(b.Context())
				if err == nil && (!ok || !next.Equal(first)) {
					err = fmt.Errorf("the next run is at %v", next)
				}
				return err
			}, func() error {
				var micros int64
				err := st.QueryRowContext(b.Context()).Scan(&micros)
				if err == nil && micros != first.UnixMicro() {
					err = fmt.Errorf("the next run is at %v", micros)
				}
				return err
			})
		})
	}
}
