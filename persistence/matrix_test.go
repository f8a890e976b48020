package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/persistence"
)

// A cell is one kind of change between two versions of a program, A and B, which run in processes
// of their own: A stores an object, B loads it, changes it and saves it, A loads it again.
type cell struct {
	name    string
	refused error // what stops B: its load or its save; nil: nothing
	lost    error // what A's second load ends with; nil: it succeeds
	a, b    func()
	types   [2]reflect.Type
	write   func(ctx context.Context, s *persistence.Store, id persistence.ID) error
	change  func(ctx context.Context, s *persistence.Store, id persistence.ID) error
	again   func(ctx context.Context, s *persistence.Store, id persistence.ID) error
	last    func(ctx context.Context, s *persistence.Store, id persistence.ID) error // B once more; may be nil
}

// evolves makes a cell. stored is what A stores, as often as it is called; change is what B does;
// want changes what A stored to what A is to find.
func evolves[A, B any](name string, stored func() *A, change func(*B), want func(*A)) *cell {
	load := func(ctx context.Context, s *persistence.Store, id persistence.ID, want *A) error {
		got, err := persistence.Load[A](ctx, s, id)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, got, sameData); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	}
	c := &cell{name: name, types: [2]reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B]()}}
	c.a = func() { persistence.Register[A]("matrix." + name) }
	c.b = func() { persistence.Register[B]("matrix." + name) }
	c.write = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
		if err := s.Insert(ctx, id, stored()); err != nil {
			return err
		}
		return load(ctx, s, id, stored())
	}
	c.change = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
		obj, err := persistence.Load[B](ctx, s, id)
		if err != nil {
			return err
		}
		before, err := s.Stat(ctx, id)
		if err != nil {
			return err
		}
		if _, ok := any(obj).(persistence.Object); ok {
			if _, err := s.Save(ctx, obj); err != nil {
				return fmt.Errorf("saving it unchanged: %w", err)
			}
			if after, err := s.Stat(ctx, id); err != nil || after.Revision != before.Revision {
				return fmt.Errorf("saving it unchanged wrote it: revision %d after %d, %w", after.Revision, before.Revision, err)
			}
			change(obj)
			_, err = s.Save(ctx, obj)
			return err
		}
		n, err := s.Update(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", id)}}, func(obj any) error {
			change(obj.(*B))
			return nil
		})
		if err == nil && n != 1 {
			err = fmt.Errorf("%d objects were updated", n)
		}
		return err
	}
	c.again = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
		obj := stored()
		if want != nil {
			want(obj)
		}
		return load(ctx, s, id, obj)
	}
	return c
}

var sameData = cmp.Options{cmpopts.IgnoreTypes(persistence.Persistable{}, persistence.Unknown{}), cmpopts.IgnoreUnexported(persistence.Ref[matrixGone]{})}

func (c *cell) with(f func(*cell)) *cell { f(c); return c }

func refused(err error) func(*cell) { return func(c *cell) { c.refused = err } }

type (
	matrixDep struct {
		persistence.Persistable
		Name string
	}
	matrixGone struct {
		persistence.Persistable
		Name string
	}
	matrixPart struct {
		Name, Note string
		Dep        *matrixDep
	}
	matrixThin struct{ Name string }
	matrixElem struct {
		persistence.Unknown
		Name, Note string
	}
	matrixElemThin struct {
		persistence.Unknown
		Name string
	}
	matrixBlank struct{}
	matrixOmits struct {
		Part matrixPart `msgpack:",omitempty"`
	}
	matrixOmitsThin struct {
		Part matrixThin `msgpack:",omitempty"`
	}
	matrixCircle struct{ R, Note float64 }
	matrixRound  struct{ R float64 }
	matrixColor  string

	matrixV1 struct {
		persistence.Persistable
		First, Last string
		Dep         *matrixDep
	}
	matrixV2 struct {
		persistence.Persistable
		Full string
		Deps []*matrixDep
	}
)

func (*matrixV2) RecordVersion() int { return 2 }

func (*matrixV2) UpgradeRecord(from int, fields map[string]any) error {
	if from != 0 {
		return fmt.Errorf("from version %d", from)
	}
	fields["Full"] = fields["First"].(string) + " " + fields["Last"].(string)
	fields["Deps"] = []any{fields["Dep"]}
	delete(fields, "First")
	delete(fields, "Last")
	delete(fields, "Dep")
	return nil
}

func matrix() []*cell {
	type (
		P = persistence.Persistable

		one struct {
			P
			Name string
			N    int
		}
		more struct {
			P
			Name, Extra string
			Sub         *matrixPart
			N           int
		}
		deep struct {
			P
			Name string
			Dep  *matrixGone
			Lazy persistence.Ref[matrixGone]
			Any  any
			Some []any
		}
		less    struct{ P }
		renamed struct {
			P
			Title string `msgpack:"Title,alias:Name"`
			N     int
		}
		float struct {
			P
			Name string
			N    float64
		}
		text struct {
			P
			Name string
			N    string
		}
		host struct {
			P
			Host string
			Port int
		}
		nested struct {
			P
			Net  struct{ Host string }
			Port int
		}
		pointer struct {
			P
			Part *matrixPart
		}
		pointerThin struct {
			P
			Part *matrixThin
		}
		value struct {
			P
			Part matrixPart
		}
		valueThin struct {
			P
			Part matrixThin
		}
		slice struct {
			P
			Part []matrixPart
		}
		sliceThin struct {
			P
			Part []matrixThin
		}
		pointers struct {
			P
			Part []*matrixPart
		}
		pointersThin struct {
			P
			Part []*matrixThin
		}
		elems struct {
			P
			Part []matrixElem
		}
		elemsThin struct {
			P
			Part []matrixElemThin
		}
		entries struct {
			P
			Part map[string]matrixPart
		}
		entriesThin struct {
			P
			Part map[string]matrixThin
		}
		byName struct {
			P
			M map[string]int
		}
		byInt struct {
			P
			M map[int]int
		}
		byInt64 struct {
			P
			M map[int64]int64
		}
		boxed struct {
			P
			Shape any
			N     int
		}
		colored struct {
			P
			Name matrixColor
			N    int8
		}
		two struct {
			P
			First, Second *matrixPart
		}
		twoValues struct {
			P
			First matrixThin
		}
		parts struct {
			P
			N             int
			First, Second matrixPart
			Third, Fourth *matrixPart
			Fifth         map[string]matrixPart
		}
		partsBlank struct {
			P
			N             int
			First, Second matrixBlank
			Third, Fourth *matrixBlank
			Fifth         map[string]matrixBlank
		}
		omits struct {
			P
			N int
			M map[string]matrixOmits
		}
		omitsThin struct {
			P
			N int
			M map[string]matrixOmitsThin
		}
		twoParts struct {
			P
			First, Second matrixPart
		}
		twoPartsThin struct {
			P
			First, Second matrixThin
		}
		twoMaps struct {
			P
			First, Second map[string]matrixPart
		}
		twoMapsThin struct {
			P
			First, Second map[string]matrixThin
		}
		Base     struct{ Name string }
		embedded struct {
			P
			Base
			N int
		}
		plain struct {
			Name, Note string
			Dep        *matrixDep
		}
		plainThin struct{ Name string }
	)
	dep := func() *matrixDep { return &matrixDep{Name: "dep"} }
	part := func() matrixPart { return matrixPart{"p", "note", dep()} }
	null := func() *pointer { return &pointer{} }
	nothing := func(*one) {}
	return []*cell{
		evolves("a field added", func() *one { return &one{Name: "a", N: 1} },
			func(b *more) { b.Extra, b.N = "new", 2 }, func(a *one) { a.N = 2 }),
		evolves("fields removed", func() *more { p := part(); return &more{Name: "a", Extra: "x", Sub: &p, N: 1} },
			func(b *one) { b.N = 2 }, func(a *more) { a.N = 2 }),
		evolves("all fields and a type removed", func() *deep {
			d := &matrixGone{Name: "gone"}
			return &deep{Name: "a", Dep: d, Lazy: persistence.RefTo(d), Any: matrixCircle{1, 2}, Some: []any{d, map[string]any{"x": d}}}
		}, func(b *less) {}, func(a *deep) {}).with(func(c *cell) {
			a := c.a
			c.a = func() {
				a()
				persistence.Register[matrixCircle]("matrix.circle")
				persistence.Register[matrixGone]("matrix.gone")
			}
		}),
		evolves("a field renamed", func() *one { return &one{Name: "a", N: 1} },
			func(b *renamed) { b.N = 2 }, func(a *one) { a.Name, a.N = "", 2 }).with(func(c *cell) {
			again := c.again
			c.again = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
				if err := again(ctx, s, id); err != nil {
					return err
				}
				return mustChange(ctx, s, id, func(a *one) { a.N = 3 })
			}
			c.last = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
				b, err := persistence.Load[renamed](ctx, s, id)
				if err == nil && (b.Title != "a" || b.N != 3) {
					err = fmt.Errorf("got %q, %d", b.Title, b.N)
				}
				return err
			}
		}),
		evolves("an integer becomes a float", func() *one { return &one{Name: "a", N: 1} },
			func(b *float) { b.N++ }, func(a *one) { a.N = 2 }),
		evolves("a float becomes an integer", func() *float { return &float{Name: "a", N: 1} },
			func(b *one) { b.N++ }, func(a *float) { a.N = 2 }),
		evolves("a float that is none", func() *float { return &float{Name: "a", N: 1.5} },
			nothing, nil).with(refused(persistence.ErrType)),
		evolves("an integer becomes a text", func() *one { return &one{Name: "a", N: 1} },
			func(b *text) { b.N = "2" }, nil).with(refused(persistence.ErrType)),
		evolves("a text becomes an integer", func() *text { return &text{Name: "a", N: "1"} },
			nothing, nil).with(refused(persistence.ErrType)),
		evolves("a field moved into a struct", func() *host { return &host{Host: "h", Port: 1} },
			func(b *nested) { b.Net.Host, b.Port = "new", 2 }, func(a *host) { a.Port = 2 }),
		evolves("a field moved out of a struct", func() *nested { n := &nested{Port: 1}; n.Net.Host = "h"; return n },
			func(b *host) { b.Host, b.Port = "new", 2 }, func(a *nested) { a.Port = 2 }),
		evolves("a pointer becomes a value", func() *pointer { p := part(); return &pointer{Part: &p} },
			func(b *valueThin) { b.Part.Name = "new" }, func(a *pointer) { a.Part.Name = "new" }),
		evolves("a nil pointer becomes a value", null, func(*valueThin) {}, nil).with(refused(persistence.ErrType)),
		evolves("a value becomes a pointer", func() *value { return &value{Part: part()} },
			func(b *pointerThin) { b.Part.Name = "new" }, func(a *value) { a.Part.Name = "new" }),
		evolves("a value becomes a slice of one", func() *value { return &value{Part: part()} },
			func(b *slice) { b.Part[0].Name = "new" }, func(a *value) { a.Part.Name = "new" }),
		evolves("a pointer becomes a slice of one", func() *pointer { p := part(); return &pointer{Part: &p} },
			func(b *pointers) { b.Part[0].Name = "new" }, func(a *pointer) { a.Part.Name = "new" }),
		evolves("a pointer becomes a slice of two", func() *pointer { p := part(); return &pointer{Part: &p} },
			func(b *pointers) { b.Part = append(b.Part, b.Part[0]) }, nil).with(func(c *cell) { c.lost = persistence.ErrType }),
		evolves("a slice of one becomes a pointer", func() *pointers { p := part(); return &pointers{Part: []*matrixPart{&p}} },
			func(b *pointer) { b.Part.Name = "new" }, func(a *pointers) { a.Part[0].Name = "new" }),
		evolves("a slice of two becomes a pointer", func() *pointers { p := part(); return &pointers{Part: []*matrixPart{&p, &p}} },
			func(b *pointer) { b.Part.Name = "new" }, nil).with(refused(persistence.ErrType)),
		evolves("elements lack a field", func() *slice { return &slice{Part: []matrixPart{part(), {Name: "q", Note: "other"}}} },
			func(b *sliceThin) { slices.Reverse(b.Part) }, nil).with(refused(persistence.ErrUnstorable)),
		evolves("elements that keep it are sorted", func() *elems {
			return &elems{Part: []matrixElem{{Name: "1", Note: "one"}, {Name: "2", Note: "two"}}}
		}, func(b *elemsThin) {
			slices.Reverse(b.Part)
			b.Part[0].Name = "second"
			b.Part = append(b.Part, matrixElemThin{Name: "3"})
		}, func(a *elems) {
			a.Part = []matrixElem{{Name: "second", Note: "two"}, {Name: "1", Note: "one"}, {Name: "3"}}
		}),
		evolves("pointers are sorted", func() *pointers {
			p, q := part(), matrixPart{Name: "q", Note: "other"}
			return &pointers{Part: []*matrixPart{&p, &q}}
		}, func(b *pointersThin) { slices.Reverse(b.Part); b.Part[0].Name = "Q" }, func(a *pointers) { slices.Reverse(a.Part); a.Part[0].Name = "Q" }),
		evolves("all fields of structs removed", func() *parts {
			return &parts{N: 1, First: part(), Second: matrixPart{Name: "2"}, Third: &matrixPart{Name: "3"}, Fourth: &matrixPart{Name: "4"},
				Fifth: map[string]matrixPart{"a": {Name: "5"}, "b": {Name: "6"}}}
		}, func(b *partsBlank) { b.N = 2 }, func(a *parts) { a.N = 2 }),
		evolves("an empty struct in an entry of a map", func() *omits {
			return &omits{N: 1, M: map[string]matrixOmits{"a": {matrixPart{Note: "note"}}, "b": {}}}
		}, func(b *omitsThin) { b.N = 2 }, func(a *omits) { a.N = 2 }),
		evolves("maps are exchanged", func() *twoMaps {
			return &twoMaps{First: map[string]matrixPart{"k": {Name: "1", Note: "one"}}, Second: map[string]matrixPart{"k": {Name: "2", Note: "two"}}}
		}, func(b *twoMapsThin) { b.First, b.Second = b.Second, b.First }, func(a *twoMaps) { a.First, a.Second = a.Second, a.First }),
		evolves("structs by value are exchanged", func() *twoParts {
			return &twoParts{First: matrixPart{Name: "one", Note: "1"}, Second: matrixPart{Name: "two", Note: "2"}}
		}, func(b *twoPartsThin) { b.First, b.Second = b.Second, b.First }, nil).with(refused(persistence.ErrUnstorable)),
		evolves("a shared pointer becomes a value", func() *two { p := part(); return &two{First: &p, Second: &p} },
			func(b *twoValues) { b.First.Name = "new" }, nil).with(refused(persistence.ErrUnstorable)),
		evolves("entries of a map", func() *entries {
			return &entries{Part: map[string]matrixPart{"a": part(), "b": {Name: "b", Note: "other"}}}
		}, func(b *entriesThin) { b.Part = map[string]matrixThin{"a": {"A"}, "c": {"C"}} },
			func(a *entries) {
				p := a.Part["a"]
				p.Name = "A"
				a.Part = map[string]matrixPart{"a": p, "c": {Name: "C"}}
			}),
		evolves("keys of another kind", func() *byName { return &byName{M: map[string]int{"1": 1}} },
			func(b *byInt) { b.M[1] = 2 }, nil).with(refused(persistence.ErrType)),
		evolves("keys of another size", func() *byInt { return &byInt{M: map[int]int{1: 1, -5: 2}} },
			func(b *byInt64) { b.M[-5] = 3 }, func(a *byInt) { a.M[-5] = 3 }),
		evolves("a type renamed", func() *one { return &one{Name: "a", N: 1} },
			func(b *more) { b.N = 2 }, nil).with(func(c *cell) {
			c.b = func() {
				persistence.Register[more]("matrix.renamed")
				persistence.RegisterAlias[more]("matrix." + c.name)
			}
			change := c.change
			c.change = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
				if found := countAll[more](ctx, s); found != 1 {
					return fmt.Errorf("a query found %d", found)
				}
				return change(ctx, s, id)
			}
			c.lost = persistence.ErrUnknownType
			c.last = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
				b, err := persistence.Load[more](ctx, s, id)
				if err == nil && (b.Name != "a" || b.N != 2 || countAll[more](ctx, s) != 1) {
					err = fmt.Errorf("got %q, %d, %d", b.Name, b.N, countAll[more](ctx, s))
				}
				return err
			}
		}),
		evolves("a type renamed without an alias", func() *one { return &one{Name: "a", N: 1} },
			func(b *more) { b.N = 2 }, nil).with(func(c *cell) {
			c.b = func() {}
			c.refused = persistence.ErrUnknownType
		}),
		evolves("what an interface holds is renamed", func() *boxed { return &boxed{Shape: matrixCircle{1, 2}, N: 1} },
			func(b *boxed) { b.Shape = matrixRound{5} }, func(a *boxed) { a.Shape = matrixCircle{5, 2} }).with(func(c *cell) {
			a, b := c.a, c.b
			c.a = func() {
				a()
				persistence.Register[matrixCircle]("matrix.circle")
				persistence.RegisterAlias[matrixCircle]("matrix.round")
			}
			c.b = func() {
				b()
				persistence.Register[matrixRound]("matrix.round")
				persistence.RegisterAlias[matrixRound]("matrix.circle")
			}
		}),
		evolves("what an interface holds is gone", func() *boxed { return &boxed{Shape: make([]matrixColor, 1), N: 1} },
			func(b *boxed) { b.N = 2 }, nil).with(func(c *cell) {
			a := c.a
			c.a = func() { a(); persistence.Register[matrixColor]("matrix.color") }
			c.refused = persistence.ErrUnknownType
		}),
		evolves("named kinds", func() *one { return &one{Name: "red", N: 1} },
			func(b *colored) { b.Name, b.N = "green", 2 }, func(a *one) { a.Name, a.N = "green", 2 }),
		evolves("a number that does not fit", func() *one { return &one{Name: "red", N: 128} },
			func(b *colored) { b.Name = "green" }, nil).with(refused(persistence.ErrType)),
		evolves("a struct embedded", func() *one { return &one{Name: "a", N: 1} },
			func(b *embedded) { b.Name, b.N = "b", 2 }, func(a *one) { a.Name, a.N = "b", 2 }),
		evolves("a struct no longer embedded", func() *embedded { return &embedded{Base: Base{"a"}, N: 1} },
			func(b *one) { b.Name, b.N = "b", 2 }, func(a *embedded) { a.Name, a.N = "b", 2 }),
		evolves("a new version", func() *matrixV1 { return &matrixV1{First: "Ada", Last: "L", Dep: dep()} },
			func(b *matrixV2) { b.Full += "!" }, nil).with(func(c *cell) {
			// A finds a record that is newer, loads what it knows of it, and cannot save it
			// changed.
			c.again = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
				a, err := persistence.Load[matrixV1](ctx, s, id)
				if err != nil || a.First != "" {
					return fmt.Errorf("got %q, %w", a.First, err)
				}
				if _, err := s.Save(ctx, a); err != nil {
					return fmt.Errorf("unchanged: %w", err)
				}
				a.First = "Charles"
				if _, err := s.Save(ctx, a); !errors.Is(err, persistence.ErrUnstorable) || !strings.Contains(err.Error(), "version 2") {
					return fmt.Errorf("a changed one: %w", err)
				}
				return nil
			}
			c.last = func(ctx context.Context, s *persistence.Store, id persistence.ID) error {
				b, err := persistence.Load[matrixV2](ctx, s, id)
				if err == nil && (b.Full != "Ada L!" || len(b.Deps) != 1 || b.Deps[0].Name != "dep") {
					err = fmt.Errorf("got %+v", b)
				}
				return err
			}
		}),
		evolves("plain values", func() *plain { return &plain{Name: "a", Note: "note", Dep: dep()} },
			func(b *plainThin) { b.Name = "b" }, func(a *plain) { a.Name = "b" }),
	}
}

func mustChange[T any](ctx context.Context, s *persistence.Store, id persistence.ID, change func(*T)) error {
	obj, err := persistence.Load[T](ctx, s, id)
	if err != nil {
		return err
	}
	change(obj)
	_, err = s.Save(ctx, obj)
	return err
}

func countAll[T any](ctx context.Context, s *persistence.Store) int {
	n := 0
	for _, err := range persistence.All[T](ctx, s, nil) {
		if err == nil {
			n++
		}
	}
	return n
}

// batches divides the cells so that no program has one type in two of them: a type has one name.
func batches(cells []*cell) (all [][]*cell) {
next:
	for _, c := range cells {
		for i, batch := range all {
			if !slices.ContainsFunc(batch, func(o *cell) bool { return o.types[0] == c.types[0] || o.types[1] == c.types[1] }) {
				all[i] = append(batch, c)
				continue next
			}
		}
		all = append(all, []*cell{c})
	}
	return all
}

// matrixStep is a process of the matrix: one step of the cells of a batch. It prints what is wrong.
func matrixStep(ctx context.Context, s *persistence.Store) error {
	step := os.Getenv("BRINE_TEST_STEP")
	batch, err := strconv.Atoi(os.Getenv("BRINE_TEST_BATCH"))
	if err != nil {
		return err
	}
	cells := batches(matrix())[batch]
	persistence.Register[matrixDep]("matrix.dep")
	for _, c := range cells {
		if step == "write" || step == "again" {
			c.a()
		} else {
			c.b()
		}
	}
	for i, c := range cells {
		id := persistence.ID(strconv.Itoa(1000 - i)) // those given to others are higher
		var err error
		switch step {
		case "write":
			err = c.write(ctx, s, id)
		case "change":
			if err = c.change(ctx, s, id); c.refused != nil && errors.Is(err, c.refused) {
				err = nil
			} else if c.refused != nil {
				err = fmt.Errorf("got error %w, want %w", err, c.refused)
			}
		case "again":
			if err = c.again(ctx, s, id); c.lost != nil && errors.Is(err, c.lost) {
				err = nil
			} else if c.lost != nil {
				err = fmt.Errorf("got error %w, want %w", err, c.lost)
			}
		case "last":
			if c.last != nil {
				err = c.last(ctx, s, id)
			}
		}
		if err != nil {
			fmt.Printf("%s: %v\n", c.name, err)
		}
	}
	return nil
}

// No version of a program destroys what another one stored: it is there, or there was an error
// before anything was written.
func TestVersionsOfAProgramDestroyNothing(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"fs", "sqlite", "postgres", "mariadb"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			n := len(batches(matrix()))
			if backend == "postgres" || backend == "mariadb" {
				n = 2 // a sample: the records are the same on every backend
			}
			for batch := range n {
				if testing.Short() && (backend == "fs") == (batch%2 == 0) {
					continue // each on one of the two
				}
				url := storeURL(t, backend)
				for _, step := range []string{"write", "change", "again", "last"} {
					cmd := exec.Command(os.Args[0])
					cmd.Env = append(os.Environ(), "BRINE_TEST_CHILD=matrix", "BRINE_TEST_URL="+url,
						"BRINE_TEST_STEP="+step, "BRINE_TEST_BATCH="+strconv.Itoa(batch))
					out, err := cmd.CombinedOutput()
					if len(out) > 0 || err != nil {
						t.Errorf("batch %d, %s: %v\n%s", batch, step, err, out)
					}
				}
			}
		})
	}
}
