package drawing

import (
	"bytes"
	"context"
	"sync"
	"testing"
)

func TestDrawMakesPictures(t *testing.T) {
	t.Parallel()
	dot := []byte(`digraph { a [label="<script>\n&amp;", class="c1", id="n1", URL="graph?id=1"]; a -> b }`)
	svg, err := Draw(t.Context(), dot, "svg")
	if err != nil || !bytes.Contains(svg, []byte("<svg")) || !bytes.Contains(svg, []byte(`id="n1" class="node c1"`)) || bytes.Contains(svg, []byte("<script")) {
		t.Errorf("%v: %s", err, svg)
	}
	png, err := Draw(t.Context(), dot, "png")
	if err != nil || !bytes.HasPrefix(png, []byte("\x89PNG")) {
		t.Errorf("%v: %.20q", err, png)
	}
	if _, err := Draw(t.Context(), []byte("digraph { a -> "), "svg"); err == nil {
		t.Error("no error for what is no DOT")
	}
	if svg, err = Draw(t.Context(), dot, "svg"); err != nil || !bytes.Contains(svg, []byte("<svg")) {
		t.Errorf("after what is no DOT: %v: %s", err, svg)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if svg, err := Draw(t.Context(), dot, "svg"); err != nil || !bytes.Contains(svg, []byte("</svg>")) {
				t.Errorf("several at once: %v: %s", err, svg)
			}
		})
	}
	all.Wait()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Draw(ended, dot, "svg"); err == nil {
		t.Error("no error after the end of the context")
	}
}
