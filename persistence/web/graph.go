package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"github.com/brine-go/brine/persistence"
)

// maxExpanded is how many records an address may name whose references are shown.
const maxExpanded = 100

// A painter makes pictures, one at a time.
type painter struct {
	draw func(dot []byte) ([]byte, error)
	busy chan struct{} // has an element while a picture is made
}

var errNoPainter = errors.New("the program that runs this page has given it nothing to draw with (Options.Draw)")

// paint makes a picture. When ctx ends it returns; what draws goes on, and no other picture is made
// until it has ended.
func (p *painter) paint(ctx context.Context, dot []byte) (template.HTML, error) {
	if p.draw == nil {
		return "", errNoPainter
	}
	select {
	case p.busy <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	type result struct {
		svg template.HTML
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- result{err: fmt.Errorf("drawing it failed: %v", v)}
			}
			<-p.busy
		}()
		svg, err := p.draw(dot)
		if err != nil {
			done <- result{err: fmt.Errorf("drawing it failed: %w", err)}
			return
		}
		clean, err := sanitize(svg)
		done <- result{clean, err}
	}()
	select {
	case r := <-done:
		return r.svg, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// A graphPage shows the graph around a record.
type graphPage struct {
	ID          persistence.ID
	Picture     template.HTML
	NoPicture   string // why there is none
	Nodes       []graphEntry
	Colours     []string // the states in it, for the legend
	Full        bool
	Limit       int   // of records
	LimitEdges  int64 // of references
	Referrers   *referrers
	Ask, Forget string // where the picture is with referrers, and without
	Reset       string // where it is as it began; "": it is so
}

// A graphEntry is a node in the list below the picture.
type graphEntry struct {
	*graphNode
	To       []*graphNode // what it refers to, of what is shown
	More     int          // shown references that are not in To
	Expand   string       // where its references are shown; "": they are
	Centered string       // where the picture around it is
}

// maxListed is how many references of a node its entry in the list names.
const maxListed = 20

func (s *site) graph(ctx context.Context, r *http.Request) (*view, error) {
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	values := r.URL.Query()
	q := graphQuery{id: id, referrers: values.Get("referrers") != ""}
	if len(values["expand"]) > maxExpanded {
		return nil, badRequestf("The address names %d records to expand, at most %d.", len(values["expand"]), maxExpanded)
	}
	for _, id := range values["expand"] {
		q.expand = append(q.expand, persistence.ID(id))
	}
	n, err := s.neighbours(ctx, q)
	if err != nil {
		return nil, err
	}
	p := &graphPage{ID: id, Full: n.full, Limit: maxGraphNodes, LimitEdges: maxGraphEdges, Referrers: n.referrers}
	limited, cancel := context.WithTimeout(ctx, s.timeLimit/2)
	defer cancel()
	if p.Picture, err = s.painter.paint(limited, n.dot(q)); err != nil {
		p.NoPicture = cut(valueLength, err.Error())
		if limited.Err() != nil {
			p.NoPicture = "drawing it took too long"
		}
	}
	ask, forget := q, q
	ask.referrers, forget.referrers = true, false
	p.Ask, p.Forget = ask.link(), forget.link()
	if len(q.expand) > 0 {
		p.Reset = graphQuery{id: id, referrers: q.referrers}.link()
	}
	p.list(n, q)
	return &view{name: "graph.html", title: "Graph around " + cut(cellLength, string(id)), nav: "records", live: !q.referrers, data: p}, nil
}

// list adds the nodes as a list, with what the picture has in its arrows, and the states for the
// legend.
func (p *graphPage) list(n *neighbourhood, q graphQuery) {
	to := make(map[*graphNode][]*graphNode)
	for _, e := range n.edges {
		to[e.from] = append(to[e.from], e.to)
	}
	states := make(map[string]bool)
	for _, g := range n.nodes {
		e := graphEntry{graphNode: g, To: to[g], Centered: graphQuery{id: g.ID, referrers: q.referrers}.link()}
		if len(e.To) > maxListed {
			e.To, e.More = e.To[:maxListed], len(e.To)-maxListed
		}
		if g.Hidden > 0 && !g.Expanded {
			e.Expand = q.with(g.ID).link()
		}
		p.Nodes = append(p.Nodes, e)
		if !g.Missing && !states[g.State] && len(states) < 12 {
			states[g.State] = true
			p.Colours = append(p.Colours, g.State)
		}
	}
}
