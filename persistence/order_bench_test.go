package persistence_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/url"
)

// BenchmarkByStateInOrder gets the first 100 of 100,000 jobs by state in the order of the priority:
// the objects and, as "information", all but them. By hand it is a SELECT with the same index.
func BenchmarkByStateInOrder(b *testing.B) {
	for _, name := range []string{"sqlite", "postgres", "mariadb"} {
		b.Run(name, func(b *testing.B) {
			raw := storeURL(b, name)
			s := open(b, raw, &persistence.Options{
				ExtraFields: []extrafields.Field{extrafields.Of("priority", func(j *Job) int { return j.Priority })},
				Indexes:     []persistence.Index{{Columns: []string{"state", "priority"}}},
			})
			n := 100_000
			if testing.Short() {
				n = 10_000
			}
			jobs := make([]any, n)
			for i := range jobs {
				d := jobData(i)
				d.State, d.Priority = []string{"NEW", "READY", "DONE"}[i%3], i*7919%100_003
				jobs[i] = &Job{JobData: d}
			}
			for i := 0; i < n; i += 10_000 {
				if _, err := s.SaveAll(b.Context(), jobs[i:i+10_000]...); err != nil {
					b.Fatal(err)
				}
			}
			db := handCopy(b, name, raw, n)
			mark := map[string]string{"postgres": "$1"}[name]
			if mark == "" {
				mark = "?"
			}
			q := &persistence.Query{State: []string{"READY"}, Order: []persistence.Order{persistence.Asc("priority")}, Limit: 100}
			b.Run("objects", func(b *testing.B) {
				st := must[*sql.Stmt](b)(db.Prepare("SELECT id, data, revision FROM hand WHERE state = " + mark + " ORDER BY priority, id LIMIT 100"))
				defer st.Close()
				compare(b, rounds, func(int) {
					for range 10 {
						got := 0
						for _, err := range persistence.All[Job](b.Context(), s, q) {
							if err != nil {
								b.Fatal(err)
							}
							got++
						}
						if got != 100 {
							b.Fatal(got)
						}
					}
				}, func(int) {
					for range 10 {
						hundred(b, st, func(rows *sql.Rows) error {
							var id, revision int64
							var data sql.RawBytes
							if err := rows.Scan(&id, &data, &revision); err != nil {
								return err
							}
							return msgpack.Unmarshal(data, new(JobRow))
						})
					}
				})
			})
			b.Run("information", func(b *testing.B) {
				st := must[*sql.Stmt](b)(db.Prepare("SELECT id, type, state, revision, size, created, modified, priority FROM hand WHERE state = " + mark + " ORDER BY priority, id LIMIT 100"))
				defer st.Close()
				compare(b, rounds, func(int) {
					for range 10 {
						got := 0
						for _, err := range s.StatAll(b.Context(), q) {
							if err != nil {
								b.Fatal(err)
							}
							got++
						}
						if got != 100 {
							b.Fatal(got)
						}
					}
				}, func(int) {
					for range 10 {
						hundred(b, st, func(rows *sql.Rows) error {
							var id, revision, size, created, modified, priority int64
							var typ, state string
							return rows.Scan(&id, &typ, &state, &revision, &size, &created, &modified, &priority)
						})
					}
				})
			})
		})
	}
}

// hundred runs a statement by hand, which gives so many rows.
func hundred(b *testing.B, st *sql.Stmt, each func(*sql.Rows) error) {
	b.Helper()
	rows, err := st.QueryContext(b.Context(), "READY")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	got := 0
	for ; rows.Next(); got++ {
		if err := each(rows); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil || got != 100 {
		b.Fatal(got, err)
	}
}

// handCopy returns a plain database with a table "hand" that has the records and the index of a
// store, with the records by hand.
func handCopy(b *testing.B, name, raw string, n int) *sql.DB {
	b.Helper()
	u := must[url.URL](b)(url.Parse(raw))
	driverName, dsn, analyze := "sqlite", strings.TrimPrefix(raw, "sqlite:")+"?_pragma=busy_timeout(10000)&_pragma=mmap_size(268435456)", "ANALYZE hand"
	switch name {
	case "postgres":
		driverName, dsn, analyze = "postgres", raw+"&binary_parameters=yes", "VACUUM ANALYZE hand"
	case "mariadb":
		driverName, analyze = "mysql", "ANALYZE TABLE hand"
		dsn = fmt.Sprintf("%s@unix(%s)%s?maxAllowedPacket=0&tx_isolation='READ-COMMITTED'", u.User(), u.Query().Get("socket"), u.Path())
	}
	db := must[*sql.DB](b)(sql.Open(driverName, dsn))
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	must[sql.Result](b)(db.Exec("CREATE TABLE hand AS SELECT id, data, type, state, revision, size, created, modified, priority FROM store"))
	if name == "sqlite" { // whose table has no key yet
		must[sql.Result](b)(db.Exec("ALTER TABLE hand RENAME TO copied"))
		must[sql.Result](b)(db.Exec("CREATE TABLE hand (id INTEGER PRIMARY KEY, data BLOB, type TEXT, state TEXT, revision BIGINT, size BIGINT, created BIGINT, modified BIGINT, priority BIGINT)"))
		must[sql.Result](b)(db.Exec("INSERT INTO hand SELECT * FROM copied"))
	} else {
		must[sql.Result](b)(db.Exec("ALTER TABLE hand ADD PRIMARY KEY (id)"))
	}
	must[sql.Result](b)(db.Exec("CREATE INDEX hand_state_priority ON hand (state, priority)"))
	encodeByHand(b, db, name, n)
	must[sql.Result](b)(db.Exec(analyze))
	if name != "sqlite" {
		must[sql.Result](b)(db.Exec(strings.Replace(analyze, "hand", "store", 1)))
	}
	return db
}

// encodeByHand puts what one encodes by hand in the place of the records.
func encodeByHand(b *testing.B, db *sql.DB, name string, n int) {
	b.Helper()
	text := "UPDATE hand SET data = ? WHERE id = ?"
	if name == "postgres" {
		text = "UPDATE hand SET data = $1 WHERE id = $2"
	}
	tx := must[*sql.Tx](b)(db.Begin())
	st := must[*sql.Stmt](b)(tx.Prepare(text))
	defer st.Close()
	for i := range n {
		if i%3 == 1 { // the others are not read
			must[sql.Result](b)(st.Exec(must[[]byte](b)(msgpack.Marshal(row(i, 0))), i+1))
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}
