// Package drawing makes pictures of graphs by Graphviz, which is compiled into the program.
package drawing

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/goccy/go-graphviz"

	"github.com/brine-go/brine/cmd/brine/internal/drawing/tempdir"
)

func init() { tempdir.Restore() }

// drawing is held while a picture is made: the parser of the library has one state for all.
var drawing sync.Mutex

// Draw makes a picture of a graph in the language of Graphviz. The formats are "svg" and "png".
// After the end of ctx none is begun; one that is begun is made.
func Draw(ctx context.Context, dot []byte, format string) ([]byte, error) {
	drawing.Lock()
	defer drawing.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	g, err := graphviz.New(ctx)
	if err != nil {
		return nil, err
	}
	// What closing returns is the last error of any graph in this process, so it says nothing.
	defer func() { _ = g.Close() }()
	graph, err := graphviz.ParseBytes(dot)
	if err != nil {
		return nil, fmt.Errorf("drawing: %w", err)
	}
	defer func() { _ = graph.Close() }()
	var b bytes.Buffer
	if err := g.Render(ctx, graph, graphviz.Format(format), &b); err != nil {
		return nil, fmt.Errorf("drawing: %w", err)
	}
	return b.Bytes(), nil
}
