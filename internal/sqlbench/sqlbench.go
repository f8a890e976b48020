// Package sqlbench holds the benchmarks that all SQL dialects share: a backend beside what one
// writes without a library.
package sqlbench

import (
	"bytes"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/sqltest"
	"github.com/brine-go/brine/internal/versus"
	"github.com/brine-go/brine/persistence/driver"
)

// Rounds is how often each side runs; with testing.Short once, which shows only that the benchmarks
// run.
func Rounds() int {
	if testing.Short() {
		return 1
	}
	return 40
}

// A Dialect says how to begin, and what differs in what is written by hand.
type Dialect struct {
	// New returns both sides, without a record.
	New func(b *testing.B) (driver.Backend, *Hand)
	// Rows are the numbers of rows a statement that Create10000 compares with. Each divides 10,000.
	Rows []int
	// ClaimColumns are the statements that prepare the table for claims; Claim is the statement
	// that claims, and ClaimArgs are its arguments.
	ClaimColumns []string
	Claim        string
	ClaimArgs    func(owner string, now time.Time, lease time.Duration, limit int) []any
}

// A Hand is what one writes without a library: the same driver, settings, columns and indexes,
// plain database/sql.
type Hand struct {
	Writer *sql.DB // its connections are set up as the backend's
	Reader *sql.DB // may be Writer
	Table  string  // with the columns of Columns
	Bind   int     // the placeholders, as in sqlx.Rebind
	// Analyze, if not nil, tells both databases' planners what the tables hold.
	Analyze func(b *testing.B)

	insert *sql.Stmt
}

// Columns are the columns of a Hand's table, in their order in its statements.
const Columns = "id, data, state, type, revision, size, created, modified"

// Prepare prepares a statement with placeholders "?" on the writer. It is closed when b ends.
func (h *Hand) Prepare(b *testing.B, text string) *sql.Stmt { return h.prepare(b, h.Writer, text) }

func (h *Hand) prepare(b *testing.B, db *sql.DB, text string) *sql.Stmt {
	b.Helper()
	s, err := db.PrepareContext(b.Context(), sqlx.Rebind(h.Bind, text))
	Check(b, err)
	b.Cleanup(func() { s.Close() })
	return s
}

// Insert returns the prepared statement that inserts one record, with the arguments of Args.
func (h *Hand) Insert(b *testing.B) *sql.Stmt {
	b.Helper()
	if h.insert == nil {
		h.insert = h.Prepare(b, h.insertText(1))
	}
	return h.insert
}

func (h *Hand) insertText(rows int) string {
	const row = "(?, ?, ?, ?, ?, ?, ?, ?)"
	return "INSERT INTO " + h.Table + " (" + Columns + ") VALUES " + row + strings.Repeat(", "+row, rows-1)
}

// Args appends the arguments of an inserted row.
func Args(args []any, r *driver.Record, id int64) []any {
	return append(args, id, r.Data, r.State, r.Type, r.Revision, int64(len(r.Data)),
		r.Created.UnixMicro(), r.Modified.UnixMicro())
}

// Batch inserts records in one transaction, n rows a statement; n divides their number.
func (h *Hand) Batch(b *testing.B, recs []driver.Record, first int64, n int) {
	b.Helper()
	tx, err := h.Writer.BeginTx(b.Context(), nil)
	Check(b, err)
	defer func() { _ = tx.Rollback() }()
	s, err := tx.PrepareContext(b.Context(), sqlx.Rebind(h.Bind, h.insertText(n)))
	Check(b, err)
	defer s.Close()
	for i := 0; i < len(recs); i += n {
		args := make([]any, 0, n*8)
		for j := range n {
			args = Args(args, &recs[i+j], first+int64(i+j))
		}
		_, err := s.ExecContext(b.Context(), args...)
		Check(b, err)
	}
	Check(b, tx.Commit())
}

// Records returns n records of 1,000 bytes without IDs.
func Records(n int) []driver.Record {
	recs := make([]driver.Record, n)
	for i := range recs {
		recs[i] = sqltest.Record("", string(bytes.Repeat([]byte{byte(i), byte(i >> 8), 'x', 7}, 250)))
	}
	return recs
}

// Creates returns the mutations that create records, with IDs from first on.
func Creates(recs []driver.Record, first int64) []driver.Mutation {
	ms := make([]driver.Mutation, len(recs))
	for i := range recs {
		ms[i] = driver.Mutation{Op: driver.Create, Rec: recs[i]}
		ms[i].Rec.ID = driver.ID(strconv.FormatInt(first+int64(i), 10))
	}
	return ms
}

// Versus runs both sides in turn, as package versus says.
func Versus(b *testing.B, ours, hand func()) {
	b.Helper()
	versus.Run(b, Rounds(), 1, func(int) { ours() }, func(int) { hand() })
}

// Check ends b on an error.
func Check(b *testing.B, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}

// fill stores n records of 1,000 bytes on both sides, with IDs from 0 on; 10,000 divides n, or it
// is less.
func fill(b *testing.B, store driver.Backend, hand *Hand, n int) {
	b.Helper()
	recs := Records(min(n, 10_000))
	for first := 0; first < n; first += len(recs) {
		sqltest.Apply(b, store, Creates(recs, int64(first))...)
		hand.Batch(b, recs, int64(first), 50)
	}
	if hand.Analyze != nil {
		hand.Analyze(b)
	}
}

// CreateOne creates a hundred records, each by itself.
func CreateOne(b *testing.B, d Dialect) {
	store, hand := d.New(b)
	insert := hand.Insert(b)
	recs := Records(100)
	ours, theirs := int64(0), int64(0)
	Versus(b, func() {
		for i := range recs {
			ours++
			sqltest.Apply(b, store, Creates(recs[i:i+1], ours)...)
		}
	}, func() {
		for i := range recs {
			theirs++
			_, err := insert.ExecContext(b.Context(), Args(nil, &recs[i], theirs)...)
			Check(b, err)
		}
	})
}

// UpdateOne updates a hundred records of a thousand, each by itself, if they have the revision that
// was read.
func UpdateOne(b *testing.B, d Dialect) {
	store, hand := d.New(b)
	fill(b, store, hand, 1000)
	update := hand.Prepare(b, "UPDATE "+hand.Table+" SET data = ?, state = ?, type = ?, revision = revision + 1,"+
		" size = ?, modified = ? WHERE id = ? AND revision = ?")
	recs := Records(100)
	ours, theirs := int64(0), int64(0)
	Versus(b, func() {
		ours++
		for i := range recs {
			m := Creates(recs[i:i+1], int64(i))[0]
			m.Op, m.IfRev = driver.Update, ours
			sqltest.Apply(b, store, m)
		}
	}, func() {
		theirs++
		for i := range recs {
			r := &recs[i]
			res, err := update.ExecContext(b.Context(),
				r.Data, r.State, r.Type, int64(len(r.Data)), r.Modified.UnixMicro(), int64(i), theirs)
			Check(b, err)
			if n, err := res.RowsAffected(); n != 1 {
				b.Fatal(n, err)
			}
		}
	})
}

// Create10000 creates 10,000 records at once.
func Create10000(b *testing.B, d Dialect) {
	for _, n := range d.Rows {
		b.Run(fmt.Sprintf("against %d rows a statement", n), func(b *testing.B) {
			store, hand := d.New(b)
			recs := Records(10_000)
			ours, theirs := int64(0), int64(0)
			Versus(b, func() {
				sqltest.Apply(b, store, Creates(recs, ours)...)
				ours += 10_000
			}, func() {
				hand.Batch(b, recs, theirs, n)
				theirs += 10_000
			})
		})
	}
}

// Get10000 reads 10,000 records of 40,000, neighbours and every third.
func Get10000(b *testing.B, d Dialect) {
	store, hand := d.New(b)
	fill(b, store, hand, 40_000)
	for _, step := range []int{1, 3} {
		b.Run(fmt.Sprintf("every %d", step), func(b *testing.B) {
			ids := make([]driver.ID, 10_000)
			for i := range ids {
				ids[i] = driver.ID(strconv.Itoa(i * step))
			}
			query := hand.prepare(b, hand.Reader,
				"SELECT "+Columns+" FROM "+hand.Table+" WHERE id < ? AND id % "+strconv.Itoa(step)+" = 0")
			Versus(b, func() { get(b, store, ids) }, func() {
				rows, err := query.QueryContext(b.Context(), 10_000*step)
				Check(b, err)
				defer rows.Close()
				var got []driver.Record
				for rows.Next() {
					var r driver.Record
					scan(b, rows, &r)
					got = append(got, r)
				}
				Check(b, rows.Err())
				if len(got) != len(ids) {
					b.Fatalf("%d records", len(got))
				}
			})
		})
	}
}

// GetOne reads a hundred records of a thousand, each by itself.
func GetOne(b *testing.B, d Dialect) {
	store, hand := d.New(b)
	fill(b, store, hand, 1000)
	query := hand.prepare(b, hand.Reader, "SELECT "+Columns+" FROM "+hand.Table+" WHERE id = ?")
	Versus(b, func() {
		for i := range 100 {
			get(b, store, []driver.ID{driver.ID(strconv.Itoa(i))})
		}
	}, func() {
		for i := range 100 {
			var r driver.Record
			scan(b, query.QueryRowContext(b.Context(), i), &r)
		}
	})
}

func get(b *testing.B, store driver.Backend, ids []driver.ID) {
	Check(b, store.View(b.Context(), func(r driver.Reader) error {
		got, err := r.Get(b.Context(), ids, driver.Data|driver.Info)
		if err == nil && len(got) != len(ids) {
			b.Fatalf("%d records", len(got))
		}
		return err
	}))
}

// scan reads a row of Columns.
func scan(b *testing.B, row interface{ Scan(dest ...any) error }, r *driver.Record) {
	var id, created, modified int64
	Check(b, row.Scan(&id, &r.Data, &r.State, &r.Type, &r.Revision, &r.Size, &created, &modified))
	r.ID = driver.ID(strconv.FormatInt(id, 10))
	r.Created, r.Modified = time.UnixMicro(created).UTC(), time.UnixMicro(modified).UTC()
}
