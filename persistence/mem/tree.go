package mem

import (
	"math/rand/v2"

	"github.com/brine-go/brine/persistence/driver"
)

// A node is a node of a treap: a search tree by ID, and a heap by random priorities, which keep
// its depth near 2 log n. A nil node is the empty tree.
//
// A tree whose root was published never changes: a later batch copies the nodes that it
// changes.
type node struct {
	rec         *driver.Record // never changed; Fields in the order of the layout
	left, right *node
	prio        uint64
	batch       uint64 // the batch that made this node; no other may change it
}

type compareIDs = func(a, b driver.ID) int

// get returns the record with the ID, or nil.
func (n *node) get(id driver.ID, compare compareIDs) *driver.Record {
	for n != nil {
		switch c := compare(id, n.rec.ID); {
		case c == 0:
			return n.rec
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return nil
}

// ascend calls yield with every record in order, until yield returns false. It reports whether
// yield never did.
func (n *node) ascend(yield func(*driver.Record) bool) bool {
	return n == nil || n.left.ascend(yield) && yield(n.rec) && n.right.ascend(yield)
}

// ascendAfter is ascend for the records after an ID.
func (n *node) ascendAfter(id driver.ID, compare compareIDs, yield func(*driver.Record) bool) bool {
	if n == nil {
		return true
	}
	if compare(n.rec.ID, id) <= 0 {
		return n.right.ascendAfter(id, compare, yield)
	}
	return n.left.ascendAfter(id, compare, yield) && yield(n.rec) && n.right.ascend(yield)
}

// writer makes the changes of one batch.
type writer struct {
	batch   uint64
	compare compareIDs
}

// own returns n if this batch made it, else a copy.
func (w *writer) own(n *node) *node {
	if n.batch == w.batch {
		return n
	}
	c := *n
	c.batch = w.batch
	return &c
}

// put returns the tree n with rec in it, in place of a record with the same ID.
func (w *writer) put(n *node, rec *driver.Record) *node {
	if n == nil {
		return &node{rec: rec, prio: rand.Uint64(), batch: w.batch}
	}
	n = w.own(n)
	switch c := w.compare(rec.ID, n.rec.ID); {
	case c == 0:
		n.rec = rec
	case c < 0:
		n.left = w.put(n.left, rec)
		if l := n.left; l.prio > n.prio {
			n.left, l.right = l.right, n
			return l
		}
	default:
		n.right = w.put(n.right, rec)
		if r := n.right; r.prio > n.prio {
			n.right, r.left = r.left, n
			return r
		}
	}
	return n
}

// remove returns the tree n without the record with the ID.
func (w *writer) remove(n *node, id driver.ID) *node {
	if n == nil {
		return nil
	}
	c := w.compare(id, n.rec.ID)
	if c == 0 {
		return w.merge(n.left, n.right)
	}
	n = w.own(n)
	if c < 0 {
		n.left = w.remove(n.left, id)
	} else {
		n.right = w.remove(n.right, id)
	}
	return n
}

// merge returns the union of two trees, where every ID of a is less than every ID of b.
func (w *writer) merge(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.prio > b.prio:
		a = w.own(a)
		a.right = w.merge(a.right, b)
		return a
	default:
		b = w.own(b)
		b.left = w.merge(a, b.left)
		return b
	}
}
