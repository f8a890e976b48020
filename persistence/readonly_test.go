package persistence_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
	storeurl "github.com/brine-go/brine/url"
)

// A readOnlyPair is a store that has something of everything, and the same opened for reading only.
type readOnlyPair struct {
	rw, ro *persistence.Store
	task   *Task // a graph, loaded from ro
}

var readOnlyFields = []extrafields.Field{
	extrafields.Of("name", func(t *Task) string { return t.Name }).Only(Task{}).Indexed(),
	extrafields.Of("prio", func(t *Task) int64 { return int64(t.Prio) }).Only(Task{}),
}

// readOnlyPairs runs a test on each backend.
func readOnlyPairs(t *testing.T, test func(t *testing.T, p *readOnlyPair)) {
	t.Helper()
	backends(t, func(t *testing.T, url string) {
		p := &readOnlyPair{}
		options := func() *persistence.Options {
			return &persistence.Options{ExtraFields: readOnlyFields, Logger: slog.New(slog.DiscardHandler)}
		}
		var data *mem.Backend
		if url == "mem:" {
			data = mem.New(driver.OpenOptions{})
			p.rw = must[*persistence.Store](t)(persistence.New(t.Context(), data, options()))
			t.Cleanup(func() { p.rw.Close() })
		} else {
			p.rw = open(t, url, options())
		}
		p.fill(t)
		if data != nil {
			o := options()
			o.ReadOnly = true
			p.ro = must[*persistence.Store](t)(persistence.New(t.Context(), data.Handle(), o))
			t.Cleanup(func() { p.ro.Close() })
		} else {
			p.ro = open(t, withParam(url, "mode=ro"), options())
		}
		p.task = must[*Task](t)(persistence.Load[Task](t.Context(), p.ro, "1"))
		test(t, p)
	})
}

func withParam(url, param string) string {
	if strings.Contains(url, "?") {
		return url + "&" + param
	}
	return url + "?" + param
}

// fill stores the records 1 to 6, claims two of them, one of them for no time, and has a dangling
// reference, pairs and something in quarantine.
func (p *readOnlyPair) fill(t *testing.T) {
	t.Helper()
	s, ctx := p.rw, t.Context()
	for i := range 6 {
		task := &Task{Name: fmt.Sprint("task ", i+1), Prio: i % 3, State: "NEW"}
		if i == 0 {
			task.Deps = []*Task{{Name: "dep", Prio: 9, State: "DONE"}}
		}
		check(t, s.Insert(ctx, persistence.ID(fmt.Sprint(i+1+i*10)), task))
	}
	for _, lease := range []time.Duration{time.Microsecond, time.Hour} {
		claims := must[[]*persistence.Claim](t)(s.Claim(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("prio", 1)},
			Order: []persistence.Order{persistence.Desc("id")}}, persistence.ClaimOptions{Owner: "me", Lease: lease}))
		if len(claims) != 1 {
			t.Fatalf("%d claims", len(claims))
		}
	}
	check(t, s.KV().Set(ctx, "a", "one"))
	check(t, s.KV().Set(ctx, "b", 2))
	check(t, s.Quarantine(ctx, "why", "56"))
	check(t, s.Insert(ctx, "70", &File{Path: "/x", By: &Task{Name: "by"}}))
	file := must[*File](t)(persistence.Load[File](ctx, s, "70"))
	check(t, s.Remove(ctx, file.By.PersistentID()))
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// writes are the verbs that write, with the ID that their error names.
var writes = []struct {
	name string
	id   persistence.ID
	call func(ctx context.Context, p *readOnlyPair, c *persistence.Claim) error
}{
	{"Save", "1", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		p.task.Name = "changed"
		_, err := p.ro.Save(ctx, p.task)
		return err
	}},
	{"Save of what has not changed", "1", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		p.task.Name = "task 1"
		_, err := p.ro.Save(ctx, p.task)
		return err
	}},
	{"Save of a new object", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		task := &Task{Name: "new"}
		_, err := p.ro.Save(ctx, task)
		if task.PersistentID() != "" {
			return fmt.Errorf("it has the ID %q", task.PersistentID())
		}
		return err
	}},
	{"Save of what cannot be stored", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.Save(ctx, make(chan int))
		return err
	}},
	{"SaveAll", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.SaveAll(ctx, &Task{}, &Task{})
		return err
	}},
	{"SaveAll of nothing", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.SaveAll(ctx)
		return err
	}},
	{"SaveOnly", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.SaveOnly(ctx, &Task{})
		return err
	}},
	{"Insert", "100", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.Insert(ctx, "100", &Task{})
	}},
	{"Insert of an ID that is taken", "1", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.Insert(ctx, "1", &Task{})
	}},
	{"Replace", "1", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.Replace(ctx, "1", &Task{})
	}},
	{"Put", "1", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.Put(ctx, "1", &Task{})
	}},
	{"Remove", "1", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.Remove(ctx, "1")
	}},
	{"Remove of nothing", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.Remove(ctx)
	}},
	{"RemoveAll", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.RemoveAll(ctx, nil)
		return err
	}},
	{"RemoveAll of what there is not", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.RemoveAll(ctx, &persistence.Query{State: []string{"no such"}})
		return err
	}},
	{"Update", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		called := false
		_, err := p.ro.Update(ctx, nil, func(any) error { called = true; return nil })
		if called {
			return fmt.Errorf("the function was called: %w", err)
		}
		return err
	}},
	{"Claim", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.Claim(ctx, nil, persistence.ClaimOptions{Owner: "you", Lease: time.Hour})
		return err
	}},
	{"Claim.Extend", "45", func(ctx context.Context, _ *readOnlyPair, c *persistence.Claim) error {
		return c.Extend(ctx, time.Hour)
	}},
	{"Claim.Save", "45", func(ctx context.Context, _ *readOnlyPair, c *persistence.Claim) error { return c.Save(ctx) }},
	{"Claim.Complete", "45", func(ctx context.Context, p *readOnlyPair, c *persistence.Claim) error { return c.Complete(ctx, p.task) }},
	{"Claim.Release", "45", func(ctx context.Context, _ *readOnlyPair, c *persistence.Claim) error { return c.Release(ctx) }},
	{"ReleaseExpired", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.ReleaseExpired(ctx)
		return err
	}},
	{"Reserve", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error { return p.ro.Reserve(ctx, 1) }},
	{"Reserve of no number", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error { return p.ro.Reserve(ctx, 0) }},
	{"DropField", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.DropField(ctx, "prio")
	}},
	{"DropIndex", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.DropIndex(ctx, persistence.Index{Columns: []string{"prio"}})
	}},
	{"Reindex", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error { return p.ro.Reindex(ctx, nil) }},
	{"Compact", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error { return p.ro.Compact(ctx) }},
	{"Migrate", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.Migrate(ctx, persistence.MigrateOptions{})
		return err
	}},
	{"Quarantine", "1", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.Quarantine(ctx, "why", "1")
	}},
	{"RemoveGraph", "1", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.RemoveGraph(ctx, persistence.RemoveGraphOptions{}, "1")
		return err
	}},
	{"Collect", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.Collect(ctx, []persistence.ID{"1"}, persistence.CollectOptions{})
		return err
	}},
	{"QuarantineKeys", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.QuarantineKeys(ctx, "why", "a")
	}},
	{"Unquarantine", "56", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.Unquarantine(ctx, "56")
	}},
	{"Purge", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.Purge(ctx, time.Now())
		return err
	}},
	{"KV.Set", "a", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.KV().Set(ctx, "a", 1)
	}},
	{"KV.Delete", "a", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		return p.ro.KV().Delete(ctx, "a")
	}},
	{"KV.CompareAndSwap", "a", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := p.ro.KV().CompareAndSwap(ctx, "a", "another", "new")
		return err
	}},
	{"the function Update", "", func(ctx context.Context, p *readOnlyPair, _ *persistence.Claim) error {
		_, err := persistence.Update(ctx, p.ro, nil, func(*Task) error { return nil })
		return err
	}},
}

// reads are the verbs that read, as functions whose results are compared.
var reads = map[string]func(t *testing.T, s *persistence.Store) any{
	"Load": func(t *testing.T, s *persistence.Store) any {
		_, err := s.Load(t.Context(), "70")
		wantIs(t, err, persistence.ErrDangling, `"70"`)
		return must[any](t)(s.Load(t.Context(), "1")).(*Task).Deps[0].Name
	},
	"LoadAll": func(t *testing.T, s *persistence.Store) any {
		var names []string
		for _, obj := range must[[]any](t)(s.LoadAll(t.Context(), "12", "1")) {
			names = append(names, obj.(*Task).Name)
		}
		return names
	},
	"All": func(t *testing.T, s *persistence.Store) any {
		var names []string
		for _, task := range collect(t, persistence.All[Task](t.Context(), s, nil)) {
			names = append(names, task.Name)
		}
		for _, obj := range collect(t, s.All(t.Context(), &persistence.Query{Where: []persistence.Cond{persistence.Ge("prio", 2)}})) {
			names = append(names, obj.(*Task).Name)
		}
		return names
	},
	"List": func(t *testing.T, s *persistence.Store) any {
		return [][]persistence.ID{list(t, s, nil), list(t, s, &persistence.Query{Order: []persistence.Order{persistence.Desc("prio")}})}
	},
	"Stat": func(t *testing.T, s *persistence.Store) any {
		return must[persistence.Info](t)(s.Stat(t.Context(), "1"))
	},
	"StatAll": func(t *testing.T, s *persistence.Store) any { return collect(t, s.StatAll(t.Context(), nil)) },
	"StatPage": func(t *testing.T, s *persistence.Store) any {
		page, next, err := s.StatPage(t.Context(), &persistence.Query{Order: []persistence.Order{persistence.Desc("state")}, Limit: 2}, "")
		if err != nil || next == "" {
			t.Fatal(next, err)
		}
		return page
	},
	"Ping": func(t *testing.T, s *persistence.Store) any { return s.Ping(t.Context()) },
	"Count": func(t *testing.T, s *persistence.Store) any {
		return must[int64](t)(s.Count(t.Context(), &persistence.Query{State: []string{"NEW"}}))
	},
	"CountBy": func(t *testing.T, s *persistence.Store) any {
		return must[[]persistence.Group](t)(s.CountBy(t.Context(), "prio", nil))
	},
	"Record": func(t *testing.T, s *persistence.Store) any {
		return must[*persistence.Record](t)(s.Record(t.Context(), "1")).Bytes
	},
	"Records": func(t *testing.T, s *persistence.Store) any {
		n := 0
		for _, r := range collect(t, s.Records(t.Context(), nil)) {
			n += len(r.Bytes)
		}
		return n
	},
	"Columns": func(t *testing.T, s *persistence.Store) any {
		return must[[]persistence.ColumnInfo](t)(s.Columns(t.Context()))
	},
	"Claims": func(t *testing.T, s *persistence.Store) any {
		var all []string
		for _, c := range collect(t, s.Claims(t.Context())) {
			obj := must[any](t)(c.Load(t.Context())).(*Task)
			all = append(all, fmt.Sprint(c.Info(), c.Owner(), c.Token(), c.Until(), c.ID(), obj.Name))
		}
		if len(all) != 2 && len(all) != 1 {
			t.Errorf("%d claims", len(all))
		}
		return all
	},
	"Check": func(t *testing.T, s *persistence.Store) any {
		found := short(checked(t, s, persistence.CheckOptions{}))
		if len(found) < 1 {
			t.Error("Check finds nothing")
		}
		return found
	},
	"Referrers": func(t *testing.T, s *persistence.Store) any {
		deps := must[*persistence.Record](t)(s.Record(t.Context(), "1")).Refs
		return collect(t, s.Referrers(t.Context(), deps[0]))
	},
	"WriteDOT": func(t *testing.T, s *persistence.Store) any {
		var b strings.Builder
		check(t, s.WriteDOT(t.Context(), &b, "1", "70"))
		return b.String()
	},
	"Collect": func(t *testing.T, s *persistence.Store) any {
		report := must[persistence.GraphReport](t)(s.Collect(t.Context(), []persistence.ID{"1"}, persistence.CollectOptions{DryRun: true, Grace: 1}))
		if report.Removed == 0 {
			t.Error("Collect finds no garbage")
		}
		return report
	},
	"RemoveGraph": func(t *testing.T, s *persistence.Store) any {
		return must[persistence.GraphReport](t)(s.RemoveGraph(t.Context(), persistence.RemoveGraphOptions{DryRun: true}, "1"))
	},
	"Vet": func(t *testing.T, s *persistence.Store) any { return short(collect(t, s.Vet(t.Context(), nil))) },
	"Migrate": func(t *testing.T, s *persistence.Store) any {
		return must[persistence.MigrateReport](t)(s.Migrate(t.Context(), persistence.MigrateOptions{DryRun: true}))
	},
	"Quarantined": func(t *testing.T, s *persistence.Store) any {
		all := quarantined(t, s)
		if len(all) != 1 || all[0].Err != nil {
			t.Errorf("in quarantine: %v", all)
		}
		return all[0].Stored
	},
	"KV.Get": func(t *testing.T, s *persistence.Store) any {
		_, err := s.KV().Get(t.Context(), "none")
		wantIs(t, err, persistence.ErrNotFound)
		return must[any](t)(s.KV().Get(t.Context(), "a"))
	},
	"KV.Range": func(t *testing.T, s *persistence.Store) any { return collect(t, s.KV().Range(t.Context(), "")) },
}

// neither are the methods that neither read nor write records.
var neither = map[string]bool{
	"KV": true, "URL": true, "Stats": true, "PreFork": true, "PostFork": true, "Reset": true, "InvalidateCache": true, "Close": true,
	"Claim.Info": true, "Claim.ID": true, "Claim.Owner": true, "Claim.Token": true, "Claim.Until": true, "Claim.Load": true,
}

func TestAReadOnlyStoreReadsAllAndWritesNothing(t *testing.T) {
	readOnlyPairs(t, func(t *testing.T, p *readOnlyPair) {
		ctx := t.Context()
		for name, read := range reads {
			if d := cmp.Diff(read(t, p.rw), read(t, p.ro)); d != "" {
				t.Errorf("%s reads something else: %s", name, d)
			}
		}
		before := map[string]any{}
		for name, read := range reads {
			before[name] = read(t, p.rw)
		}
		claims := collect(t, p.ro.Claims(ctx))
		for i := range 2 {
			for _, w := range writes {
				err := w.call(ctx, p, claims[0])
				wantIs(t, err, persistence.ErrReadOnly, "mode=ro")
				e, ok := errors.AsType[*persistence.Error](err)
				if id := w.id; !ok || e.ID != id && (id != "45" || e.ID != claims[0].ID()) || e.Op == "" || e.URL != p.ro.URL() {
					t.Errorf("%s: the error is %#v", w.name, err)
				}
			}
			if i == 0 {
				check(t, p.ro.Reset())
			}
		}
		for name, read := range reads {
			if d := cmp.Diff(before[name], read(t, p.rw)); d != "" {
				t.Errorf("a write was made: %s: %s", name, d)
			}
		}
		// No number was taken, and what others write is seen.
		task := &Task{Name: "later"}
		must[persistence.ID](t)(p.rw.Save(ctx, task))
		if got, err := persistence.Load[Task](ctx, p.ro, task.PersistentID()); err != nil || got.Name != "later" {
			t.Errorf("what another has written is %v, %v", got, err)
		}
		check(t, p.ro.Close())
		_, err := p.ro.Save(ctx, task)
		wantIs(t, err, persistence.ErrClosed)
	})
}

func TestEveryVerbIsKnownToWriteOrNot(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, w := range writes {
		known[w.name] = true
	}
	for of, typ := range map[string]reflect.Type{
		"": reflect.TypeFor[*persistence.Store](), "KV.": reflect.TypeFor[*persistence.KV](), "Claim.": reflect.TypeFor[*persistence.Claim](),
	} {
		for i := range typ.NumMethod() {
			name := of + typ.Method(i).Name
			if !known[name] && reads[name] == nil && !neither[name] {
				t.Errorf("%s is in neither table", name)
			}
		}
	}
}

func TestReadOnlyOptions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, c := range map[string]struct {
		param string
		o     persistence.Options
		words []string // of the error; nil: it opens
	}{
		"ro":                    {param: "mode=ro"},
		"rw is the default":     {param: "mode=rw"},
		"the option alone":      {o: persistence.Options{ReadOnly: true}},
		"rw and the option":     {param: "mode=rw", o: persistence.Options{ReadOnly: true}},
		"something else":        {param: "mode=rwc", words: []string{`"rwc"`, "ro", "rw"}},
		"nothing":               {param: "mode=", words: []string{`""`, "ro", "rw"}},
		"twice":                 {param: "mode=ro&mode=ro", words: []string{"mode", "twice"}},
		"misspelt":              {param: "mod=ro", words: []string{`did you mean "mode"?`}},
		"another name":          {param: "read_only=1", words: []string{"mode=ro"}},
		"with Reindex":          {param: "mode=ro", o: persistence.Options{Reindex: true}, words: []string{"Reindex", "mode=ro"}},
		"both, and Reindex":     {o: persistence.Options{ReadOnly: true, Reindex: true}, words: []string{"Reindex", "ReadOnly"}},
		"with another unknown":  {param: "mode=ro&x=1", words: []string{`"x"`}},
		"with NoCreate as well": {param: "mode=ro", o: persistence.Options{NoCreate: true}},
	} {
		for _, backend := range []string{"mem", "fs", "sqlite"} {
			url := storeURL(t, backend)
			if backend != "mem" {
				check(t, open(t, url, nil).Close())
			}
			o := c.o
			o.Logger = slog.New(slog.DiscardHandler)
			url = strings.TrimSuffix(withParam(url, c.param), "?")
			s, err := persistence.MakeStore(ctx, url, &o)
			switch {
			case err != nil && c.words == nil:
				t.Errorf("%s, %s: %v", name, backend, err)
				continue
			case err == nil && c.words != nil:
				t.Errorf("%s, %s: it opens", name, backend)
			case err != nil:
				for _, w := range c.words {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("%s, %s: error %q does not mention %q", name, backend, err, w)
					}
				}
				continue
			}
			if got := s.URL().Query().Get("mode"); !strings.HasPrefix(c.param, "mode=") != (got == "") {
				t.Errorf("%s, %s: the URL is %v", name, backend, s.URL())
			}
			want := c.param == "mode=ro" || c.o.ReadOnly
			if _, err := s.Save(ctx, &Task{}); (err != nil) != want {
				t.Errorf("%s, %s: Save: %v", name, backend, err)
			}
			check(t, s.Close())
		}
	}
	if _, err := persistence.MakeStore(ctx, t.TempDir()+"?mode=ro", nil); err == nil || !strings.Contains(err.Error(), "file:") {
		t.Errorf("a path without a scheme: %v", err)
	}
}

func TestAReadOnlyStoreThatIsNotThere(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		if url == "mem:" {
			s := open(t, "mem:?mode=ro", nil)
			if n := must[int64](t)(s.Count(ctx, nil)); n != 0 {
				t.Errorf("%d records", n)
			}
			if all := collect(t, s.KV().Range(ctx, "")); len(all) != 0 {
				t.Errorf("pairs: %v", all)
			}
			must[[]persistence.ColumnInfo](t)(s.Columns(ctx))
			return
		}
		s, err := persistence.MakeStore(ctx, withParam(url, "mode=ro"), nil)
		if err == nil {
			s.Close()
			t.Fatal("it is there")
		}
		if !strings.Contains(err.Error(), "nothing may be created") {
			t.Errorf("error %v", err)
		}
		// Nor does New make it, of a backend that might write.
		u := must[storeurl.URL](t)(storeurl.Parse(url))
		opener, _ := driver.Lookup(u.Scheme())
		b := must[driver.Backend](t)(opener(ctx, u, driver.OpenOptions{Table: "store", Logger: slog.New(slog.DiscardHandler)}))
		if s, err := persistence.New(ctx, b, &persistence.Options{ReadOnly: true}); err == nil {
			s.Close()
			t.Error("New has made it")
		}
		check(t, b.Close())
		if path, ok := strings.CutPrefix(url, "file:"); ok {
			if _, err := os.Lstat(path); err == nil {
				t.Error("it was made")
			}
		}
		if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
			if _, err := os.Lstat(path); err == nil {
				t.Error("it was made")
			}
		}
	})
}

func TestPairsThatWereNeverKeptAreReadAsNone(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		if url == "mem:" {
			return // in TestAReadOnlyStoreThatIsNotThere
		}
		ctx := t.Context()
		rw := open(t, url, nil)
		check(t, rw.Insert(ctx, "1", &Task{Name: "x"}))
		late := extrafields.Of("late", func(t *Task) string { return t.Name })
		s := open(t, url, &persistence.Options{ReadOnly: true, ExtraFields: []extrafields.Field{late}})
		_, err := s.KV().Get(ctx, "a")
		wantIs(t, err, persistence.ErrNotFound, `"a"`)
		if all := collect(t, s.KV().Range(ctx, "")); len(all) != 0 {
			t.Errorf("pairs: %v", all)
		}
		if all := quarantined(t, s); len(all) != 0 {
			t.Errorf("in quarantine: %v", all)
		}
		if all := append(short(checked(t, s, persistence.CheckOptions{})), short(collect(t, s.Vet(ctx, nil)))...); len(all) != 0 {
			t.Errorf("found: %v", all)
		}
		must[persistence.MigrateReport](t)(s.Migrate(ctx, persistence.MigrateOptions{DryRun: true}))
		_, err = s.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("late", "x")}})
		wantUnsupported(t, err, "late")
		if info := must[persistence.Info](t)(s.Stat(ctx, "1")); info.ID != "1" {
			t.Errorf("%v", info)
		}

		// Once another has made them they are there.
		check(t, rw.KV().Set(ctx, "a", 1))
		if v := must[any](t)(s.KV().Get(ctx, "a")); v != 1 {
			t.Errorf("the pair is %v", v)
		}
	})
}

func wantUnsupported(t *testing.T, err error, word string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "unsupported") {
		t.Errorf("error %v", err)
	}
}

// A fileState is what a file is, to be compared.
type fileState struct {
	Mode     fs.FileMode
	Modified time.Time
	Sum      [32]byte
}

// tree returns all below a directory, and itself.
func tree(t *testing.T, dir string) map[string]fileState {
	t.Helper()
	all := map[string]fileState{}
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		state := fileState{Mode: info.Mode(), Modified: info.ModTime()}
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			state.Sum = sha256.Sum256(data)
		}
		all[path] = state
		return nil
	}))
	return all
}

func TestAReadOnlyStoreLeavesFilesAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"fs", "sqlite"} {
		for _, pairs := range []bool{true, false} {
			t.Run(fmt.Sprint(backend, ", with pairs ", pairs), func(t *testing.T) {
				t.Parallel()
				ctx := t.Context()
				url := storeURL(t, backend)
				_, path, _ := strings.Cut(url, ":")
				dir := filepath.Dir(path)
				p := &readOnlyPair{rw: open(t, url, &persistence.Options{ExtraFields: readOnlyFields})}
				if pairs {
					p.fill(t)
				} else {
					check(t, p.rw.Insert(ctx, "1", &Task{Deps: []*Task{{}}}))
				}
				check(t, p.rw.Close())
				if backend == "fs" { // what a crashed writer leaves
					check(t, os.WriteFile(filepath.Join(path, ".brine.tmp.0"), []byte("half"), 0o600))
				}
				before := tree(t, dir)
				for range 2 {
					p.ro = open(t, url, &persistence.Options{ReadOnly: true, ExtraFields: append(readOnlyFields[:1:1], textField("another"))})
					p.task = must[*Task](t)(persistence.Load[Task](ctx, p.ro, "1"))
					for name, read := range reads {
						if pairs && name != "CountBy" && name != "All" && name != "List" || name == "Stat" || name == "Check" && pairs {
							read(t, p.ro)
						}
					}
					must[int64](t)(p.ro.Count(ctx, nil))
					for _, w := range writes {
						if !strings.HasPrefix(w.name, "Claim.") {
							wantIs(t, w.call(ctx, p, nil), persistence.ErrReadOnly)
						}
					}
					check(t, p.ro.Close())
				}
				after := tree(t, dir)
				if backend == "sqlite" {
					for _, side := range []string{"-shm", "-wal"} {
						if info, err := os.Stat(path + side); err == nil && side == "-wal" && info.Size() > 0 {
							t.Errorf("the log has %d bytes", info.Size())
						}
						delete(after, path+side)
						delete(before, path+side)
					}
					delete(after, dir)
					delete(before, dir)
				}
				if d := cmp.Diff(before, after); d != "" {
					t.Errorf("files have changed: %s", d)
				}
			})
		}
	}
}
