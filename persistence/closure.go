package persistence

import (
	"context"
	"reflect"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// A node is a record of the closure that a load fetches, and the object made of it.
type node struct {
	rec  *driver.Record
	head codec.Header
	from *node
	ptr  any // a pointer to a value of the record's type: zero until it is decoded
}

// loadParts are the parts of a record that a load reads.
const loadParts = driver.Version | driver.Fields | driver.Data

// A loader loads objects in one identity scope.
type loader struct {
	c            *conn
	want         reflect.Type // the type that the caller names; nil: none
	unregistered bool         // roots may be of types that the process knows without Register
	nodes        map[ID]*node
	order        []*node      // in waves: each node after the one that refers to it
	room         []node       // spare nodes, allocated together
	last         resolved     // the type of the last node
	known        func(ID) any // objects of an earlier load in the scope; nil: none
	keep         bool         // what plain values have no place for is kept in outcomes

	unreadable map[ID]error            // records that are referred to and damaged
	needed     []*node                 // those to decode; in the end, those that were
	outcomes   map[*node]codec.Outcome // of records that saving their objects would change
	digests    map[*node]digest        // of plain values, where not that of the record
}

// A resolved is a type name with its type.
type resolved struct {
	name       string
	t          reflect.Type
	registered bool
}

// fetch reads the records with the IDs and everything that they refer to eagerly, in waves.
func (ld *loader) fetch(ctx context.Context, r driver.Reader, ids []ID) error {
	recs, err := r.Get(ctx, ids, loadParts)
	if err != nil {
		return err
	}
	found := make(map[ID]int, len(recs))
	for i := range recs {
		found[recs[i].ID] = i
	}
	roots := make([]driver.Record, len(ids))
	for i, id := range ids {
		at, ok := found[id]
		if !ok {
			return &driver.RecordError{ID: id, Err: ErrNotFound}
		}
		roots[i] = recs[at]
	}
	return ld.follow(ctx, r, roots)
}

// follow reads the closure of roots: everything that they refer to eagerly and that is not
// loaded yet.
func (ld *loader) follow(ctx context.Context, r driver.Reader, roots []driver.Record) error {
	ld.begin(len(roots))
	for i := range roots {
		rec := &roots[i]
		if ld.nodes[rec.ID] == nil {
			if err := ld.add(rec, nil); err != nil {
				return err
			}
		}
	}
	referrers := make(map[ID]*node)
	for wave := ld.order; ; {
		clear(referrers)
		next := ld.unread(wave, referrers)
		if len(next) == 0 {
			return nil
		}
		done := len(ld.order)
		if err := ld.readWave(ctx, r, next, referrers); err != nil {
			return err
		}
		wave = ld.order[done:]
	}
}

// unread returns the IDs that a wave refers to eagerly and that are not read yet. It adds a
// referrer of each to referrers.
func (ld *loader) unread(wave []*node, referrers map[ID]*node) (ids []ID) {
	for _, n := range wave {
		for _, id := range n.head.Eager {
			if ld.nodes[id] != nil || referrers[id] != nil || ld.known != nil && ld.known(id) != nil {
				continue
			}
			referrers[id] = n
			ids = append(ids, id)
		}
	}
	return ids
}

// readWave reads the records with the IDs; referrers has a referrer of each. Some may be absent.
// That matters only if an object needs them.
func (ld *loader) readWave(ctx context.Context, r driver.Reader, ids []ID, referrers map[ID]*node) error {
	recs, err := r.Get(ctx, ids, loadParts)
	if err != nil {
		return err
	}
	ld.room = make([]node, len(recs))
	for i := range recs {
		if err := ld.add(&recs[i], referrers[recs[i].ID]); err != nil {
			return err
		}
	}
	return nil
}

// begin makes an empty closure with room for about n records.
func (ld *loader) begin(n int) {
	ld.order, ld.nodes = make([]*node, 0, n), make(map[ID]*node, n)
	ld.room = make([]node, n)
}

func (ld *loader) add(rec *driver.Record, from *node) error {
	head, err := records.Parse(rec.Data, ld.c.s.limits)
	if err != nil && from == nil {
		return &driver.RecordError{ID: rec.ID, Err: err}
	}
	if err != nil {
		if ld.unreadable == nil {
			ld.unreadable = make(map[ID]error)
		}
		ld.unreadable[rec.ID] = err
	}
	if len(ld.room) == 0 {
		ld.room = make([]node, 1)
	}
	n := &ld.room[0]
	ld.room = ld.room[1:]
	*n = node{rec: rec, head: head, from: from}
	ld.nodes[rec.ID] = n
	ld.order = append(ld.order, n)
	return nil
}
