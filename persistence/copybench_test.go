package persistence_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
)

const (
	copiedJobs = 100_000 // of 1 KB
	copyRounds = 20
)

// jobsToCopy fills a SQLite store with jobs, and returns its path.
func jobsToCopy(b *testing.B) (*persistence.Store, string) {
	s, path := sqliteStore(b)
	n := copiedJobs
	if testing.Short() {
		n /= 100
	}
	for at := 0; at < n; at += 10_000 {
		jobs := make([]any, min(10_000, n))
		for i := range jobs {
			jobs[i] = &Job{JobData: jobData(at + i)}
		}
		must[[]persistence.ID](b)(s.SaveAll(b.Context(), jobs...))
	}
	return s, path
}

// A copyLoop is a loop of bulk SELECT and INSERT, as a careful person writes it: one scan of the
// source, and transactions of several thousand rows by prepared statements of many.
type copyLoop struct {
	from, to    *sql.DB
	table       string
	number      func(n int) string // the nth placeholder
	batch       int                // rows of one statement
	transaction int                // rows of one transaction
}

func (h *copyLoop) insert(n int) string {
	columns := strings.Count(handColumns, ",") + 1
	rows := make([]string, n)
	for i := range rows {
		marks := make([]string, columns)
		for k := range marks {
			marks[k] = h.number(i*columns + k + 1)
		}
		rows[i] = "(" + strings.Join(marks, ",") + ")"
	}
	return "INSERT INTO " + h.table + " (" + handColumns + ") VALUES " + strings.Join(rows, ",")
}

func (h *copyLoop) run(ctx context.Context) (copied int, err error) {
	rows, err := h.from.QueryContext(ctx, "SELECT "+handColumns+" FROM store ORDER BY id")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	const columns = 8
	conn, err := h.to.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	many, err := conn.PrepareContext(ctx, h.insert(h.batch))
	if err != nil {
		return 0, err
	}
	defer many.Close()
	var tx *sql.Tx
	args := make([]any, 0, columns*h.batch)
	flush := func() error {
		if len(args) == cap(args) {
			_, err := tx.StmtContext(ctx, many).ExecContext(ctx, args...)
			args = args[:0]
			return err
		}
		if len(args) > 0 {
			_, err := tx.ExecContext(ctx, h.insert(len(args)/columns), args...)
			return err
		}
		return nil
	}
	for rows.Next() {
		if tx == nil {
			if tx, err = conn.BeginTx(ctx, nil); err != nil {
				return copied, err
			}
		}
		var id, revision, size, created, modified int64
		var data []byte
		var state, typ string
		if err := rows.Scan(&id, &data, &state, &typ, &revision, &size, &created, &modified); err != nil {
			return copied, err
		}
		args = append(args, id, data, state, typ, revision, size, created, modified)
		copied++
		if len(args) == cap(args) {
			if err := flush(); err != nil {
				return copied, err
			}
		}
		if copied%h.transaction == 0 {
			if err := tx.Commit(); err != nil {
				return copied, err
			}
			tx = nil
		}
	}
	if err := rows.Err(); err != nil {
		return copied, err
	}
	if tx == nil {
		return copied, nil
	}
	if err := flush(); err != nil {
		return copied, err
	}
	return copied, tx.Commit()
}

// tables returns the definitions of the table of objects in a SQLite store, with its indexes.
func tables(b *testing.B, path string) (all []string) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name = 'store' ORDER BY rootpage`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			b.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return all
}

// Copying from one SQLite file to a new one, opening and closing included.
func BenchmarkCopySQLite(b *testing.B) {
	src, path := jobsToCopy(b)
	n := must[int64](b)(src.Count(b.Context(), nil))
	defs := tables(b, path)
	dir := b.TempDir()
	from := sqliteByHand(b, path)
	b.Cleanup(func() { from.Close() })
	compare(b, copyRounds, func(round int) {
		file := filepath.Join(dir, fmt.Sprint("ours", round))
		dst := must[*persistence.Store](b)(persistence.MakeStore(b.Context(), "sqlite:"+file, nil))
		got, err := persistence.Copy(b.Context(), dst, src, nil)
		if err != nil || got.Copied != n {
			b.Fatalf("%+v, %v", got, err)
		}
		check(b, dst.Close())
		check(b, os.Remove(file))
	}, func(round int) {
		file := filepath.Join(dir, fmt.Sprint("theirs", round))
		to := sqliteByHand(b, file)
		to.SetMaxOpenConns(1)
		for _, def := range defs {
			if _, err := to.Exec(def); err != nil {
				b.Fatal(err)
			}
		}
		h := &copyLoop{from: from, to: to, table: "store", number: func(int) string { return "?" }, batch: 64, transaction: handTransaction}
		if got, err := h.run(b.Context()); err != nil || int64(got) != n {
			b.Fatalf("%d copied, %v", got, err)
		}
		check(b, to.Close())
		check(b, os.Remove(file))
	})
}

// handTransaction is the fastest number of rows by hand that does not make the log as large as the
// database.
const handTransaction = 10_000

func sqliteByHand(b *testing.B, path string) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
		"&_pragma=wal_autocheckpoint(10000)&_pragma=mmap_size(268435456)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// Copying from a SQLite file into an empty table of a server.
func BenchmarkCopyToServer(b *testing.B) {
	src, path := jobsToCopy(b)
	n := must[int64](b)(src.Count(b.Context(), nil))
	from := sqliteByHand(b, path)
	b.Cleanup(func() { from.Close() })
	onServers(b, func(b *testing.B, h *onServer) {
		hand := &copyLoop{from: from, to: h.db, table: "hand", number: h.number, batch: h.batch, transaction: handTransaction}
		empty := func(table string) {
			if _, err := h.db.Exec("TRUNCATE TABLE " + table); err != nil {
				b.Fatal(err)
			}
		}
		compare(b, copyRounds, func(int) {
			empty("store")
			got, err := persistence.Copy(b.Context(), h.s, src, nil)
			if err != nil || got.Copied != n {
				b.Fatalf("%+v, %v", got, err)
			}
		}, func(int) {
			empty("hand")
			if got, err := hand.run(b.Context()); err != nil || int64(got) != n {
				b.Fatalf("%d copied, %v", got, err)
			}
		})
	})
}
