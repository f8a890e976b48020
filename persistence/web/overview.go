package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence"
)

// A tally is a number of records with a name: a state or a type.
type tally struct {
	Name   string
	Count  int64
	States []tally // of a type
	Link   string
	X, W   float64 // of its bar, in percent
}

// counts are the types and states of a store at one time.
type counts struct {
	At     time.Time
	Total  int64
	States []tally
	// StatesExact: States and Total are those of all records. Else they are those of the first Seen
	// ones, as Types are unless TypesExact.
	StatesExact bool
	Types       []tally
	TypesExact  bool
	Seen        int64
	SeenFor     time.Duration // how long they were counted
	SeenAt      time.Time     // when
	cost        time.Duration
}

// A countCache keeps counts for a short time, so that several browsers, and one that asks again
// and again, cost the store no more than a twentieth of its time.
type countCache struct {
	mu   sync.Mutex // held while counting: others wait for the result
	last *counts
}

const (
	minCountAge = time.Second
	maxCountAge = 30 * time.Second
	// sampleAge is for how long the types of the first records are kept, where not all can be
	// counted in time.
	sampleAge = time.Minute
)

// count returns the counts of the store, which may be some seconds old.
func (c *countCache) count(ctx context.Context, s *site) (*counts, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil {
		age := min(max(20*c.last.cost, minCountAge), maxCountAge)
		if time.Since(c.last.At) < age {
			return c.last, nil
		}
	}
	n, err := s.countNow(ctx, c.last)
	if err != nil {
		return nil, err
	}
	c.last = n
	return n, nil
}

// countNow counts types and states in one pass over the records, if the time suffices for that. If
// not, the states are counted by their index, and the types are those of the first records.
func (s *site) countNow(ctx context.Context, last *counts) (*counts, error) {
	begin := time.Now()
	n := &counts{At: begin}
	if last != nil && !last.TypesExact && begin.Sub(last.SeenAt) < sampleAge {
		n.Types, n.Seen, n.SeenFor, n.SeenAt = last.Types, last.Seen, last.SeenFor, last.SeenAt
	} else if err := s.countPass(ctx, n); err != nil {
		return nil, err
	}
	if !n.TypesExact {
		if err := s.countStates(ctx, n); err != nil {
			return nil, err
		}
	}
	n.cost = time.Since(begin)
	arrange(n)
	return n, nil
}

// countPass counts types and states for as long as may be.
func (s *site) countPass(ctx context.Context, n *counts) error {
	limited, cancel := context.WithTimeout(ctx, s.countLimit)
	defer cancel()
	byType := make(map[string]map[string]int64)
	begin := time.Now()
	n.TypesExact = true
	for info, err := range s.store.StatAll(limited, nil, "type", "state") {
		if err != nil && concernsOneRecord(err) {
			continue
		}
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			n.TypesExact = false
			break
		}
		if err != nil {
			return err
		}
		if byType[info.Type] == nil {
			byType[info.Type] = make(map[string]int64)
		}
		byType[info.Type][info.State]++
		if n.Seen++; n.Seen%1024 == 0 && limited.Err() != nil {
			n.TypesExact = false
			break
		}
	}
	n.SeenFor, n.SeenAt = time.Since(begin), begin
	states := make(map[string]int64)
	for typ, by := range byType {
		t := tally{Name: typ, Link: equalLink("type", typ)}
		for state, count := range by {
			t.Count += count
			states[state] += count
			t.States = append(t.States, tally{Name: state, Count: count, Link: equalLink("type", typ, "state", state)})
		}
		n.Types = append(n.Types, t)
	}
	for state, count := range states {
		n.Total += count
		n.States = append(n.States, tally{Name: state, Count: count, Link: equalLink("state", state)})
	}
	n.StatesExact = n.TypesExact
	return nil
}

// countStates counts the records by state, which has an index in a database. If that takes four
// times as long as counting may, the states are those that the types have.
func (s *site) countStates(ctx context.Context, n *counts) error {
	limited, cancel := context.WithTimeout(ctx, 4*s.countLimit)
	defer cancel()
	groups, err := s.store.CountBy(limited, "state", nil)
	if err != nil {
		if limited.Err() == nil || ctx.Err() != nil {
			return err
		}
		if n.Seen == 0 {
			if err := s.answers(ctx); err != nil {
				return err
			}
		}
		groups = nil
	}
	n.States, n.Total, n.StatesExact = nil, 0, groups != nil
	if groups == nil {
		byState := make(map[string]int64)
		for _, t := range n.Types {
			for _, st := range t.States {
				byState[st.Name] += st.Count
			}
		}
		for name, count := range byState {
			groups = append(groups, persistence.Group{Value: name, Count: count})
		}
	}
	for _, g := range groups {
		name, _ := g.Value.(string)
		n.Total += g.Count
		n.States = append(n.States, tally{Name: name, Count: g.Count, Link: equalLink("state", name)})
	}
	return nil
}

// arrange sorts the counts and gives each state its part of the bar.
func arrange(n *counts) {
	byName := func(a, b tally) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(n.States, byName)
	slices.SortFunc(n.Types, byName)
	for i := range n.Types {
		slices.SortFunc(n.Types[i].States, byName)
	}
	x := 0.0
	for i := range n.States {
		st := &n.States[i]
		st.X, st.W = x, 100*float64(st.Count)/float64(max(n.Total, 1))
		x += st.W
	}
}

// An overviewPage shows what the store holds.
type overviewPage struct {
	*counts
	Age     time.Duration
	Columns []column
}

func (s *site) overview(ctx context.Context, _ *http.Request) (*view, error) {
	n, err := s.counts.count(ctx, s)
	if err != nil {
		return nil, err
	}
	columns, err := s.columns.get(ctx, s.store)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	return &view{name: "overview.html", title: "Overview", nav: "overview", live: true, data: overviewPage{
		counts: n, Age: time.Since(n.At), Columns: extra(columns),
	}}, nil
}
