package persistence_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// nil Options, zero Options and every single option must open the same store, except for the
// effect of the option.
func TestNilAndZeroOptionsAreTheSame(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "store.db")
	one := open(t, url+"#table=one", nil)
	two := open(t, url+"#table=two", &persistence.Options{})
	id, err := one.Save(t.Context(), &Task{Name: "in one"})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := two.Count(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("two tables must not share records: %d, %v", n, err)
	}
	for name, opts := range map[string]*persistence.Options{"nil": nil, "zero": {}} {
		again := open(t, url+"#table=one", opts)
		task, err := persistence.Load[Task](t.Context(), again, id)
		if err != nil || task.Name != "in one" {
			t.Errorf("%s options must find the table of the URL: %v, %v", name, task, err)
		}
		if n, err := open(t, url, opts).Count(t.Context(), nil); n != 0 || err != nil {
			t.Errorf("%s options without a fragment must open the default table: %d, %v", name, n, err)
		}
	}
}

// Setting an option to its default must have the same effect as leaving it out.
func TestEveryOptionHasADefault(t *testing.T) {
	t.Parallel()
	defaults := map[string]persistence.Options{
		"Table":       {Table: "store"},
		"IDs":         {IDs: idfactory.Integers()},
		"ExtraFields": {ExtraFields: []extrafields.Field{}},
		"Indexes":     {Indexes: []persistence.Index{}},
		"State":       {State: func(obj any) string { return obj.(*Task).State }},
		"NoCreate":    {NoCreate: false},
		"ReadOnly":    {ReadOnly: false},
		"DropUnknown": {DropUnknown: false},
		"Reindex":     {Reindex: false},
		"Identity":    {Identity: false},
		"Logger":      {Logger: slog.Default()},
		"Limits":      {Limits: persistence.Limits{MaxBytes: 1 << 30, MaxDepth: 10_000}},
		"Pool":        {Pool: persistence.Pool{}},
	}
	for i := range reflect.TypeFor[persistence.Options]().NumField() {
		if name := reflect.TypeFor[persistence.Options]().Field(i).Name; !has(defaults, name) {
			t.Errorf("option %s has no case", name)
		}
	}
	describe := func(t *testing.T, scheme string, opts *persistence.Options) string {
		t.Helper()
		url := scheme + ":" + filepath.Join(t.TempDir(), "store")
		if scheme == "mem" {
			url = "mem:"
		}
		s := open(t, url, opts)
		child := &Task{Name: "child", State: "NEW"}
		id, err := s.Save(t.Context(), &Task{Name: "parent", State: "DONE", Deps: []*Task{child}})
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Stat(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		n, err := s.Count(t.Context(), &persistence.Query{State: []string{"NEW"}})
		return fmt.Sprint(id, child.PersistentID(), info.Type, info.State, info.Revision, info.Size, info.Fields, n, err)
	}
	for _, scheme := range []string{"mem", "file", "sqlite"} {
		want := describe(t, scheme, nil)
		if diff := cmp.Diff(want, describe(t, scheme, &persistence.Options{})); diff != "" {
			t.Errorf("%s: zero Options differ from nil (-nil +zero):\n%s", scheme, diff)
		}
		for name, opts := range defaults {
			if diff := cmp.Diff(want, describe(t, scheme, &opts)); diff != "" {
				t.Errorf("%s: %s set to its default differs from nil (-nil +set):\n%s", scheme, name, diff)
			}
		}
	}
}

func has[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }
