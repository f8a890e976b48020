package persistence_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/brine-go/brine/internal/versus"
	"github.com/brine-go/brine/persistence"
)

// Each benchmark runs Brine and its hand-written equivalent alternately, in one run, and
// reports the median of the ratios of the rounds, as package versus says.
//
//	go test -run '^$' -bench . -benchtime 1x ./persistence/
//
// With -short the figures mean nothing: it only checks that the benchmarks run.
const rounds = versus.Rounds

// compare runs both sides in turn, n times.
func compare(b *testing.B, n int, ours, theirs func(round int)) {
	b.Helper()
	versus.Run(b, n, 1, ours, theirs)
}

// Job is an object of about 1 KB. JobRow is the row that a hand-written program stores for it,
// with references as IDs.
type Job struct {
	persistence.Persistable
	JobData
	Deps []*Job
}

type JobRow struct {
	JobData
	Deps []string
}

type JobData struct {
	Name, Queue, State, Command string
	Args                        []string
	Env                         map[string]string
	Priority, Attempts          int
	Timeout                     time.Duration
	Submitted, Started          time.Time
	Cost                        float64
	Output                      string
	Digest                      []byte
}

func init() { persistence.Register[Job]("bench.Job") }

func jobData(i int) JobData {
	return JobData{
		Name: fmt.Sprintf("job-%06d", i), Queue: "default", State: []string{"NEW", "RUNNING", "DONE"}[i%3],
		Command: "/usr/local/bin/align", Args: []string{"--reference", "/data/genome/hg38.fa", "--threads", "8", fmt.Sprint(i)},
		Env:      map[string]string{"HOME": "/home/worker", "LANG": "C.UTF-8", "TMPDIR": "/scratch/tmp"},
		Priority: i % 10, Attempts: 1, Timeout: time.Hour, Submitted: time.Unix(1_700_000_000+int64(i), 123456789).UTC(),
		Started: time.Unix(1_700_000_100+int64(i), 0).UTC(), Cost: float64(i) * 0.37,
		Output: strings.Repeat("line of output of the job, as programs print them\n", 9), Digest: make([]byte, 32),
	}
}

// graph returns n jobs that all reach each other, with five references each.
func graph(n int) []*Job {
	jobs := make([]*Job, n)
	for i := range jobs {
		jobs[i] = &Job{JobData: jobData(i)}
	}
	for i, j := range jobs {
		for d := range 5 {
			j.Deps = append(j.Deps, jobs[(i+1+d*d*7)%n])
		}
	}
	return jobs
}

func row(i int, deps int) *JobRow {
	r := &JobRow{JobData: jobData(i)}
	for d := range deps {
		r.Deps = append(r.Deps, fmt.Sprint(i+d))
	}
	return r
}

// byHand is a plain database/sql program on a database of its own, with the same tables, indexes,
// pragmas and driver as the store's.
type byHand struct {
	w, r                   *sql.DB
	insert, update, byID   *sql.Stmt
	insertTxt, columnNames string
}

func handwritten(b *testing.B, storePath string) *byHand {
	b.Helper()
	src, err := sql.Open("sqlite", "file:"+storePath)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	path := filepath.Join(b.TempDir(), "hand.db")
	pragmas := "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(10000)&_pragma=mmap_size(268435456)"
	h := &byHand{}
	open := func(dsn string, conns int) *sql.DB {
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			b.Fatal(err)
		}
		db.SetMaxOpenConns(conns)
		b.Cleanup(func() { db.Close() })
		return db
	}
	h.w, h.r = open(pragmas+"&_txlock=immediate", 1), open(pragmas, 4)
	rows, err := src.Query(`SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name = 'store' ORDER BY rootpage`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var ddl string
		if err := rows.Scan(&ddl); err != nil {
			b.Fatal(err)
		}
		if _, err := h.w.Exec(ddl); err != nil {
			b.Fatal(ddl, err)
		}
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	prepare := func(db *sql.DB, q string) *sql.Stmt {
		st, err := db.Prepare(q)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { st.Close() })
		return st
	}
	h.columnNames = "id, data, state, type, revision, size, created, modified"
	h.insertTxt = "INSERT INTO store (" + h.columnNames + ") VALUES "
	h.insert = prepare(h.w, h.insertTxt+"(?,?,?,?,?,?,?,?)")
	h.update = prepare(h.w, "UPDATE store SET data=?, state=?, type=?, revision=revision+1, size=?, modified=? WHERE id=? AND revision=?")
	h.byID = prepare(h.r, "SELECT data FROM store WHERE id=?")
	return h
}

func (h *byHand) tx(b *testing.B, fn func(tx *sql.Tx) error) {
	tx, err := h.w.Begin()
	if err == nil {
		err = fn(tx)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		b.Fatal(err)
	}
}

func rowArgs(id int, data []byte, state string) []any {
	now := time.Now().UnixMicro()
	return []any{id, data, state, "bench.Job", 1, len(data), now, now}
}

func sqliteStore(b *testing.B) (*persistence.Store, string) {
	path := filepath.Join(b.TempDir(), "store.db")
	return open(b, "sqlite:"+path, nil), path
}

func BenchmarkSaveOne(b *testing.B) {
	s, path := sqliteStore(b)
	if err := s.Reserve(b.Context(), 1000); err != nil {
		b.Fatal(err)
	}
	data := record(b, path, must[persistence.ID](b)(s.Save(b.Context(), &Job{JobData: jobData(1)})))
	h := handwritten(b, path)
	next := 0
	const saves = 20 // per round
	compare(b, rounds, func(round int) {
		for i := range saves {
			if _, err := s.Save(b.Context(), &Job{JobData: jobData(i)}); err != nil {
				b.Fatal(err)
			}
		}
	}, func(round int) {
		for i := range saves {
			next++
			_ = jobData(i)
			h.tx(b, func(tx *sql.Tx) error {
				_, err := tx.Stmt(h.insert).Exec(rowArgs(next, data, "NEW")...)
				return err
			})
		}
	})
}

func BenchmarkSaveAll10000(b *testing.B) {
	s, path := sqliteStore(b)
	h := handwritten(b, path)
	const n = 10_000
	jobs := make([]any, n)
	rows := make([]*JobRow, n)
	compare(b, rounds, func(round int) {
		for i := range jobs {
			jobs[i] = &Job{JobData: jobData(i)}
		}
		if _, err := s.SaveAll(b.Context(), jobs...); err != nil {
			b.Fatal(err)
		}
	}, func(round int) {
		for i := range rows {
			rows[i] = row(i, 0)
		}
		h.insertAll(b, rows, round*n)
	})
}

func BenchmarkSaveGraph5000(b *testing.B) {
	s, path := sqliteStore(b)
	h := handwritten(b, path)
	const n = 5_000
	rows := make([]*JobRow, n)
	compare(b, rounds, func(round int) {
		if _, err := s.Save(b.Context(), graph(n)[0]); err != nil {
			b.Fatal(err)
		}
	}, func(round int) {
		for i := range rows {
			rows[i] = row(i, 5)
		}
		h.insertAll(b, rows, round*n)
	})
}

// insertAll inserts rows in one transaction, with IDs from after on.
func (h *byHand) insertAll(b *testing.B, rows []*JobRow, after int) {
	const batch = 64
	many := strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?,?,?),", batch), ",")
	h.tx(b, func(tx *sql.Tx) error {
		st, err := tx.Prepare(h.insertTxt + many)
		if err != nil {
			return err
		}
		defer st.Close()
		args := make([]any, 0, 8*batch)
		for i := 0; i < len(rows); i += batch {
			args = args[:0]
			for j := i; j < min(i+batch, len(rows)); j++ {
				data, err := msgpack.Marshal(rows[j])
				if err != nil {
					return err
				}
				args = append(args, rowArgs(after+j+1, data, rows[j].State)...)
			}
			if len(args) == 8*batch {
				_, err = st.Exec(args...)
			} else {
				_, err = tx.Exec(h.insertTxt+many[:len(args)/8*18-1], args...)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkLoadGraph10000(b *testing.B) {
	s, path := sqliteStore(b)
	const n = 10_000
	root := must[persistence.ID](b)(s.Save(b.Context(), graph(n)[0]))
	h := handwritten(b, path)
	insertRows(b, h, n, 5)
	compare(b, rounds, func(int) {
		if _, err := persistence.Load[Job](b.Context(), s, root); err != nil {
			b.Fatal(err)
		}
	}, func(int) {
		rows, err := h.r.Query("SELECT " + h.columnNames + " FROM store")
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		all := make(map[int64]*JobRow, n)
		for rows.Next() {
			var id, rev, size, created, modified int64
			var data sql.RawBytes
			var state, typ string
			if err := rows.Scan(&id, &data, &state, &typ, &rev, &size, &created, &modified); err != nil {
				b.Fatal(err)
			}
			r := new(JobRow)
			if err := msgpack.Unmarshal(data, r); err != nil {
				b.Fatal(err)
			}
			all[id] = r
		}
		if err := rows.Err(); err != nil || len(all) != n {
			b.Fatal(err, len(all))
		}
	})
}

func insertRows(b *testing.B, h *byHand, n, deps int) {
	h.tx(b, func(tx *sql.Tx) error {
		for i := range n {
			data, err := msgpack.Marshal(row(i, deps))
			if err != nil {
				return err
			}
			if _, err := tx.Stmt(h.insert).Exec(rowArgs(i+1, data, "NEW")...); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkSaveOnlyInGraph10000(b *testing.B) {
	for _, refs := range []int{5, 10_000} {
		b.Run(fmt.Sprintf("references=%d", refs), func(b *testing.B) {
			s, path := sqliteStore(b)
			jobs := graph(10_000)
			job := jobs[17]
			if refs > 5 {
				job.Deps = slices.Clone(jobs)
			}
			id := must[persistence.ID](b)(s.Save(b.Context(), jobs[0]))
			_ = id
			data := record(b, path, job.PersistentID())
			h := handwritten(b, path)
			h.tx(b, func(tx *sql.Tx) error {
				_, err := tx.Stmt(h.insert).Exec(rowArgs(17, data, "NEW")...)
				return err
			})
			const saves = 20
			compare(b, rounds, func(round int) {
				for i := range saves {
					job.Attempts = round*saves + i
					if _, err := s.SaveOnly(b.Context(), job); err != nil {
						b.Fatal(err)
					}
				}
			}, func(round int) {
				for i := range saves {
					h.tx(b, func(tx *sql.Tx) error {
						if refs > 5 { // the requirement is that the references cost no more than their encoding
							r := &JobRow{JobData: job.JobData, Deps: make([]string, len(job.Deps))}
							for i, d := range job.Deps {
								r.Deps[i] = string(d.PersistentID())
							}
							if _, err := msgpack.Marshal(r); err != nil {
								return err
							}
						}
						_, err := tx.Stmt(h.update).Exec(data, "NEW", "bench.Job", len(data), time.Now().UnixMicro(), 17, round*saves+i+1)
						return err
					})
				}
			})
		})
	}
}

func BenchmarkSaveGraph10000WithOneChange(b *testing.B) {
	s, _ := sqliteStore(b)
	const n = 10_000
	jobs := graph(n)
	must[persistence.ID](b)(s.Save(b.Context(), jobs[0]))
	rows := make([]*JobRow, n)
	for i := range rows {
		rows[i] = row(i, 5)
	}
	compare(b, rounds, func(round int) {
		jobs[n/2].Attempts = round + 2
		if _, err := s.Save(b.Context(), jobs[0]); err != nil {
			b.Fatal(err)
		}
	}, func(int) {
		for _, r := range rows {
			if _, err := msgpack.Marshal(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkList100000(b *testing.B) {
	s, path := sqliteStore(b)
	h := handwritten(b, path)
	for range 10 {
		objs := make([]any, 10_000)
		for i := range objs {
			objs[i] = &Job{JobData: jobData(i)}
		}
		must[[]persistence.ID](b)(s.SaveAll(b.Context(), objs...))
	}
	for i := range 10 {
		h.tx(b, func(tx *sql.Tx) error {
			for j := range 10_000 {
				data, err := msgpack.Marshal(row(j, 0))
				if err != nil {
					return err
				}
				if _, err := tx.Stmt(h.insert).Exec(rowArgs(i*10_000+j+1, data, "NEW")...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	compare(b, rounds, func(int) {
		n := 0
		for _, err := range s.List(b.Context(), nil) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 100_000 {
			b.Fatal(n)
		}
	}, func(int) {
		rows, err := h.r.Query("SELECT id FROM store ORDER BY id")
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		n := 0
		var id string
		for rows.Next() {
			if err := rows.Scan(&id); err != nil {
				b.Fatal(err)
			}
			n++
		}
		if rows.Err() != nil || n != 100_000 {
			b.Fatal(rows.Err(), n)
		}
	})
}

func writeFile(b *testing.B, name string, data []byte) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

func syncDir(b *testing.B, dir string) {
	d, err := os.Open(dir)
	if err == nil {
		err = d.Sync()
	}
	if err != nil {
		b.Fatal(err)
	}
	d.Close()
}

func BenchmarkFSSaveOne(b *testing.B) {
	s := open(b, "file:"+filepath.Join(b.TempDir(), "store"), nil)
	if err := s.Reserve(b.Context(), 1000); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	data, _ := msgpack.Marshal(row(1, 0))
	const saves = 10
	compare(b, rounds, func(round int) {
		for i := range saves {
			if _, err := s.Save(b.Context(), &Job{JobData: jobData(i)}); err != nil {
				b.Fatal(err)
			}
		}
	}, func(round int) {
		for i := range saves {
			name := filepath.Join(dir, fmt.Sprint(round*saves+i))
			f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				_, err = f.Write(data)
			}
			if err == nil {
				err = f.Sync()
			}
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
			if err := os.Rename(name+".tmp", name); err != nil {
				b.Fatal(err)
			}
			syncDir(b, dir)
		}
	})
}

func BenchmarkFSSaveAll10000(b *testing.B) {
	s := open(b, "file:"+filepath.Join(b.TempDir(), "store"), nil)
	dir := b.TempDir()
	const n = 10_000
	jobs := make([]any, n)
	compare(b, rounds, func(int) {
		for i := range jobs {
			jobs[i] = &Job{JobData: jobData(i)}
		}
		if _, err := s.SaveAll(b.Context(), jobs...); err != nil {
			b.Fatal(err)
		}
	}, func(round int) {
		names := make([]string, n)
		for i := range n {
			data, err := msgpack.Marshal(row(i, 0))
			if err != nil {
				b.Fatal(err)
			}
			names[i] = filepath.Join(dir, fmt.Sprint(round*n+i))
			writeFile(b, names[i]+".tmp", data)
		}
		flushAll(b, dir, names)
		for _, name := range names {
			if err := os.Rename(name+".tmp", name); err != nil {
				b.Fatal(err)
			}
		}
		syncDir(b, dir)
	})
}

// BenchmarkGrowth compares the cost per object of saving and loading in a store of 100,000
// objects and in one of 10,000.
func BenchmarkGrowth(b *testing.B) {
	for _, backend := range []string{"sqlite", "fs"} {
		b.Run(backend, func(b *testing.B) {
			cost := func(n int) (save, load float64) {
				s := open(b, storeURL(b, backend), nil)
				jobs := graph(n)
				start := time.Now()
				id := must[persistence.ID](b)(s.Save(b.Context(), jobs[0]))
				saved := time.Now()
				runtime.GC()
				loading := time.Now()
				if _, err := persistence.Load[Job](context.WithoutCancel(b.Context()), s, id); err != nil {
					b.Fatal(err)
				}
				return float64(saved.Sub(start)) / float64(n), float64(time.Since(loading)) / float64(n)
			}
			n, times := 10_000, 3
			if testing.Short() {
				n, times = 100, 1
			}
			for range b.N {
				var saves, loads []float64
				for range times {
					s1, l1 := cost(n)
					s2, l2 := cost(10 * n)
					saves, loads = append(saves, s2/s1), append(loads, l2/l1)
				}
				b.ReportMetric(versus.Median(saves), "save-growth")
				b.ReportMetric(versus.Median(loads), "load-growth")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}
