package main

import (
	"fmt"
	"slices"
	"strings"
)

// difference says in what the tasks of two workflows differ; "" if in nothing that matters to a
// run.
func difference(stored, fresh *Workflow) string {
	was, is := shape(stored), shape(fresh)
	var diffs []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			slices.Sort(names)
			diffs = append(diffs, fmt.Sprintf("%d %s, such as %s", len(names), what, names[0]))
		}
	}
	var added, gone, rewired []string
	for name, deps := range is {
		if old, ok := was[name]; !ok {
			added = append(added, name)
		} else if !slices.Equal(old, deps) {
			rewired = append(rewired, name)
		}
	}
	for name := range was {
		if _, ok := is[name]; !ok {
			gone = append(gone, name)
		}
	}
	add("new", added)
	add("gone", gone)
	add("waiting for other tasks than before", rewired)
	return strings.Join(diffs, "; ")
}

// shape returns the sorted names of what each task waits for, by the name of the task.
func shape(w *Workflow) map[string][]string {
	s := make(map[string][]string, len(w.Tasks))
	for _, t := range w.Tasks {
		deps := make([]string, 0, len(t.Deps))
		for _, d := range t.Deps {
			deps = append(deps, d.Name)
		}
		slices.Sort(deps)
		s[t.Name] = deps
	}
	return s
}
