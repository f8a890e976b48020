// Package claimindex finds records to claim: an index in memory of what the records of a directory
// say, and the list of changes in a file by which the indexes of several processes follow.
package claimindex

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"
	"unique"

	"github.com/brine-go/brine/persistence/driver"
)

// An Index is what the headers of a directory say, in memory. It is not safe for concurrent use.
//
// It is only a hint of where to look: what it says of a record is to be checked against the file
// before anything is done.
type Index struct {
	columns *driver.Columns
	entries map[string]*Entry   // by file name
	states  map[string][]*Entry // by state

	// Generation and Offset say how far the index has followed the list of changes.
	Generation string
	Offset     int64
}

// An Entry is a record without its data.
type Entry struct {
	driver.Record
	Name string // of its file
	pos  int    // among those of its state
}

// New returns an empty Index of records with these columns.
func New(c *driver.Columns) *Index {
	return &Index{columns: c, entries: map[string]*Entry{}, states: map[string][]*Entry{}}
}

// Len returns the number of records.
func (x *Index) Len() int { return len(x.entries) }

// All returns all entries, in no order.
func (x *Index) All() iter.Seq[*Entry] { return maps.Values(x.entries) }

// Put takes in what is said of a record whose file has that name. It keeps the values of rec.
func (x *Index) Put(name string, rec driver.Record) {
	rec.Type, rec.State = unique.Make(rec.Type).Value(), unique.Make(rec.State).Value()
	rec.Claim.Owner = unique.Make(rec.Claim.Owner).Value()
	if e := x.entries[name]; e != nil {
		if e.State == rec.State {
			e.Record = rec
			return
		}
		x.Remove(name)
	}
	e := &Entry{Record: rec, Name: name, pos: len(x.states[rec.State])}
	x.entries[name] = e
	x.states[rec.State] = append(x.states[rec.State], e)
}

// Remove removes what is said of the file of that name.
func (x *Index) Remove(name string) {
	e := x.entries[name]
	if e == nil {
		return
	}
	delete(x.entries, name)
	same := x.states[e.State]
	last := len(same) - 1
	same[e.pos] = same[last]
	same[e.pos].pos = e.pos
	same[last] = nil
	if x.states[e.State] = same[:last]; last == 0 {
		delete(x.states, e.State)
	}
}

// Own returns rec without memory that its owner may go on to use, but for the slice of its Fields,
// in which it replaces the values.
func Own(rec driver.Record) driver.Record {
	rec.ID = driver.ID(strings.Clone(string(rec.ID)))
	for i, v := range rec.Fields {
		switch v := v.(type) {
		case string:
			rec.Fields[i] = strings.Clone(v)
		case []byte:
			rec.Fields[i] = bytes.Clone(v)
		}
	}
	return rec
}

// A Candidate is an Entry and its place in the order of a query.
type Candidate struct {
	*Entry
	Cursor driver.Cursor
}

// Pick returns the first n entries that match q, stand after the cursor if it is not nil, and that
// want accepts.
func (x *Index) Pick(q *driver.Query, after *driver.Cursor, n int, want func(*Entry) bool) []Candidate {
	columns := x.columns
	compare := func(a, b Candidate) int { return columns.Compare(q, &a.Cursor, &b.Cursor) }
	rest := &driver.Query{Where: q.Where}
	var first []Candidate // the first in order so far, and up to as many that may be
	var bound *driver.Cursor
	var cur driver.Cursor
	consider := func(e *Entry) {
		if !want(e) || !columns.Match(rest, &e.Record) {
			return
		}
		cur.ID, cur.Values = e.ID, cur.Values[:0]
		for _, o := range q.Order {
			cur.Values = append(cur.Values, columns.Value(&e.Record, o.Column))
		}
		if after != nil && columns.Compare(q, &cur, after) <= 0 || bound != nil && columns.Compare(q, &cur, bound) > 0 {
			return
		}
		first = append(first, Candidate{e, driver.Cursor{ID: cur.ID, Values: slices.Clone(cur.Values)}})
		if len(first) >= 2*n {
			slices.SortFunc(first, compare)
			clear(first[n:])
			first = first[:n]
			bound = &driver.Cursor{ID: first[n-1].Cursor.ID, Values: slices.Clone(first[n-1].Cursor.Values)}
		}
	}
	if states, i, ok := statesOf(q); ok {
		rest.Where = slices.Delete(slices.Clone(q.Where), i, i+1)
		for _, state := range states {
			for _, e := range x.states[state] {
				consider(e)
			}
		}
	} else {
		for _, same := range x.states {
			for _, e := range same {
				consider(e)
			}
		}
	}
	slices.SortFunc(first, compare)
	return first[:min(n, len(first))]
}

// statesOf returns the only states that a query allows, each once, and which condition says so.
func statesOf(q *driver.Query) (states []string, cond int, ok bool) {
	for i, c := range q.Where {
		if c.Column != driver.ColState || c.Op != driver.Eq && c.Op != driver.In {
			continue
		}
		for _, v := range c.Values {
			if s := v.(string); !slices.Contains(states, s) {
				states = append(states, s)
			}
		}
		return states, i, true
	}
	return nil, 0, false
}
