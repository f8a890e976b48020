package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// dotQuote escapes what has a meaning within a quoted string of Graphviz.
var dotQuote = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// writeDot prints the tasks of the workflow in Graphviz's language, with arrows to those that wait:
// for `dot -Tsvg`.
func writeDot(out io.Writer, w *Workflow) error {
	b := bufio.NewWriter(out)
	fmt.Fprintf(b, "digraph \"%s\" {\n\trankdir=LR\n\tnode [shape=box]\n", dotQuote.Replace(w.Name))
	for _, t := range w.Tasks {
		label := strings.TrimPrefix(t.Name, w.Name+"/")
		fmt.Fprintf(b, "\t\"%s\" [label=\"%s\"]\n", dotQuote.Replace(t.Name), dotQuote.Replace(label))
	}
	for _, t := range w.Tasks {
		for _, d := range t.Dependents {
			fmt.Fprintf(b, "\t\"%s\" -> \"%s\"\n", dotQuote.Replace(t.Name), dotQuote.Replace(d.Name))
		}
	}
	fmt.Fprintln(b, "}")
	return b.Flush()
}
