package persistence

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// A dotNode is a record in a picture of a graph.
type dotNode struct {
	typ, state  string
	eager, lazy []ID
}

// WriteDOT writes the graph of the records with the IDs, and of all that they reach, in the
// language of Graphviz. Each node has the type, the ID and the state of a record; lazy references
// are dashed, and a reference that dangles leads to a dotted node with the ID alone. Equal graphs
// give equal bytes. Without IDs the graph is empty.
//
// It reads one state of the store, the headers alone, and has the whole graph in memory.
// ErrNotFound names the first absent ID, ErrCorrupt a record that cannot be read; then nothing is
// written.
func (s *Store) WriteDOT(ctx context.Context, w io.Writer, roots ...ID) error {
	nodes := make(map[ID]*dotNode)
	err := s.view(ctx, func(r driver.Reader) error {
		return s.reach(ctx, r, roots, driver.Version, func(rec *driver.Record, h *codec.Header) {
			nodes[rec.ID] = &dotNode{h.Type, rec.State, h.Eager, h.Lazy}
		})
	})
	if err == nil {
		err = s.writeDOT(w, nodes)
	}
	return s.fail("write DOT", "", err)
}

func (s *Store) writeDOT(w io.Writer, nodes map[ID]*dotNode) error {
	numbers := make(map[ID]int, len(nodes)) // names of nodes need no escapes then
	var order []ID
	add := func(ids ...ID) {
		for _, id := range ids {
			if _, ok := numbers[id]; !ok {
				numbers[id] = 0
				order = append(order, id)
			}
		}
	}
	for id, n := range nodes {
		add(id)
		add(n.eager...)
		add(n.lazy...)
	}
	slices.SortFunc(order, s.values.CompareIDs)
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "digraph brine {\n\tnode [shape=box];\n")
	for i, id := range order {
		numbers[id] = i + 1
		if n := nodes[id]; n == nil {
			fmt.Fprintf(b, "\tn%d [label=\"%s\", style=dotted];\n", i+1, dotText(string(id)))
		} else if n.state == "" {
			fmt.Fprintf(b, "\tn%d [label=\"%s\\n%s\"];\n", i+1, dotText(n.typ), dotText(string(id)))
		} else {
			fmt.Fprintf(b, "\tn%d [label=\"%s\\n%s\\n%s\"];\n", i+1, dotText(n.typ), dotText(string(id)), dotText(n.state))
		}
	}
	edges := func(from ID, to []ID, attributes string) {
		to = slices.SortedFunc(slices.Values(to), s.values.CompareIDs)
		for _, id := range to {
			fmt.Fprintf(b, "\tn%d -> n%d%s;\n", numbers[from], numbers[id], attributes)
		}
	}
	for _, id := range order {
		if n := nodes[id]; n != nil {
			edges(id, n.eager, "")
			edges(id, n.lazy, " [style=dashed]")
		}
	}
	fmt.Fprint(b, "}\n")
	return b.Flush()
}

// dotEscapes are those of a label in quotes. Graphviz reads entities in it, and backslashes.
var dotEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", `\n`)

// dotText returns a text for a label in quotes. Control characters but the line feed become U+FFFD.
func dotText(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return dotEscapes.Replace(text)
}
