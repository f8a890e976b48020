package web_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/web"
)

// chain saves tasks that refer to the next one each, and returns their IDs.
func chain(t testing.TB, s *persistence.Store, n int) []persistence.ID {
	t.Helper()
	tasks := make([]*Task, n)
	for i := n - 1; i >= 0; i-- {
		tasks[i] = &Task{Name: fmt.Sprint("link ", i), State: "NEW"}
		if i+1 < n {
			tasks[i].Deps = []*Task{tasks[i+1]}
		}
	}
	save(t, s, tasks[0])
	var ids []persistence.ID
	for _, task := range tasks {
		ids = append(ids, task.PersistentID())
	}
	return ids
}

func TestAGraphGrowsAsOneClicks(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	ids := chain(t, s, 100)
	h := handler(s)
	path, shown := query("/graph", "id", string(ids[0])), 0
	for range 10 {
		body := page(t, h, path)
		now := rows(body)
		if len(now) <= shown {
			t.Fatalf("%d records after %d", len(now), shown)
		}
		shown = len(now)
		for i, id := range now {
			if id != string(ids[i]) {
				t.Fatalf("record %d is %s, want %s", i, id, ids[i])
			}
		}
		// The last node says that it refers to another one, and its link shows it.
		m := regexp.MustCompile(fmt.Sprintf(`<g id="n%d"[^>]*><title>[^<]*</title><a href="([^"]*expand[^"]*)"`, shown)).FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("the last node has no link: %s", text(body))
		}
		path = "/" + strings.ReplaceAll(m[1], "&amp;", "&")
	}
	if shown < 39 {
		t.Errorf("10 clicks have shown %d records", shown)
	}
}

func TestAPictureIsBounded(t *testing.T) {
	backends(t, func(t *testing.T, s *persistence.Store) {
		hub := &Task{Name: "hub", State: "RUNNING"}
		for i := range 1000 {
			hub.Deps = append(hub.Deps, &Task{Name: fmt.Sprint(i), State: "NEW"})
		}
		id := save(t, s, hub)[0]
		var dots []string
		h := web.Handler(s, &web.Options{Draw: func(dot []byte) ([]byte, error) {
			dots = append(dots, string(dot))
			return draw(dot)
		}})
		body := page(t, h, query("/graph", "id", string(id)))
		if n := len(rows(body)); n != 300 {
			t.Errorf("%d records", n)
		}
		wants(t, text(body), "room for 300 records", "701 more", "+701 not shown")
		if n := strings.Count(dots[0], "URL="); n != 301 {
			t.Errorf("%d nodes", n)
		}
		leaf := hub.Deps[500].PersistentID()
		body = page(t, h, query("/graph", "id", string(leaf), "referrers", "1"))
		wants(t, text(body), "refers to it", "+999")
		if n := len(rows(body)); n != 2 {
			t.Errorf("%d records around a leaf", n)
		}
		if n := len(rows(page(t, h, query("/graph", "id", string(leaf))))); n != 1 {
			t.Errorf("%d records that a leaf refers to", n)
		}
		if n := len(rows(page(t, h, query("/graph", "id", string(leaf), "referrers", "1", "expand", string(id))))); n != 300 {
			t.Errorf("%d records around a leaf, with the hub expanded", n)
		}
	})
}

func TestManyReferrersAreCutOff(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	target := &Task{Name: "target"}
	save(t, s, target)
	var tasks []any
	for range 500 {
		tasks = append(tasks, &Task{Deps: []*Task{target}})
	}
	save(t, s, tasks...)
	h := handler(s)
	body := page(t, h, query("/record", "id", string(target.PersistentID()), "referrers", "1"))
	wants(t, text(body), "the first 300: there are more")
	body = page(t, h, query("/graph", "id", string(target.PersistentID()), "referrers", "1"))
	wants(t, text(body), "the first 150: there are more")
	if n := len(rows(body)); n != 151 {
		t.Errorf("%d records", n)
	}
}

func TestADenseGraphIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	tasks := make([]*Task, 100)
	for i := range tasks {
		tasks[i] = &Task{}
	}
	for _, task := range tasks {
		task.Deps = tasks
	}
	id := save(t, s, tasks[0])[0]
	var edges int
	h := web.Handler(s, &web.Options{Draw: func(dot []byte) ([]byte, error) {
		edges = strings.Count(string(dot), " -> ")
		return draw(dot)
	}})
	body := page(t, h, query("/graph", "id", string(id)))
	if edges > 1500 || edges < 100 {
		t.Errorf("%d arrows", edges)
	}
	wants(t, text(body), "there is more than it shows")
}

func TestDrawingThatDoesNotEndHoldsNoPage(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	id := save(t, s, &Task{Name: "a"})[0]
	end := make(chan struct{})
	calls := make(chan struct{}, 10)
	h := web.Handler(s, &web.Options{TimeLimit: 50 * time.Millisecond, Draw: func(dot []byte) ([]byte, error) {
		calls <- struct{}{}
		<-end
		return draw(dot)
	}})
	for range 3 {
		body := page(t, h, query("/graph", "id", string(id)))
		wants(t, text(body), "drawing it took too long")
		if !slices.Contains(rows(body), string(id)) {
			t.Error("the list does not have the record")
		}
	}
	if n := len(calls); n != 1 {
		t.Errorf("%d pictures at once", n)
	}
	close(end)
	for range 100 {
		if strings.Contains(page(t, h, query("/graph", "id", string(id))), "Picture of the graph") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("no picture was made again")
}

func TestAGraphOfManyReferencesIsDrawnInRings(t *testing.T) {
	t.Parallel()
	// everyOther makes tasks that all refer to each other.
	everyOther := func(n int) []any {
		tasks := make([]any, n)
		for i := range tasks {
			tasks[i] = &Task{}
		}
		for _, from := range tasks {
			for _, to := range tasks {
				if from != to {
					from.(*Task).Deps = append(from.(*Task).Deps, to.(*Task))
				}
			}
		}
		return tasks
	}
	layers := func(n, wide int) []any {
		tasks := make([]any, n)
		for i := n - 1; i >= 0; i-- {
			task := &Task{}
			tasks[i] = task
			for j := (i/wide + 1) * wide; j < min((i/wide+2)*wide, n); j++ {
				task.Deps = append(task.Deps, tasks[j].(*Task))
			}
		}
		return tasks
	}
	for name, c := range map[string]struct {
		tasks []any
		want  string // "": all care
	}{
		"one":                     {[]any{&Task{}}, ""},
		"few that are tangled":    {everyOther(10), ""},
		"some that are tangled":   {everyOther(22), "nslimit"},
		"many that are tangled":   {everyOther(29), "twopi"},
		"more than there is room": {everyOther(60), "twopi"},
		"many in layers":          {layers(28, 7), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, "mem:", nil)
			ids := save(t, s, c.tasks...)
			var dot string
			h := web.Handler(s, &web.Options{Draw: func(b []byte) ([]byte, error) {
				dot = string(b)
				return draw(b)
			}})
			page(t, h, query("/graph", "id", string(ids[0])))
			limited := strings.Contains(dot, "nslimit") || strings.Contains(dot, "twopi")
			if c.want == "" && limited || !strings.Contains(dot, c.want) {
				t.Errorf("%q, want %q: %s", name, c.want, dot[:min(len(dot), 300)])
			}
		})
	}
}
