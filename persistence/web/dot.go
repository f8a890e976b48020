package web

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence"
)

// dot writes a neighbourhood in the language of Graphviz. Each node has the class of the colour of
// its state and a link, which leads to a larger picture, if references of the record are not
// shown, and else to one around that record.
func (n *neighbourhood) dot(q graphQuery) []byte {
	var b strings.Builder
	b.WriteString("digraph brine {\n\tgraph [bgcolor=transparent, rankdir=LR, ranksep=0.5, nodesep=0.18" + n.layout() + "];\n" +
		"\tnode [shape=box, style=\"filled,rounded\", fontname=\"Helvetica\", fontsize=11, margin=\"0.12,0.06\", width=1.2, height=0.3, color=\"#6b7280\", penwidth=0.8];\n" +
		"\tedge [color=\"#6b7280\", arrowsize=0.6, penwidth=0.8];\n")
	for _, g := range n.nodes {
		fmt.Fprintf(&b, "\tn%d [id=\"n%d\", label=\"%s\", class=\"%s\", fillcolor=\"%s\"%s, URL=\"%s\", target=\"_self\", tooltip=\"%s\"];\n",
			g.N, g.N, n.label(g), g.class(), g.fill(), g.shape(), dotText(q.click(g)), dotText(g.tip()))
		if g.Hidden > 0 && g.Expanded {
			fmt.Fprintf(&b, "\tm%d [id=\"m%d\", label=\"%s more\", class=\"more\", style=\"rounded,dashed\", URL=\"%s\", target=\"_self\", tooltip=\"%s\"];\n\tn%d -> m%d [style=dotted, arrowhead=none];\n",
				g.N, g.N, grouped(int64(g.Hidden)), dotText(recordLink(g.ID)), "references that the picture has no room for", g.N, g.N)
		}
	}
	for _, e := range n.edges {
		style := ""
		if e.lazy {
			style = " [style=dashed]"
		}
		fmt.Fprintf(&b, "\tn%d -> n%d%s;\n", e.from.N, e.to.N, style)
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

// label returns the lines of a node: type and ID, then the state, and how much of it is hidden.
func (n *neighbourhood) label(g *graphNode) string {
	parts := []string{dotText(cut(labelLength, shortType(g.Type))), dotText(cut(labelLength, string(g.ID)))}
	switch {
	case g.Missing:
		parts[0] = "missing"
	case g.Type == "":
		parts[0] = "unreadable"
	}
	state := dotText(cut(labelLength, g.State))
	if state == "" {
		state = "–" // the text has its place: the state may come later
	}
	if g.Missing {
		return parts[0] + " " + parts[1]
	}
	label := parts[0] + " " + parts[1] + "\\n" + state
	if g.Hidden > 0 && !g.Expanded {
		label += "  +" + grouped(int64(g.Hidden))
	}
	return label
}

// shortType returns the name of a type without its package.
func shortType(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 && i+1 < len(name) {
		return name[i+1:]
	}
	return name
}

func (g *graphNode) class() string {
	class := colourClass(g.State)
	switch {
	case g.Missing:
		class = "missing"
	case g.Unread:
		class += " unread"
	}
	if g.Centre {
		class += " centre"
	}
	return class
}

func (g *graphNode) fill() string {
	if g.Missing {
		return "#ffffff"
	}
	return fills[colour(g.State)]
}

func (g *graphNode) shape() string {
	switch {
	case g.Missing:
		return ", style=\"rounded,dotted\""
	case g.Centre:
		return ", penwidth=2.2"
	}
	return ""
}

func (g *graphNode) tip() string {
	text := cut(cellLength, g.Type) + " " + cut(cellLength, string(g.ID)) + " " + cut(cellLength, g.State)
	switch {
	case g.Missing:
		return "There is no record " + cut(cellLength, string(g.ID))
	case g.Hidden > 0 && !g.Expanded:
		return text + ": show what it refers to"
	case g.Centre:
		return text + ": show the record"
	}
	return text + ": show what is around it"
}

// A graphQuery is what the address of a picture says.
type graphQuery struct {
	id        persistence.ID
	expand    []persistence.ID // whose references are shown, besides those of the record itself
	referrers bool             // show what refers to it, too
}

// link returns the address of a picture.
func (q graphQuery) link() string {
	parameters := []string{"id", string(q.id)}
	for _, id := range q.expand {
		parameters = append(parameters, "expand", string(id))
	}
	if q.referrers {
		parameters = append(parameters, "referrers", "1")
	}
	return link("graph", parameters...)
}

// with returns the query of a picture in which the references of a record are shown as well.
func (q graphQuery) with(id persistence.ID) graphQuery {
	q.expand = append(q.expand[:len(q.expand):len(q.expand)], id)
	return q
}

// click returns where the link of a node leads.
func (q graphQuery) click(g *graphNode) string {
	switch {
	case g.Missing:
		return graphQuery{id: g.ID}.link()
	case g.Hidden > 0 && !g.Expanded:
		return q.with(g.ID).link() + fmt.Sprintf("#n%d", g.N)
	case g.Centre:
		return recordLink(g.ID)
	}
	return graphQuery{id: g.ID, referrers: q.referrers}.link()
}

// dotEscapes are those of a text in quotes: Graphviz reads entities in it, and backslashes.
var dotEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", " ", "\t", " ")

// dotText returns a text for DOT, in quotes. Control characters become U+FFFD.
func dotText(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return dotEscapes.Replace(text)
}
