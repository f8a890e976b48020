package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/brine-go/brine/cmd/brine/internal/drawing"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/web"
)

// Graphviz cannot be stopped, and the process stands still for the garbage collector as long as it
// draws. The test is not parallel, since it is about time.
func TestATangledGraphIsDrawnInTime(t *testing.T) {
	s, err := persistence.MakeStore(t.Context(), "mem:", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tasks := make([]*task, 60)
	for i := range tasks {
		tasks[i] = &task{}
	}
	for _, from := range tasks {
		for _, to := range tasks {
			if from != to {
				from.Deps = append(from.Deps, to)
			}
		}
	}
	id, err := s.Save(t.Context(), tasks[0])
	if err != nil {
		t.Fatal(err)
	}
	h := web.Handler(s, &web.Options{Draw: func(dot []byte) ([]byte, error) { return drawing.Draw(t.Context(), dot, "svg") }})
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/graph?id="+string(id), nil)
	r.Host = "localhost"
	h.ServeHTTP(w, r)
	if body := w.Body.String(); !strings.Contains(body, `<svg class="graph"`) || strings.Contains(body, "took too long") {
		t.Errorf("%d: no picture: %.2000s", w.Code, body)
	}
}
