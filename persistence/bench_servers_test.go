package persistence_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/url"
)

// onServer is a store on a server and its hand-written equivalent: a table with the same
// columns and indexes in the same database, and plain database/sql over one connection of the
// same driver with the same settings.
type onServer struct {
	name   string
	s      *persistence.Store
	db     *sql.DB
	number func(n int) string // the nth placeholder
	batch  int                // rows per statement: the fastest number by hand
	next   int                // the next ID of the hand-written side
}

const handColumns = "id, data, state, type, revision, size, created, modified"

// onServers runs a benchmark on each server.
func onServers(b *testing.B, bench func(b *testing.B, h *onServer)) {
	for _, name := range []string{"postgres", "mariadb"} {
		b.Run(name, func(b *testing.B) {
			raw := storeURL(b, name)
			u, err := url.Parse(raw)
			if err != nil {
				b.Fatal(err)
			}
			h := &onServer{name: name, s: open(b, raw, nil)}
			create := "CREATE TABLE hand (LIKE store INCLUDING ALL)"
			if name == "postgres" {
				h.db, err = sql.Open("postgres", raw+"&binary_parameters=yes")
				h.number, h.batch = func(n int) string { return fmt.Sprint("$", n) }, 250
			} else {
				create = "CREATE TABLE hand LIKE store"
				h.db, err = sql.Open("mysql", fmt.Sprintf("%s@unix(%s)%s?maxAllowedPacket=0&tx_isolation='READ-COMMITTED'",
					u.User(), u.Query().Get("socket"), u.Path()))
				h.number, h.batch = func(int) string { return "?" }, 100
			}
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { h.db.Close() })
			h.db.SetMaxOpenConns(1)
			if _, err := h.db.Exec(create); err != nil {
				b.Fatal(err)
			}
			if err := h.s.Reserve(b.Context(), 1_000_000); err != nil {
				b.Fatal(err)
			}
			bench(b, h)
		})
	}
}

// insert returns an INSERT of n rows.
func (h *onServer) insert(n int) string {
	rows := make([]string, n)
	for i := range rows {
		marks := make([]string, 8)
		for k := range marks {
			marks[k] = h.number(i*8 + k + 1)
		}
		rows[i] = "(" + strings.Join(marks, ",") + ")"
	}
	return "INSERT INTO hand (" + handColumns + ") VALUES " + strings.Join(rows, ",")
}

// args appends the values of the next row to args.
func (h *onServer) args(args []any, r *JobRow) ([]any, error) {
	data, err := msgpack.Marshal(r)
	h.next++
	return append(args, rowArgs(h.next, data, r.State)...), err
}

func (h *onServer) insertAll(rows []*JobRow) error {
	tx, err := h.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	st, err := tx.Prepare(h.insert(h.batch))
	if err != nil {
		return err
	}
	defer st.Close()
	for i := 0; i < len(rows); i += h.batch {
		var args []any
		for _, r := range rows[i : i+h.batch] {
			if args, err = h.args(args, r); err != nil {
				return err
			}
		}
		if _, err := st.Exec(args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func BenchmarkServerSaveOne(b *testing.B) {
	onServers(b, func(b *testing.B, h *onServer) {
		const saves = 50 // per round
		st, err := h.db.Prepare(h.insert(1))
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		compare(b, rounds, func(int) {
			for i := range saves {
				if _, err := h.s.Save(b.Context(), &Job{JobData: jobData(i)}); err != nil {
					b.Fatal(err)
				}
			}
		}, func(int) {
			for i := range saves {
				args, err := h.args(nil, row(i, 0))
				if err == nil {
					_, err = st.ExecContext(b.Context(), args...)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkServerSaveAll10000(b *testing.B) {
	onServers(b, func(b *testing.B, h *onServer) {
		jobs, rows := make([]any, 10_000), make([]*JobRow, 10_000)
		compare(b, rounds, func(int) {
			for i := range jobs {
				jobs[i] = &Job{JobData: jobData(i)}
			}
			if _, err := h.s.SaveAll(b.Context(), jobs...); err != nil {
				b.Fatal(err)
			}
		}, func(int) {
			for i := range rows {
				rows[i] = row(i, 0)
			}
			if err := h.insertAll(rows); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func BenchmarkServerSaveGraph5000(b *testing.B) {
	onServers(b, func(b *testing.B, h *onServer) {
		rows := make([]*JobRow, 5_000)
		compare(b, rounds, func(int) {
			if _, err := h.s.Save(b.Context(), graph(len(rows))[0]); err != nil {
				b.Fatal(err)
			}
		}, func(int) {
			for i := range rows {
				rows[i] = row(i, 5)
			}
			if err := h.insertAll(rows); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func BenchmarkServerLoadGraph10000(b *testing.B) {
	onServers(b, func(b *testing.B, h *onServer) {
		ids := must[[]persistence.ID](b)(h.s.SaveAll(b.Context(), levels(10_000, 20)...))
		rows := make([]*JobRow, 10_000)
		for i := range rows {
			rows[i] = row(i, 3)
		}
		if err := h.insertAll(rows); err != nil {
			b.Fatal(err)
		}
		st, err := h.db.Prepare("SELECT " + handColumns + " FROM hand")
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		compare(b, rounds, func(int) {
			if _, err := h.s.LoadAll(b.Context(), ids...); err != nil {
				b.Fatal(err)
			}
		}, func(int) {
			rows, err := st.QueryContext(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer rows.Close()
			all := make(map[int64]*JobRow, 10_000)
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
			if err := rows.Err(); err != nil || len(all) != 10_000 {
				b.Fatal(err, len(all))
			}
		})
	})
}

func BenchmarkServerList100000(b *testing.B) {
	onServers(b, func(b *testing.B, h *onServer) {
		jobs, rows := make([]any, 100_000), make([]*JobRow, 100_000)
		for i := range jobs {
			jobs[i], rows[i] = &Job{JobData: jobData(i)}, row(i, 0)
		}
		must[[]persistence.ID](b)(h.s.SaveAll(b.Context(), jobs...))
		if err := h.insertAll(rows); err != nil {
			b.Fatal(err)
		}
		for _, table := range []string{"store", "hand"} { // as servers do it by themselves, a minute later
			analyze := map[string]string{"postgres": "ANALYZE ", "mariadb": "ANALYZE TABLE "}[h.name]
			if _, err := h.db.Exec(analyze + table); err != nil {
				b.Fatal(err)
			}
		}
		st, err := h.db.Prepare("SELECT id FROM hand ORDER BY id")
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		compare(b, rounds, func(int) {
			n := 0
			for id, err := range h.s.List(b.Context(), nil) {
				if err != nil || id == "" {
					b.Fatal(err)
				}
				n++
			}
			if n != len(jobs) {
				b.Fatal(n)
			}
		}, func(int) {
			rows, err := st.QueryContext(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer rows.Close()
			var ids []string
			for rows.Next() {
				var id string
				if err := rows.Scan(&id); err != nil {
					b.Fatal(err)
				}
				ids = append(ids, id)
			}
			if err := rows.Err(); err != nil || len(ids) != len(jobs) {
				b.Fatal(err, len(ids))
			}
		})
	})
}
