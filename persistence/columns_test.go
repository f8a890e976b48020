package persistence_test

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
)

// reopened runs a test on every backend. open opens one store, empty at first, as often as it is
// called: also in memory.
func reopened(t *testing.T, test func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error))) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{"mem", "fs", "sqlite", "postgres", "mariadb"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, reopener(t, name, storeURL(t, name)))
		})
	}
}

func reopener(t *testing.T, backend, url string) func(*persistence.Options) (*persistence.Store, error) {
	data := mem.New(driver.OpenOptions{})
	return func(o *persistence.Options) (s *persistence.Store, err error) {
		if o.Logger == nil {
			o.Logger = slog.New(slog.DiscardHandler)
		}
		if backend == "mem" {
			s, err = persistence.New(t.Context(), data.Handle(), o)
		} else {
			s, err = persistence.MakeStore(t.Context(), url, o)
		}
		if err == nil {
			t.Cleanup(func() { s.Close() })
		}
		return s, err
	}
}

// A warningLog collects what is logged.
type warningLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *warningLog) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.text.Write(p)
	}), nil))
}

// about counts the warnings that name a column and Reindex.
func (w *warningLog) about(column string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for line := range strings.Lines(w.text.String()) {
		_, columns, _ := strings.Cut(strings.TrimSpace(line), "columns=")
		if slices.Contains(strings.Split(strings.Trim(columns, `"`), ", "), column) && strings.Contains(line, "Reindex") {
			n++
		}
	}
	return n
}

var (
	nameField  = extrafields.Of("name", func(t *Task) string { return t.Name }).Indexed()
	prioField  = extrafields.Of("prio", func(t *Task) int { return t.Prio })
	stateField = extrafields.Of("job_state", func(t *Task) string { return t.State })
)

// A program of the test of two programs: its extra field of its own, and what it has been told.
type program struct {
	t      *testing.T
	open   func(*persistence.Options) (*persistence.Store, error)
	fields []extrafields.Field
	own    string // the column of fields that the other does not have
	s      *persistence.Store
	log    *warningLog
}

func (p *program) start(o persistence.Options) {
	p.t.Helper()
	if p.s != nil {
		p.s.Close()
	}
	o.ExtraFields, o.Logger = p.fields, p.log.logger()
	p.s = must[*persistence.Store](p.t)(p.open(&o))
}

// twoPrograms runs one order of events, given as one letter each: for program a or b, o opens its
// store (again), n saves a new task, c changes the first one, r has it Reindex, and i opens with
// Options.Reindex. After each event each program that runs makes a query on its own column: either
// it finds what it should, or there was a warning since the last Reindex of that column.
func twoPrograms(t *testing.T, order string, open func(*persistence.Options) (*persistence.Store, error)) {
	t.Helper()
	ctx := t.Context()
	a := &program{t: t, open: open, fields: []extrafields.Field{nameField, prioField}, own: "prio"}
	b := &program{t: t, open: open, fields: []extrafields.Field{stateField, nameField}, own: "job_state"}
	a.log, b.log = &warningLog{}, &warningLog{}
	value := 0
	var first persistence.ID
	values := map[persistence.ID]int{}
	warned := map[string]int{} // warnings about each column when it was last filled
	count := func(column string) int { return a.log.about(column) + b.log.about(column) }
	for i := 0; i < len(order); i += 2 {
		p := map[byte]*program{'a': a, 'b': b}[order[i]]
		if p.s == nil && order[i+1] != 'o' && order[i+1] != 'i' {
			t.Fatalf("%s: %s is not open", order, order[i:i+1])
		}
		switch order[i+1] {
		case 'o':
			p.start(persistence.Options{})
		case 'i':
			p.start(persistence.Options{Reindex: true})
			warned[p.own] = count(p.own)
		case 'n', 'c':
			value++
			task := &Task{Name: fmt.Sprint(value), Prio: value, State: fmt.Sprint(value)}
			if order[i+1] == 'c' && first != "" {
				old := must[*Task](t)(persistence.Load[Task](ctx, p.s, first))
				old.Name, old.Prio, old.State = task.Name, task.Prio, task.State
				task = old
			}
			id := must[persistence.ID](t)(p.s.Save(ctx, task))
			values[id] = value
			if first == "" {
				first = id
			}
		case 'r':
			if err := p.s.Reindex(ctx, nil); err != nil {
				t.Fatalf("%s: %v", order, err)
			}
			warned[p.own] = count(p.own)
		}
		for _, p := range []*program{a, b} {
			if p.s == nil {
				continue
			}
			right := true
			for id, v := range values {
				var want any = v
				if p == b {
					want = fmt.Sprint(v)
				}
				found := list(t, p.s, &persistence.Query{Where: []persistence.Cond{persistence.Eq(p.own, want)}})
				right = right && slices.Equal(found, []persistence.ID{id})
				named := list(t, p.s, &persistence.Query{Where: []persistence.Cond{persistence.Eq("name", fmt.Sprint(v))}})
				if !slices.Equal(named, []persistence.ID{id}) {
					t.Fatalf("%s: after %s both programs fill the column name, but a query finds %v, not %s", order, order[:i+2], named, id)
				}
			}
			if !right && count(p.own) == warned[p.own] {
				t.Fatalf("%s: after %s a query on %s is wrong, and nobody was warned", order, order[:i+2], p.own)
			}
			if last := order[i : i+2]; (last == "ar" || last == "ai") && p == a || (last == "br" || last == "bi") && p == b {
				if !right {
					t.Fatalf("%s: a query on %s is wrong right after Reindex", order, p.own)
				}
				if infos := must[[]persistence.ColumnInfo](t)(p.s.Columns(ctx)); slices.ContainsFunc(infos, func(c persistence.ColumnInfo) bool { return c.Name == p.own && !c.Complete }) {
					t.Fatalf("%s: %s is not complete after Reindex: %+v", order, p.own, infos)
				}
			}
			if right && len(values) > 0 {
				continue
			}
			for _, c := range must[[]persistence.ColumnInfo](t)(p.s.Columns(ctx)) {
				if !right && c.Name == p.own && c.Complete {
					t.Fatalf("%s: after %s a query on %s is wrong, but Columns says that it is complete", order, order[:i+2], p.own)
				}
			}
		}
	}
	for _, p := range []*program{a, b} {
		if p.s != nil {
			p.s.Close()
		}
	}
}

var events = []string{"ao", "bo", "ai", "bi", "an", "bn", "ac", "bc", "ar", "br"}

func TestTwoProgramsWithDifferentFieldsFindAllOrAreWarned(t *testing.T) {
	t.Parallel()
	t.Run("mem", func(t *testing.T) {
		t.Parallel()
		n := 0
		var orders func(prefix string, left int)
		orders = func(prefix string, left int) {
			if left == 0 {
				n++
				twoPrograms(t, prefix, reopener(t, "mem", ""))
				return
			}
			for _, e := range events {
				opened := strings.Contains(prefix, e[:1]+"o") || strings.Contains(prefix, e[:1]+"i")
				if opened || e[1] == 'o' || e[1] == 'i' {
					orders(prefix+e, left-1)
				}
			}
		}
		orders("", 3)
		orders("aobo", 3)
		if os.Getenv("BRINE_LONG") == "1" {
			orders("", 5)
		}
		if n < 1000 {
			t.Errorf("%d orders alone", n)
		}
	})
	// Elsewhere those that differ in kind: who comes first, who runs on, who fills what.
	sample := []string{
		"aoanbobrbn", "aobobnanbranacbo", "boaoanbcarbcao", "aoanboanbranbo", "boaobnacbrarac", "aoboanbiananbi",
		"bobnaoarbnaranao", "aobobranbcbrac", "aoboananbobiaoan", "aiboanbiacaibc",
	}
	for _, backend := range []string{"fs", "sqlite", "postgres", "mariadb"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			url := storeURL(t, backend)
			for i, order := range sample {
				at := url
				if backend == "fs" {
					at += fmt.Sprint(i)
				} else {
					at += fmt.Sprintf("#table=t%d", i)
				}
				twoPrograms(t, order, reopener(t, backend, at))
			}
		})
	}
}

func TestColumnsSayWhatTheStoreHas(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{
			prioField, nameField,
			extrafields.Func("any", extrafields.Time, func(any) (any, error) { return nil, nil }),
			extrafields.Func("both", extrafields.Bytes, func(any) (any, error) { return nil, nil }).Only(&Task{}, &File{}),
		}}))
		task, file := persistence.TypeName[Task](), persistence.TypeName[File]()
		both := []string{file, task}
		slices.Sort(both)
		want := []persistence.ColumnInfo{
			{Name: "any", Kind: extrafields.Time, Complete: true},
			{Name: "both", Kind: extrafields.Bytes, Types: both, Complete: true},
			{Name: "name", Kind: extrafields.Text, Types: []string{task}, Indexed: true, Complete: true},
			{Name: "prio", Kind: extrafields.Int, Types: []string{task}, Complete: true},
		}
		if diff := cmp.Diff(want, must[[]persistence.ColumnInfo](t)(s.Columns(ctx))); diff != "" {
			t.Error(diff)
		}
		must[persistence.ID](t)(s.Save(ctx, &File{}))
		other := must[*persistence.Store](t)(open(&persistence.Options{}))
		if diff := cmp.Diff(want, must[[]persistence.ColumnInfo](t)(other.Columns(ctx))); diff != "" {
			t.Errorf("of a store that declares none: %s", diff)
		}
		// A record of another type makes only those columns incomplete that are for it.
		must[persistence.ID](t)(other.Save(ctx, &File{}))
		want[0].Complete, want[1].Complete = false, false
		for _, s := range []*persistence.Store{s, other} {
			if diff := cmp.Diff(want, must[[]persistence.ColumnInfo](t)(s.Columns(ctx))); diff != "" {
				t.Error(diff)
			}
		}
		if err := s.Reindex(ctx, nil); err != nil {
			t.Fatal(err)
		}
		want[0].Complete, want[1].Complete = true, true
		if diff := cmp.Diff(want, must[[]persistence.ColumnInfo](t)(other.Columns(ctx))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAKindThatChangedIsRefusedUntilTheColumnIsDropped(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{nameField, prioField.Indexed()}}))
		var tasks []any
		for i := range 300 {
			tasks = append(tasks, &Task{Name: fmt.Sprint(i), Prio: i})
		}
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, tasks...))
		s.Close()
		text := extrafields.Of("prio", func(t *Task) string { return fmt.Sprintf("p%03d", t.Prio) }).Indexed()
		for range 2 {
			_, err := open(&persistence.Options{ExtraFields: []extrafields.Field{text, nameField}})
			if err == nil {
				t.Fatal("a field of another kind is accepted")
			}
			for _, word := range []string{"prio", "int", "text", `DropField(ctx, "prio")`} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not mention %q: %v", word, err)
				}
			}
		}
		s = must[*persistence.Store](t)(open(&persistence.Options{}))
		wantIs(t, s.DropField(ctx, "nothing"), persistence.ErrNotFound, "nothing")
		wantIs(t, s.DropField(ctx, "state"), persistence.ErrNotFound, "state")
		if err := s.DropField(ctx, "prio"); err != nil {
			t.Fatal(err)
		}
		if infos := must[[]persistence.ColumnInfo](t)(s.Columns(ctx)); len(infos) != 1 || infos[0].Name != "name" || !infos[0].Complete {
			t.Errorf("left are %+v", infos)
		}
		s.Close()
		log := &warningLog{}
		s = must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{text, nameField}, Logger: log.logger()}))
		if log.about("prio") != 1 || log.about("name") != 0 {
			t.Errorf("the warnings are %q", log.text.String())
		}
		query := &persistence.Query{Where: []persistence.Cond{persistence.Eq("prio", "p007")}}
		if n := must[int64](t)(s.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.NotNull("prio")}})); n != 0 {
			t.Errorf("%d values are left of the column that was dropped", n)
		}
		s.Close()
		s = must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{text, nameField}, Reindex: true}))
		if got := list(t, s, query); !slices.Equal(got, ids[7:8]) {
			t.Errorf("found %v, not %v", got, ids[7:8])
		}
		loaded := must[*Task](t)(persistence.Load[Task](ctx, s, ids[7]))
		if loaded.Prio != 7 || must[persistence.Info](t)(s.Stat(ctx, ids[7])).Revision != 1 {
			t.Error("dropping a column changed a record")
		}
	})
}

func TestReindexVisitsTheRecordsThatLackAColumn(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{nameField}}))
		old := must[[]persistence.ID](t)(s.SaveAll(ctx, &Task{Name: "a", Prio: 1}, &Task{Name: "b", Prio: 2}, &File{}))
		wide := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{nameField, prioField}}))
		must[[]persistence.ID](t)(wide.SaveAll(ctx, &Task{Name: "c", Prio: 3}, &Task{Name: "d", Prio: 4}))
		visited := map[string]bool{}
		counting := extrafields.Of("prio", func(t *Task) int { visited[t.Name] = true; return t.Prio })
		third := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{counting}}))
		var done, total int64
		if err := third.Reindex(ctx, func(d, n int64) { done, total = d, n }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]bool{"a": true, "b": true}, visited); diff != "" || done != 2 || total != 2 {
			t.Errorf("%d of %d done: %s", done, total, diff)
		}
		// What others filled stays filled.
		for _, c := range must[[]persistence.ColumnInfo](t)(s.Columns(ctx)) {
			if !c.Complete {
				t.Errorf("%s is incomplete", c.Name)
			}
		}
		if got := list(t, wide, &persistence.Query{Where: []persistence.Cond{persistence.Eq("prio", 2), persistence.Eq("name", "b")}}); !slices.Equal(got, old[1:2]) {
			t.Errorf("found %v", got)
		}
	})
}

// A Stranger is a type that is not registered.
type Stranger struct {
	persistence.Persistable
	Name string
}

func TestReindexWhileOpeningLeavesAloneWhatItCannotLoad(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		field := extrafields.Get("label", extrafields.Text, "Name").Only(&Task{}, &Stranger{})
		s := must[*persistence.Store](t)(open(&persistence.Options{}))
		ids := must[[]persistence.ID](t)(s.SaveAll(ctx, &Task{Name: "x"}, &Stranger{Name: "x"}, &Task{Name: "x"}))
		s.Close()
		hidden := make(map[persistence.ID]bool)
		boom := extrafields.Func("label", extrafields.Text, func(obj any) (any, error) {
			if _, ok := obj.(*Stranger); ok {
				return nil, errors.New("no label")
			}
			return obj.(*Task).Name, nil
		}).Only(&Task{}, &Stranger{})
		log := &warningLog{}
		s = must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{boom}, Reindex: true, Logger: log.logger()}))
		if log.about("label") != 0 {
			t.Errorf("a failing extractor makes NULL, not an incomplete column: %s", log.text.String())
		}
		for _, id := range list(t, s, &persistence.Query{Where: []persistence.Cond{persistence.Eq("label", "x")}}) {
			hidden[id] = true
		}
		if !hidden[ids[0]] || hidden[ids[1]] || !hidden[ids[2]] {
			t.Errorf("found %v", hidden)
		}
		s.Close()
		s = must[*persistence.Store](t)(open(&persistence.Options{}))
		bad := must[persistence.ID](t)(s.Save(ctx, &Task{Name: "y", Any: unreadable("z")}))
		s.Close()
		for range 2 {
			log = &warningLog{}
			s = must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{field}, Reindex: true, Logger: log.logger()}))
			if text := log.text.String(); !strings.Contains(text, "1 of 1 records could not be filled") || log.about("label") != 1 {
				t.Errorf("the warnings are %q", text)
			}
			if info := must[persistence.Info](t)(s.Stat(ctx, bad)); info.Fields["label"] != nil || info.Revision != 1 {
				t.Errorf("%+v", info)
			}
			s.Close()
		}
		log = &warningLog{}
		s = must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{field}, Logger: log.logger()}))
		if err := s.Replace(ctx, bad, &Task{Name: "z"}); err != nil {
			t.Fatal(err)
		}
		if infos := must[[]persistence.ColumnInfo](t)(s.Columns(ctx)); log.about("label") != 1 || !infos[0].Complete {
			t.Errorf("%+v; the warnings are %q", infos, log.text.String())
		}
	})
}

// An unreadable can be stored, and not loaded.
type unreadable string

func (u unreadable) MarshalText() ([]byte, error)     { return []byte(u), nil }
func (u *unreadable) UnmarshalText(text []byte) error { return errors.New("unreadable") }

func init() { persistence.Register[unreadable]("test.unreadable") }

func TestClaimingIsNotFilling(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		narrow := must[*persistence.Store](t)(open(&persistence.Options{}))
		must[persistence.ID](t)(narrow.Save(ctx, &Task{Name: "a", State: "NEW"}))
		wide := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{nameField}}))
		claims, err := wide.Claim(ctx, nil, persistence.ClaimOptions{Owner: "me", Lease: 1e12, State: "RUNNING"})
		if err != nil || len(claims) != 1 {
			t.Fatal(claims, err)
		}
		if infos := must[[]persistence.ColumnInfo](t)(wide.Columns(ctx)); infos[0].Complete {
			t.Errorf("a claim has filled nothing: %+v", infos)
		}
		task := must[*Task](t)(persistence.LoadClaimed[Task](ctx, claims[0]))
		task.Prio = 7
		if err := claims[0].Complete(ctx, task); err != nil {
			t.Fatal(err)
		}
		if infos := must[[]persistence.ColumnInfo](t)(wide.Columns(ctx)); !infos[0].Complete {
			t.Errorf("saving the only record fills the column: %+v", infos)
		}
	})
}

func TestWarningsComeOnce(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		a, b := &warningLog{}, &warningLog{}
		narrow := must[*persistence.Store](t)(open(&persistence.Options{Logger: a.logger()}))
		wide := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{nameField, prioField}, Logger: b.logger()}))
		save := func(s *persistence.Store) { must[persistence.ID](t)(s.Save(ctx, &Task{Name: "x"})) }
		look := func() {
			must[int64](t)(wide.Count(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("name", "x")}}))
			must[[]persistence.Group](t)(wide.CountBy(ctx, "name", nil))
			for _, err := range wide.StatAll(ctx, nil, "name") {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		save(wide)
		look()
		if b.about("name") != 0 {
			t.Fatal("a complete column causes no warning")
		}
		save(narrow)
		must[int64](t)(wide.Count(ctx, nil))
		if b.about("name") != 0 {
			t.Error("a query that does not use the column causes no warning")
		}
		look()
		look()
		if b.about("name") != 1 || b.about("prio") != 0 {
			t.Errorf("one warning for the column is wanted: %s", b.text.String())
		}
		if err := wide.Reindex(ctx, nil); err != nil {
			t.Fatal(err)
		}
		look()
		save(narrow)
		look()
		look()
		if b.about("name") != 2 {
			t.Errorf("one more is wanted after Reindex: %s", b.text.String())
		}
		late := &warningLog{}
		s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{prioField}, Logger: late.logger()}))
		if late.about("name") != 0 || late.about("prio") != 1 {
			t.Errorf("at opening: %s", late.text.String())
		}
		must[persistence.ID](t)(s.Save(ctx, &File{}))
		if late.about("name") != 0 {
			t.Error("the column is not for this type")
		}
		save(s)
		save(s)
		if late.about("name") != 1 {
			t.Errorf("a program that writes past a column is warned once: %s", late.text.String())
		}
	})
}

func TestIDsDefaultToWhatTheStoreHas(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s := must[*persistence.Store](t)(open(&persistence.Options{IDs: idfactory.Sequence("")}))
		id := must[persistence.ID](t)(s.Save(ctx, &Task{Name: "a"}))
		s.Close()
		s = must[*persistence.Store](t)(open(&persistence.Options{}))
		task := must[*Task](t)(persistence.Load[Task](ctx, s, id))
		task.Name = "b"
		must[persistence.ID](t)(s.Save(ctx, task))
		if _, err := s.Save(ctx, &Task{}); err == nil || !strings.Contains(err.Error(), "Options.IDs") {
			t.Errorf("a new object: %v", err)
		}
		if err := s.Insert(ctx, "my own", &Task{Name: "c"}); err != nil {
			t.Error(err)
		}
		if got := list(t, s, &persistence.Query{Where: []persistence.Cond{persistence.Gt("id", id)}}); !slices.Equal(got, []persistence.ID{"my own"}) {
			t.Errorf("found %v", got)
		}
		_, err := open(&persistence.Options{IDs: idfactory.Integers()})
		if err == nil {
			t.Error("integer IDs are accepted in a store that has text")
		}
	})
}

func TestIDsOfANewStoreAreIntegers(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		for range 2 {
			s := must[*persistence.Store](t)(open(&persistence.Options{}))
			if id := must[persistence.ID](t)(s.Save(t.Context(), &Task{})); strings.ContainsFunc(string(id), func(r rune) bool { return r < '0' || r > '9' }) {
				t.Errorf("the ID is %q", id)
			}
			s.Close()
		}
	})
}

func TestNothingIsKnownOfATableMadeByHand(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := storeURL(t, "sqlite")
	db := must[*sql.DB](t)(sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:")))
	defer db.Close()
	must[sql.Result](t)(db.ExecContext(ctx, "CREATE TABLE store (id INTEGER PRIMARY KEY, data BLOB, state TEXT, name TEXT, prio INTEGER)"))
	log := &warningLog{}
	o := persistence.Options{NoCreate: true, ExtraFields: []extrafields.Field{nameField}, Logger: log.logger()}
	s := open(t, url, &o)
	must[persistence.ID](t)(s.Save(ctx, &Task{Name: "a"}))
	want := []persistence.ColumnInfo{{Name: "name", Kind: extrafields.Text, Types: []string{persistence.TypeName[Task]()}, Indexed: true, Complete: true}}
	if diff := cmp.Diff(want, must[[]persistence.ColumnInfo](t)(s.Columns(ctx)), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if err := s.DropField(ctx, "name"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("with NoCreate: %v", err)
	}
	if text := log.text.String(); text != "" {
		t.Errorf("the warnings are %q", text)
	}
	s.Close()
	// When Brine may alter the table it records what is declared, and the record lacks it.
	o.NoCreate = false
	s = open(t, url, &o)
	if log.about("name") != 1 {
		t.Errorf("the warnings are %q", log.text.String())
	}
	if err := s.DropField(ctx, "prio"); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("a column made by hand: %v", err)
	}
	if err := s.Reindex(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if infos := must[[]persistence.ColumnInfo](t)(s.Columns(ctx)); len(infos) != 1 || !infos[0].Complete {
		t.Errorf("%+v", infos)
	}
}

// A Renamed had another name in the program before.
type Renamed struct {
	persistence.Persistable
	Name string
}

func init() { persistence.RegisterAlias[Renamed]("test.WasRenamed") }

func TestColumnsAreForAllNamesOfAType(t *testing.T) {
	t.Parallel()
	field := extrafields.Of("label", func(r *Renamed) string { return r.Name })
	want := []string{persistence.TypeName[Renamed](), "test.WasRenamed"}
	slices.Sort(want)
	s := open(t, "mem:", &persistence.Options{ExtraFields: []extrafields.Field{field}})
	if infos := must[[]persistence.ColumnInfo](t)(s.Columns(t.Context())); !slices.Equal(infos[0].Types, want) {
		t.Errorf("the column is for %v, not %v", infos[0].Types, want)
	}
}
