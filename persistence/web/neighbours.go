package web

import (
	"context"
	"errors"
	"slices"

	"github.com/brine-go/brine/persistence"
)

const (
	// maxGraphNodes is the number of records in a picture.
	maxGraphNodes = 300
	// maxGraphEdges bounds the time that a picture takes.
	maxGraphEdges = 1500
	// someNodes is up to how many records a picture grows by itself, reference by reference.
	someNodes = 30
	// maxHeadBytes is the size of a record whose references are read without being asked.
	maxHeadBytes = 1 << 20
)

// A graphNode is a record in a picture.
type graphNode struct {
	persistence.Info
	N        int // its number: names are those of numbers, which need no escapes
	Centre   bool
	Missing  bool // a reference leads to it, and there is no record
	Unread   bool // it is damaged, or too large: its references are not known
	Referrer bool // it was found because it refers to the centre
	Expanded bool // all its references are shown, as far as there is room
	Hidden   int  // references that are not shown
	refs     []persistence.ID
	lazy     []persistence.ID
}

// A graphEdge is a reference between two records in a picture.
type graphEdge struct {
	from, to *graphNode
	lazy     bool
}

// A neighbourhood is the part of a graph around a record that a picture shows.
type neighbourhood struct {
	nodes     []*graphNode // in the order in which they were found, the centre first
	edges     []graphEdge
	byID      map[persistence.ID]*graphNode
	full      bool // there was no room for all that was asked for
	referrers *referrers
}

func (n *neighbourhood) add(id persistence.ID) *graphNode {
	if g := n.byID[id]; g != nil {
		return g
	}
	if len(n.nodes) >= maxGraphNodes {
		n.full = true
		return nil
	}
	g := &graphNode{Info: persistence.Info{ID: id}, N: len(n.nodes) + 1}
	n.nodes = append(n.nodes, g)
	n.byID[id] = g
	return g
}

// neighbours reads the records around one: those that it refers to, and more, reference by
// reference, while there are few; those that refer to it, if they are asked for; and those that the
// expanded ones refer to.
func (s *site) neighbours(ctx context.Context, q graphQuery) (*neighbourhood, error) {
	info, err := s.store.Stat(ctx, q.id)
	if err != nil && !concernsOneRecord(err) {
		return nil, err
	}
	done, err := s.limitLarge(ctx, info.Size)
	if err != nil {
		return nil, err
	}
	defer done()
	n := &neighbourhood{byID: make(map[persistence.ID]*graphNode)}
	n.add(q.id).Centre = true
	err = s.readNodes(ctx, n.nodes)
	if err == nil {
		err = s.expand(ctx, n, func(g *graphNode) bool { return g.Centre })
	}
	if err == nil {
		err = s.expand(ctx, n, func(g *graphNode) bool { return len(n.nodes)+n.unknown(g) <= someNodes })
	}
	if err == nil && q.referrers {
		err = s.addReferrers(ctx, n, q.id)
	}
	if err == nil { // at the end, so that a picture that grows keeps what it had
		err = s.expand(ctx, n, func(g *graphNode) bool { return slices.Contains(q.expand, g.ID) })
	}
	n.connect()
	return n, err
}

// unknown returns how many references of a record lead to records that are not shown.
func (n *neighbourhood) unknown(g *graphNode) int {
	count := 0
	for _, id := range slices.Concat(g.refs, g.lazy) {
		if n.byID[id] == nil {
			count++
		}
	}
	return count
}

// expand adds what the records refer to for which the function is true, and so on.
func (s *site) expand(ctx context.Context, n *neighbourhood, which func(*graphNode) bool) error {
	for {
		known := len(n.nodes)
		progress := false
		for _, g := range n.nodes[:known] {
			if g.Expanded || !which(g) {
				continue
			}
			g.Expanded, progress = true, true
			for _, id := range slices.Concat(g.refs, g.lazy) {
				n.add(id)
			}
		}
		if !progress {
			return nil
		}
		if err := s.readNodes(ctx, n.nodes[known:]); err != nil {
			return err
		}
	}
}

// addReferrers adds the records that refer to the centre, as far as there is room.
func (s *site) addReferrers(ctx context.Context, n *neighbourhood, id persistence.ID) error {
	found, err := s.referrers(ctx, id, maxGraphNodes/2)
	if err != nil {
		return err
	}
	n.referrers = found
	known := len(n.nodes)
	for _, ref := range found.List {
		if g := n.add(ref.ID); g != nil {
			g.Referrer = true
		}
	}
	return s.readNodes(ctx, n.nodes[known:])
}

// readNodes reads what the store knows of records, and their references.
func (s *site) readNodes(ctx context.Context, nodes []*graphNode) error {
	if len(nodes) == 0 {
		return nil
	}
	byID := make(map[persistence.ID]*graphNode, len(nodes))
	var ids []any
	for _, g := range nodes {
		g.Missing = true
		byID[g.ID] = g
		ids = append(ids, g.ID)
	}
	damaged := func(err error) {
		if e, ok := errors.AsType[*persistence.Error](err); ok && byID[e.ID] != nil {
			byID[e.ID].Missing, byID[e.ID].Unread = false, true
		}
	}
	var small []any
	for info, err := range s.store.StatAll(ctx, &persistence.Query{Where: []persistence.Cond{persistence.In("id", ids...)}}) {
		if err != nil && concernsOneRecord(err) {
			damaged(err)
			continue
		}
		if err != nil {
			return err
		}
		g := byID[info.ID]
		g.Info, g.Missing, g.Unread = info, false, true
		if info.Size <= maxHeadBytes || g.Centre {
			small = append(small, info.ID)
		}
	}
	if len(small) == 0 {
		return nil
	}
	for rec, err := range s.store.Records(ctx, &persistence.Query{Where: []persistence.Cond{persistence.In("id", small...)}}) {
		if err != nil && concernsOneRecord(err) {
			damaged(err)
			continue
		}
		if err != nil {
			return err
		}
		g := byID[rec.ID]
		g.Type, g.State, g.refs, g.lazy, g.Unread = rec.Type, rec.State, rec.Refs, rec.LazyRefs, false
	}
	return nil
}

// connect makes the edges between the records that are shown, and counts the references that lead
// elsewhere.
func (n *neighbourhood) connect() {
	for _, g := range n.nodes {
		g.Hidden = 0
		for i, ids := range [][]persistence.ID{g.refs, g.lazy} {
			for _, id := range ids {
				to := n.byID[id]
				switch {
				case to == nil:
					g.Hidden++
				case len(n.edges) >= maxGraphEdges:
					n.full = true
				default:
					n.edges = append(n.edges, graphEdge{g, to, i == 1})
				}
			}
		}
	}
}
