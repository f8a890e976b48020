package persistence_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// nil Options, zero Options and every single option must open the same store, except for the
// effect of the option.
func TestNilAndZeroOptionsAreTheSame(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "store.db")
	one := openAs(t, url+"#table=one", nil)
	two := openAs(t, url+"#table=two", &persistence.Options{})
	id, err := one.Save(t.Context(), &Task{Name: "in one"})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := two.Count(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("two tables must not share records: %d, %v", n, err)
	}
	for name, opts := range map[string]*persistence.Options{"nil": nil, "zero": {}} {
		again := openAs(t, url+"#table=one", opts)
		task, err := persistence.Load[Task](t.Context(), again, id)
		if err != nil || task.Name != "in one" {
			t.Errorf("%s options must find the table of the URL: %v, %v", name, task, err)
		}
		if n, err := openAs(t, url, opts).Count(t.Context(), nil); n != 0 || err != nil {
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
		var s *persistence.Store
		switch scheme {
		case "mem":
			s = openAs(t, "mem:", opts)
		case givenToNew:
			s = newAs(t, opts)
		default:
			s = openAs(t, scheme+":"+filepath.Join(t.TempDir(), "store"), opts)
		}
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
	for _, scheme := range []string{"mem", "file", "sqlite", givenToNew} {
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

// givenToNew stands for a backend that New is given.
const givenToNew = "by hand"

// openAs opens a store with the options as they are, nil included.
func openAs(t *testing.T, url string, opts *persistence.Options) *persistence.Store {
	t.Helper()
	s := must[*persistence.Store](t)(persistence.MakeStore(t.Context(), url, opts))
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// newAs is openAs for a new backend, in memory, that New is given.
func newAs(t *testing.T, opts *persistence.Options) *persistence.Store {
	t.Helper()
	opener, _ := driver.Lookup("mem")
	b := must[driver.Backend](t)(opener(t.Context(), must[url.URL](t)(url.Parse("mem:")), driver.OpenOptions{}))
	s := must[*persistence.Store](t)(persistence.New(t.Context(), b, opts))
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// Each option set to something other than its default must have its effect, and only then.
func TestEveryOptionHasAnEffect(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	prio := extrafields.Of("prio", func(task *Task) int { return task.Prio })
	saved := func(s *persistence.Store) persistence.Info {
		id := must[persistence.ID](t)(s.Save(ctx, &Task{Name: "a", State: "NEW", Prio: 7}))
		return must[persistence.Info](t)(s.Stat(ctx, id))
	}
	number := func(id persistence.ID) bool { _, ok := id.Seq(); return ok }
	log := &warningLog{}
	complete := func(s *persistence.Store) bool { return must[[]persistence.ColumnInfo](t)(s.Columns(ctx))[0].Complete }
	cases := map[string]struct {
		set persistence.Options
		// without and effect report whether a store opened without and with the option is as it
		// should be. There is a record in it already, which an older program has saved.
		without, effect func(s *persistence.Store) bool
		opened          func(err error) bool // with the option; nil: the store opens
		absent          bool                 // there is no store yet
	}{
		"Table": {set: persistence.Options{Table: "other"},
			without: func(s *persistence.Store) bool { return must[int64](t)(s.Count(ctx, nil)) == 1 },
			effect:  func(s *persistence.Store) bool { return must[int64](t)(s.Count(ctx, nil)) == 0 }},
		"IDs": {set: persistence.Options{IDs: idfactory.Integers()}, // text IDs in a store of integers are an error
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			effect:  func(s *persistence.Store) bool { return number(saved(s).ID) }},
		"IDs, which do not fit": {set: persistence.Options{IDs: idfactory.UUIDv7()},
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			opened:  func(err error) bool { return err != nil }},
		"IDs of a new store": {set: persistence.Options{IDs: idfactory.UUIDv7()}, absent: true,
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			effect:  func(s *persistence.Store) bool { return len(saved(s).ID) == 36 }},
		"ExtraFields": {set: persistence.Options{ExtraFields: []extrafields.Field{prio}},
			without: func(s *persistence.Store) bool { return len(saved(s).Fields) == 0 },
			effect:  func(s *persistence.Store) bool { return saved(s).Fields["prio"] == int64(7) && !complete(s) }},
		"Reindex": {set: persistence.Options{ExtraFields: []extrafields.Field{prio}, Reindex: true},
			without: func(s *persistence.Store) bool { return len(must[[]persistence.ColumnInfo](t)(s.Columns(ctx))) == 0 },
			effect:  complete},
		"Indexes": {set: persistence.Options{Indexes: []persistence.Index{{Columns: []string{"type", "state"}, Unique: true}}},
			without: func(s *persistence.Store) bool { saved(s); return number(saved(s).ID) },
			effect: func(s *persistence.Store) bool {
				saved(s)
				_, err := s.Save(ctx, &Task{State: "NEW"})
				return errors.Is(err, persistence.ErrUnique)
			}},
		"State": {set: persistence.Options{State: func(any) string { return "GIVEN" }},
			without: func(s *persistence.Store) bool { return saved(s).State == "NEW" },
			effect:  func(s *persistence.Store) bool { return saved(s).State == "GIVEN" }},
		"NoCreate": {set: persistence.Options{NoCreate: true}, absent: true,
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			opened:  func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		"NoCreate, with what is there": {set: persistence.Options{NoCreate: true},
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			effect:  func(s *persistence.Store) bool { return number(saved(s).ID) }},
		"ReadOnly": {set: persistence.Options{ReadOnly: true},
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			effect: func(s *persistence.Store) bool {
				_, err := s.Save(ctx, &Task{})
				return errors.Is(err, persistence.ErrReadOnly) && must[int64](t)(s.Count(ctx, nil)) == 1
			}},
		"Identity": {set: persistence.Options{Identity: true},
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			opened:  func(err error) bool { return errors.Is(err, errors.ErrUnsupported) }},
		"Logger": {set: persistence.Options{Logger: log.logger(), ExtraFields: []extrafields.Field{prio}},
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			effect:  func(*persistence.Store) bool { return log.about("prio") == 1 }},
		"Limits": {set: persistence.Options{Limits: persistence.Limits{MaxBytes: 10}},
			without: func(s *persistence.Store) bool { return number(saved(s).ID) },
			effect: func(s *persistence.Store) bool {
				_, err := s.Save(ctx, &Task{Name: "longer than ten bytes"})
				return errors.Is(err, persistence.ErrTooLarge)
			}},
	}
	elsewhere := map[string]string{"DropUnknown": "TestDropUnknown", "Pool": "TestThePoolOfTheOptions"}
	for i := range reflect.TypeFor[persistence.Options]().NumField() {
		if name := reflect.TypeFor[persistence.Options]().Field(i).Name; !has(cases, name) && !has(elsewhere, name) {
			t.Errorf("option %s has no case", name)
		}
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, set := range []bool{false, true} {
				url := "sqlite:" + filepath.Join(t.TempDir(), "store.db")
				if !tt.absent {
					s := must[*persistence.Store](t)(persistence.MakeStore(ctx, url, nil))
					must[persistence.ID](t)(s.Save(ctx, &Task{Name: "earlier", State: "OLD"}))
					check(t, s.Close())
				}
				if !set {
					if !tt.without(openAs(t, url, nil)) {
						t.Error("not as it should be without the option")
					}
					continue
				}
				if tt.set.Logger == nil {
					tt.set.Logger = slog.New(slog.DiscardHandler)
				}
				s, err := persistence.MakeStore(ctx, url, &tt.set)
				switch {
				case tt.opened != nil:
					if !tt.opened(err) {
						t.Errorf("opening it: %v", err)
					}
				case err != nil:
					t.Error(err)
				case !tt.effect(s):
					t.Error("not as it should be with the option")
				}
				if err == nil {
					check(t, s.Close())
				}
			}
		})
	}
}

func TestThePoolOfTheOptions(t *testing.T) {
	t.Parallel()
	url := storeURL(t, "postgres")
	usual := openAs(t, url, nil).Stats().Limit
	for name, tt := range map[string]struct {
		opts *persistence.Options
		want int
	}{
		"zero Options": {&persistence.Options{}, usual},
		"another size": {&persistence.Options{Pool: persistence.Pool{Size: usual + 2}}, usual + 2},
	} {
		if got := openAs(t, url, tt.opts).Stats().Limit; got != tt.want || got == 0 {
			t.Errorf("%s: %d connections at most, want %d", name, got, tt.want)
		}
	}
}

func has[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }
