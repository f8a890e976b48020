package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

const everything = driver.Info | driver.Fields | driver.Data

// bg is the context for cleanup functions, which run after the test's own context has ended.
var bg = context.Background()

// baseTime is the time at which the records of the tests were created.
var baseTime = time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC)

// fields has a column of every kind, two of them with names that are SQL keywords.
var fields = []driver.Column{
	{Name: "name", Kind: driver.Text, Indexed: true},
	{Name: "select", Kind: driver.Text},
	{Name: "order", Kind: driver.Int, Indexed: true},
	{Name: "ratio", Kind: driver.Float},
	{Name: "done", Kind: driver.Bool},
	{Name: "raw", Kind: driver.Bytes},
	{Name: "due_at", Kind: driver.Time, Indexed: true},
}

// kit has the fixtures of a test: a kind of IDs, and functions to make records and stores with
// such IDs.
type kit struct {
	*suite
	integer bool
}

func (k *kit) kind() string {
	if k.integer {
		return "integer"
	}
	return "text"
}

// id returns the ID with a number. IDs are ordered like their numbers, up to 99,999.
func (k *kit) id(n int) driver.ID {
	if k.integer {
		return driver.ID(fmt.Sprint(n))
	}
	return driver.ID(fmt.Sprintf("Task.%05d", n))
}

func (k *kit) ids(from, to int) []driver.ID {
	ids := make([]driver.ID, 0, to-from)
	for n := from; n < to; n++ {
		ids = append(ids, k.id(n))
	}
	return ids
}

// schema returns a schema with the kit's kind of IDs.
func (k *kit) schema(fields ...driver.Column) driver.Schema {
	return driver.Schema{IntegerIDs: k.integer, Fields: fields}
}

// rec returns the record with a number, with a value in every one of fields.
func (k *kit) rec(n int) driver.Record {
	data := fmt.Appendf(nil, "data of %d", n)
	return driver.Record{
		ID:       k.id(n),
		Type:     "engine.Task",
		State:    []string{"NEW", "RUNNING", "DONE"}[n%3],
		Size:     int64(len(data)),
		Created:  baseTime.Add(time.Duration(n) * time.Microsecond),
		Modified: baseTime.Add(time.Duration(n) * time.Second),
		Data:     data,
		Fields: []any{
			fmt.Sprintf("name %d", n), fmt.Sprintf("größe 'of' \"%d\"", n), int64(n), float64(n) / 4,
			n%2 == 0, []byte{byte(n), 0, 0xff}, baseTime.Add(time.Duration(n) * time.Hour),
		},
	}
}

// plain returns a small record for a schema without fields.
func (k *kit) plain(n int) driver.Record {
	r := k.rec(n)
	r.Fields = nil
	return r
}

// with returns r with the given data.
func with(r driver.Record, data string) driver.Record {
	r.Data, r.Size = []byte(data), int64(len(data))
	return r
}

func create(r driver.Record, refs ...driver.ID) driver.Mutation {
	return driver.Mutation{Op: driver.Create, Rec: r, NewRefs: refs}
}

func update(r driver.Record, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.Update, Rec: r, IfRev: ifRev}
}

func put(r driver.Record) driver.Mutation {
	return driver.Mutation{Op: driver.Put, Rec: r}
}

func remove(id driver.ID, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: id}, IfRev: ifRev}
}

func setFields(r driver.Record, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.SetFields, Rec: driver.Record{ID: r.ID, Fields: r.Fields}, IfRev: ifRev}
}

func check(id driver.ID, ifRev int64) driver.Mutation {
	return driver.Mutation{Op: driver.Check, Rec: driver.Record{ID: id}, IfRev: ifRev}
}

// failer is a testing.TB or a *rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// normal removes what a backend may choose: parts that were not asked for, and whether empty
// data is nil.
func normal(rec driver.Record, parts driver.Parts) driver.Record {
	switch {
	case parts&driver.Info != 0:
	case parts&driver.Version != 0:
		rec = driver.Record{ID: rec.ID, Data: rec.Data, Fields: rec.Fields, State: rec.State, Revision: rec.Revision}
	default:
		rec = driver.Record{ID: rec.ID, Data: rec.Data, Fields: rec.Fields}
	}
	if parts&driver.Fields == 0 || len(rec.Fields) == 0 {
		rec.Fields = nil
	}
	if parts&driver.Data != 0 && rec.Data == nil {
		rec.Data = []byte{}
	}
	return rec
}

func idsOf(recs []driver.Record) []driver.ID {
	ids := make([]driver.ID, len(recs))
	for i := range recs {
		ids[i] = recs[i].ID
	}
	return ids
}

// byID returns a map of records.
func byID(recs ...driver.Record) map[driver.ID]driver.Record {
	m := make(map[driver.ID]driver.Record, len(recs))
	for _, r := range recs {
		m[r.ID] = r
	}
	return m
}

// diff describes the difference between want and got, or returns "" if there is none. Times are
// equal only if both are UTC; nil and empty bytes differ.
func diff(want, got any) string {
	d := cmp.Diff(want, got,
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
		cmp.Comparer(func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }))
	if len(d) > 4000 {
		d = d[:4000] + "\n..."
	}
	return d
}

// diffIDs is diff for the IDs of records alone.
func diffIDs(want, got []driver.Record) string {
	w, g := idsOf(want), idsOf(got)
	if slices.Equal(w, g) {
		return ""
	}
	return diff(w, g)
}

// clone returns a deep copy of mutations.
func clone(ms []driver.Mutation) []driver.Mutation {
	out := slices.Clone(ms)
	for i := range out {
		m := &out[i]
		m.NewRefs = slices.Clone(m.NewRefs)
		m.Rec.Data = bytes.Clone(m.Rec.Data)
		m.Rec.Fields = slices.Clone(m.Rec.Fields)
		for j, v := range m.Rec.Fields {
			if b, ok := v.([]byte); ok {
				m.Rec.Fields[j] = bytes.Clone(b)
			}
		}
	}
	return out
}
