package persistence_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// The types of two versions of a program, for what does not fit into the matrix.
type (
	fullOrder struct {
		persistence.Persistable
		Name   string
		State  string
		Note   string
		Other  *fullOrder
		Sorted []fullKept
	}
	fullItem struct{ N, Extra int }
	fullKept struct {
		persistence.Unknown
		N, Extra int
	}
	fullValue struct{ Name, Note string }
	fullPair  struct {
		Name, Note string
		More       map[string]fullValue
	}
	fullGone struct {
		persistence.Persistable
		Name string
	}
	fullElems struct {
		persistence.Persistable
		Note  string
		Plain []fullItem
	}

	thinOrder struct {
		persistence.Persistable
		Name   string
		State  string
		Sorted []thinKept
	}
	thinElems struct {
		persistence.Persistable
		Name  string
		Plain []thinItem
	}
	thinItem struct{ N int }
	thinKept struct {
		persistence.Unknown
		N int
	}
	thinValue struct{ Name string }
	thinPair  struct {
		Name string
		More map[string]thinValue
	}
)

// storeFull is the program that knows all fields, in a process of its own.
func storeFull(ctx context.Context, s *persistence.Store) error {
	persistence.Register[fullOrder]("keep.order")
	persistence.Register[fullValue]("keep.value")
	persistence.Register[fullGone]("keep.gone")
	persistence.Register[fullElems]("keep.elems")
	other := &fullOrder{Name: "other"}
	_, err := s.SaveAll(ctx,
		&fullOrder{Name: "order", State: "NEW", Note: "kept", Other: other, Sorted: []fullKept{{N: 1, Extra: 10}, {N: 1, Extra: 10}, {N: 2, Extra: 20}}},
		&fullElems{Note: "kept", Plain: []fullItem{{1, 10}, {2, 20}}},
		fullValue{"value", "kept"}, &fullGone{Name: "gone"})
	if err != nil {
		return err
	}
	persistence.Register[fullPair]("keep.oldpair")
	return s.KV().Set(ctx, "pair", fullPair{"pair", "kept", map[string]fullValue{"k": {"v", "too"}}})
}

// registerThin makes this process the program that knows few of them.
var registerThin = sync.OnceFunc(func() {
	persistence.Register[thinOrder]("keep.order")
	persistence.Register[thinValue]("keep.value")
	persistence.Register[thinElems]("keep.elems")
	persistence.Register[thinPair]("keep.pair")
	persistence.RegisterAlias[thinPair]("keep.oldpair")
})

// kept opens a store that the other program has filled, and returns its log too.
func kept(t *testing.T, url string, opts persistence.Options) (*persistence.Store, *warningLog) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BRINE_TEST_CHILD=keep", "BRINE_TEST_URL="+url)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	registerThin()
	log := &warningLog{}
	opts.Logger = log.logger()
	return open(t, url, &opts), log
}

// inShared runs test on the backends that several processes share.
func inShared(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	backends(t, func(t *testing.T, url string) {
		if url == "mem:" {
			t.Skip("another process cannot write to private memory")
		}
		test(t, url)
	})
}

func TestWhatIsKeptBelongsToTheObject(t *testing.T) {
	inShared(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s, _ := kept(t, url, persistence.Options{})
		order := must[*thinOrder](t)(persistence.Load[thinOrder](ctx, s, "1"))
		if order.Sorted[0] == order.Sorted[1] || order.Sorted[0] != order.Sorted[0] { //nolint:staticcheck // that it can be compared
			t.Error("two values keep what each had, and are not the same")
		}
		value := func(id persistence.ID) string {
			rec := must[*persistence.Record](t)(s.Record(ctx, id))
			return string(must[[]byte](t)(rec.MarshalJSON()))
		}
		// Replace and Put of what was loaded write it, of something new they do not.
		check(t, s.Replace(ctx, "1", order))
		check(t, s.Insert(ctx, "70", &thinOrder{Name: "new"}))
		check(t, s.Put(ctx, "70", order))
		for _, id := range []persistence.ID{"1", "70"} {
			if v := value(id); !strings.Contains(v, `"Note":"kept"`) || strings.Count(v, `"Extra":10`) != 2 || !strings.Contains(v, `"Extra":20`) {
				t.Errorf("%s holds %s", id, v)
			}
		}
		check(t, s.Put(ctx, "70", &thinOrder{Name: "new"}))
		if v := value("70"); strings.Contains(v, "Note") {
			t.Errorf("a new object has %s", v)
		}
		// A copy is an object of its own.
		c := thinOrder{Name: order.Name, Sorted: order.Sorted}
		id := must[persistence.ID](t)(s.Save(ctx, &c))
		if v := value(id); strings.Contains(v, "Note") || !strings.Contains(v, `"Extra":20`) {
			t.Errorf("a copy has %s", v)
		}
		// References among what is kept are good in one store.
		_, err := open(t, storeURL(t, "mem"), nil).Save(ctx, order)
		wantIs(t, err, persistence.ErrDangling, "another store")
		// A reference that is kept and leads nowhere is no error.
		check(t, s.Remove(ctx, must[*persistence.Record](t)(s.Record(ctx, "1")).Refs...))
		order = must[*thinOrder](t)(persistence.Load[thinOrder](ctx, s, "1"))
		order.Name = "changed"
		must[persistence.ID](t)(s.Save(ctx, order))
		if v := value("1"); !strings.Contains(v, `"$ref"`) {
			t.Errorf("got %s", v)
		}
	})
}

func TestPlainValuesKeepWhatUpdateChanges(t *testing.T) {
	inShared(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s, log := kept(t, url, persistence.Options{})
		id := list(t, s, &persistence.Query{Type: "keep.value"})[0]
		n, err := persistence.Update(ctx, s, nil, func(v *thinValue) error { v.Name = "changed"; return nil })
		if n != 1 || err != nil {
			t.Fatal(n, err)
		}
		rec := must[*persistence.Record](t)(s.Record(ctx, id))
		if v := must[any](t)(rec.Value()).(map[string]any); v["Note"] != "kept" || v["Name"] != "changed" {
			t.Errorf("got %v", v)
		}
		if text := log.text.String(); text != "" {
			t.Errorf("Update keeps it, and the log has %q", text)
		}
		for range 2 { // elsewhere there is one warning for a type and field
			must[*thinValue](t)(persistence.Load[thinValue](ctx, s, id))
		}
		if n := strings.Count(log.text.String(), "thinValue.Note"); n != 1 {
			t.Errorf("%d warnings: %q", n, log.text.String())
		}
	})
}

func TestMigrateKeepsWhatPairsHold(t *testing.T) {
	inShared(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s, log := kept(t, url, persistence.Options{})
		before := must[thinPair](t)(persistence.Value[thinPair](ctx, s.KV(), "pair"))
		log.text.Reset()
		r := must[persistence.MigrateReport](t)(s.Migrate(ctx, persistence.MigrateOptions{}))
		if r.Rewritten != 1 || r.Failed != 1 || !strings.Contains(log.text.String(), "keep.gone") || strings.Contains(log.text.String(), "Note") {
			t.Errorf("got %+v, and the log has %q", r, log.text.String())
		}
		after := must[thinPair](t)(persistence.Value[thinPair](ctx, s.KV(), "pair"))
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// CompareAndSwap still finds what the type lacks.
		_, err := s.KV().CompareAndSwap(ctx, "pair", after, thinPair{Name: "new"})
		wantIs(t, err, persistence.ErrUnstorable, `thinPair.More["k"].Note`)
		found := false
		for f, err := range s.Vet(ctx, nil) {
			check(t, err)
			if f.Key == "pair" {
				found = found || f.Kind == persistence.UnknownFields && strings.Contains(f.Detail, `thinPair.More["k"].Note`)
				if f.Kind == persistence.OldForm {
					t.Errorf("it is migrated, and Vet finds %+v", f)
				}
			}
		}
		if !found {
			t.Error("Vet must find the fields that the type lacks")
		}
	})
}

func TestARenamedTypeDoesNotLookLikeAnEmptyStore(t *testing.T) {
	type renamedGone struct {
		persistence.Persistable
		Name string
	}
	inShared(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s, log := kept(t, url, persistence.Options{})
		for range 2 {
			for range persistence.All[renamedGone](ctx, s, nil) {
				t.Error("nothing has the type")
			}
		}
		text := log.text.String()
		if strings.Count(text, "RegisterAlias") != 1 || !strings.Contains(text, "keep.gone (1)") || !strings.Contains(text, "renamedGone") || strings.Contains(text, "keep.order") {
			t.Errorf("the log has %q", text)
		}
		for what, ask := range map[string]func(s *persistence.Store, q *persistence.Query) error{
			"Count": func(s *persistence.Store, q *persistence.Query) error { _, err := s.Count(ctx, q); return err },
			"CountBy": func(s *persistence.Store, q *persistence.Query) error {
				_, err := s.CountBy(ctx, "state", q)
				return err
			},
			"List": func(s *persistence.Store, q *persistence.Query) error { list(t, s, q); return nil },
			"StatPage": func(s *persistence.Store, q *persistence.Query) error {
				_, _, err := s.StatPage(ctx, q, "")
				return err
			},
			"RemoveAll": func(s *persistence.Store, q *persistence.Query) error { _, err := s.RemoveAll(ctx, q); return err },
			"Update": func(s *persistence.Store, q *persistence.Query) error {
				_, err := s.Update(ctx, q, func(any) error { return nil })
				return err
			},
			"Claim": func(s *persistence.Store, q *persistence.Query) error {
				_, err := s.Claim(ctx, q, persistence.ClaimOptions{Owner: "o", Lease: time.Minute})
				return err
			},
		} {
			log := &warningLog{}
			s := open(t, url, &persistence.Options{Logger: log.logger()})
			check(t, ask(s, &persistence.Query{Type: persistence.TypeName[renamedGone]()}))
			if !strings.Contains(log.text.String(), "keep.gone (1)") {
				t.Errorf("%s: the log has %q", what, log.text.String())
			}
		}
		var err error
		for _, e := range s.All(ctx, &persistence.Query{Type: "keep.gone"}) {
			err = errors.Join(err, e)
		}
		wantIs(t, err, persistence.ErrUnknownType, "keep.gone", "Register[T]", "RegisterAlias")
	})
}

func TestDropUnknown(t *testing.T) {
	inShared(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s, log := kept(t, url, persistence.Options{})
		obj := must[*thinElems](t)(persistence.Load[thinElems](ctx, s, "2"))
		must[persistence.ID](t)(s.Save(ctx, obj)) // unchanged, it writes nothing
		obj.Plain[0].N = 5
		_, err := s.Save(ctx, obj)
		wantIs(t, err, persistence.ErrUnstorable, "thinElems.Plain[0].Extra", "persistence.Unknown", "Options.DropUnknown")
		if info := must[persistence.Info](t)(s.Stat(ctx, "2")); info.Revision != 1 {
			t.Errorf("the revision is %d", info.Revision)
		}
		if text := log.text.String(); !strings.Contains(text, "thinElems.Plain[0].Extra") || strings.Count(text, "Extra") != 1 {
			t.Errorf("there is one warning of a field, and the log has %q", text)
		}
		drop := open(t, url, &persistence.Options{DropUnknown: true})
		obj = must[*thinElems](t)(persistence.Load[thinElems](ctx, drop, "2"))
		obj.Plain[0].N = 5
		must[persistence.ID](t)(drop.Save(ctx, obj))
		rec := must[*persistence.Record](t)(s.Record(ctx, "2"))
		if v := string(must[[]byte](t)(rec.MarshalJSON())); strings.Contains(v, "Extra") || !strings.Contains(v, `"Note":"kept"`) {
			t.Errorf("only what has no place is dropped: %s", v)
		}
	})
}

type stated struct{ At string }

func (s stated) State() string { return "STATE OF " + s.At }

// A method State that is promoted from an embedded field speaks for the field.
func TestAPromotedStateIsNotThatOfTheObject(t *testing.T) {
	t.Parallel()
	type withField struct {
		persistence.Persistable
		stated
		Execution struct{ State string }
	}
	log := &warningLog{}
	s := open(t, "mem:", &persistence.Options{Logger: log.logger()})
	obj := &withField{stated: stated{"x"}}
	obj.Execution.State = "RUNNING"
	id := must[persistence.ID](t)(s.Save(t.Context(), obj))
	if info := must[persistence.Info](t)(s.Stat(t.Context(), id)); info.State != "RUNNING" {
		t.Errorf("got %q", info.State)
	}
	if log.text.Len() > 0 {
		t.Errorf("the log has %q", log.text.String())
	}
	type without struct {
		persistence.Persistable
		stated
	}
	for range 2 { // nothing gives the state: that is said once
		id = must[persistence.ID](t)(s.Save(t.Context(), &without{stated: stated{"x"}}))
	}
	if info := must[persistence.Info](t)(s.Stat(t.Context(), id)); info.State != "UNKNOWN" || strings.Count(log.text.String(), "without") != 1 {
		t.Errorf("got %q, and the log %q", info.State, log.text.String())
	}
}

func TestAliasesClash(t *testing.T) {
	t.Parallel()
	type first struct{ N int }
	type second struct{ N int }
	persistence.RegisterAlias[first]("clash.one", "clash.two")
	persistence.RegisterAlias[first]("clash.one") // once more is nothing
	for what, f := range map[string]func(){
		"an alias of another":     func() { persistence.RegisterAlias[second]("clash.two") },
		"a name that is one":      func() { persistence.Register[second]("clash.two") },
		"a name known from birth": func() { persistence.RegisterAlias[second]("int") },
		"no name":                 func() { persistence.RegisterAlias[second]("") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			f()
		}()
	}
	persistence.Register[first]("clash.one") // an alias may become the name
	if name := persistence.TypeName[first](); name != "clash.one" {
		t.Errorf("got %q", name)
	}
}
