package persistence_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// A Hooked holds what cannot be stored.
type Hooked struct {
	persistence.Persistable
	Hooks map[string]func()
	Done  chan int
	Any   map[string]any
}

// An Nameless is known under no name.
type Nameless struct{ N int }

// A Held is a persistable object that is referred to by value.
type Held struct {
	persistence.Persistable
	Task Task
}

// A bench has what a mistake is made with.
type bench struct {
	t     *testing.T
	ctx   context.Context
	dir   string
	store *persistence.Store // of integer IDs, in SQLite, with the field "host"
	other *persistence.Store // the same again: another program
	id    persistence.ID     // of a Task in store
}

func (b *bench) save(objs ...any) error {
	_, err := b.store.SaveAll(b.ctx, objs...)
	return err
}

func (b *bench) load() *Task {
	task, err := persistence.Load[Task](b.ctx, b.store, b.id)
	if err != nil {
		b.t.Fatal(err)
	}
	return task
}

// change saves the task in another store of the same data.
func (b *bench) change() {
	task, err := persistence.Load[Task](b.ctx, b.other, b.id)
	if err != nil {
		b.t.Fatal(err)
	}
	task.Name += "!"
	must[persistence.ID](b.t)(b.other.Save(b.ctx, task))
}

func (b *bench) query(conds ...persistence.Cond) error {
	_, err := b.store.Count(b.ctx, &persistence.Query{Where: conds})
	return err
}

func (b *bench) claim(s *persistence.Store, lease time.Duration) (*persistence.Claim, error) {
	claims, err := s.Claim(b.ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", b.id)}}, persistence.ClaimOptions{Owner: "me", Lease: lease})
	if len(claims) == 0 {
		return nil, err
	}
	return claims[0], err
}

func (b *bench) open(url string, o *persistence.Options) error {
	s, err := persistence.MakeStore(b.ctx, url, o)
	if err == nil {
		b.t.Cleanup(func() { _ = s.Close() })
	}
	return err
}

func taskIDs() idfactory.Factory { return idfactory.Sequence("Task") }

// mistakes are what people do wrong. The message of each says what is wrong with what, and what to
// do: want is what it must say, and not what would send people the wrong way.
var mistakes = []struct {
	name string
	make func(b *bench) error
	want []string
	not  []string
}{
	{"an object that another program has changed", func(b *bench) error {
		task := b.load()
		b.change()
		task.Name = "mine"
		return b.save(task)
	}, []string{"save", "revision 2", "revision 1", "load it again"}, []string{"removed"}},
	{"an object that another program has removed", func(b *bench) error {
		task := b.load()
		check(b.t, b.other.Remove(b.ctx, b.id))
		task.Name = "mine"
		return b.save(task)
	}, []string{"record was removed", "Insert"}, []string{"revision 0", "load it again"}},
	{"an unchanged object that another program has removed", func(b *bench) error {
		task := b.load()
		check(b.t, b.other.Remove(b.ctx, b.id))
		return b.save(task)
	}, []string{"record was removed", "Insert"}, []string{"revision 0", "load it again"}},
	{"a save in a store opened for reading only", func(b *bench) error {
		url := "sqlite:" + filepath.Join(b.dir, "ro.db")
		check(b.t, b.open(url, nil))
		return open(b.t, url+"?mode=ro", nil).Replace(b.ctx, "1", &Task{})
	}, []string{`replace "1"`, "read-only", "Options.ReadOnly", "mode=ro"}, []string{"permission", "not found"}},
	{"a store that is not there, for reading only", func(b *bench) error {
		return b.open("sqlite:"+filepath.Join(b.dir, "none.db")+"?mode=ro", nil)
	}, []string{"none.db", "nothing may be created"}, []string{"permission"}},
	{"an unknown mode", func(b *bench) error { return b.open("sqlite:"+filepath.Join(b.dir, "x.db")+"?mode=rwc", nil) },
		[]string{`"rwc"`, "ro", "rw"}, nil},
	{"SQLite's own parameter for reading only", func(b *bench) error {
		return b.open("sqlite:"+filepath.Join(b.dir, "x.db")+"?immutable=1", nil)
	}, []string{`"immutable"`, "mode=ro"}, nil},
	{"reindexing while opening for reading only", func(b *bench) error {
		return b.open("sqlite:"+filepath.Join(b.dir, "x.db"), &persistence.Options{ReadOnly: true, Reindex: true})
	}, []string{"ReadOnly", "Reindex"}, nil},
	{"a record that is not there", func(b *bench) error { _, err := b.store.Load(b.ctx, "99"); return err },
		[]string{`load "99"`, "record not found"}, nil},
	{"a text ID in a store of integer IDs", func(b *bench) error { return b.store.Insert(b.ctx, "task-1", &Task{}) },
		[]string{`"task-1"`, "integer", "Options.IDs"}, nil},
	{"a text ID in a query of a store of integer IDs", func(b *bench) error { return b.query(persistence.Eq("id", "task-1")) },
		[]string{`"task-1"`, "integer"}, nil},
	{"a factory of texts for a store of integer IDs", func(b *bench) error {
		return b.open("sqlite:"+filepath.Join(b.dir, "x.db"), &persistence.Options{IDs: taskIDs()})
	}, []string{"integer", "Options.IDs"}, nil},
	{"a new object in a store of text IDs", func(b *bench) error {
		url := "sqlite:" + filepath.Join(b.dir, "text.db")
		check(b.t, b.open(url, &persistence.Options{IDs: taskIDs()}))
		s := open(b.t, url, nil)
		_, err := s.Save(b.ctx, &Task{})
		return err
	}, []string{"*persistence_test.Task", "Options.IDs"}, nil},
	{"an ID that is taken", func(b *bench) error { return b.store.Insert(b.ctx, b.id, &Task{}) },
		[]string{`"1"`, "record exists already"}, nil},
	{"an empty ID", func(b *bench) error { return b.store.Insert(b.ctx, "", &Task{}) }, []string{"empty"}, nil},

	{"an unknown column", func(b *bench) error { return b.query(persistence.Eq("hots", "a")) },
		[]string{`unknown column "hots"`, `did you mean "host"?`, "type", "state", "created", "host"}, nil},
	{"an unknown column that is like none", func(b *bench) error { return b.query(persistence.Eq("priority", 1)) },
		[]string{`unknown column "priority"`, "type", "host", "ExtraFields"}, []string{"did you mean"}},
	{"an unknown column of an order", func(b *bench) error {
		for _, err := range b.store.List(b.ctx, &persistence.Query{Order: []persistence.Order{persistence.Asc("prio")}}) {
			return err
		}
		return nil
	}, []string{`unknown column "prio"`, "host"}, nil},
	{"an unknown column of CountBy", func(b *bench) error { _, err := b.store.CountBy(b.ctx, "prio", nil); return err },
		[]string{`unknown column "prio"`, "host"}, nil},
	{"a value of the wrong kind", func(b *bench) error { return b.query(persistence.Eq("host", 1)) },
		[]string{`"host"`, "text", "int"}, nil},
	{"an empty condition", func(b *bench) error { return b.query(persistence.Cond{}) }, []string{"Eq"}, nil},

	{"a func in a map", func(b *bench) error { return b.save(&Hooked{Hooks: map[string]func(){"a": func() {}}}) },
		[]string{"Hooked.Hooks", "func()", `msgpack:"-"`}, []string{"Register"}},
	{"a func behind an interface in a map", func(b *bench) error { return b.save(&Hooked{Any: map[string]any{"a": func() {}}}) },
		[]string{"Hooked.Any", "func()", `msgpack:"-"`}, []string{"Register"}},
	{"a channel", func(b *bench) error { return b.save(&Hooked{Done: make(chan int)}) },
		[]string{"Hooked.Done", "chan int", `msgpack:"-"`}, []string{"Register"}},
	{"a channel behind an interface", func(b *bench) error { return b.save(&Hooked{Any: map[string]any{"a": make(chan int)}}) },
		[]string{"Hooked.Any", "chan int", `msgpack:"-"`}, []string{"Register"}},
	{"an unregistered type behind an interface", func(b *bench) error { return b.save(&Hooked{Any: map[string]any{"a": Nameless{}}}) },
		[]string{"Hooked.Any", "persistence_test.Nameless", "Register"}, []string{`msgpack:"-"`}},
	{"a persistable object held by value", func(b *bench) error { return b.save(&Held{}) },
		[]string{"Held.Task", "pointer"}, nil},
	{"a persistable object saved by value", func(b *bench) error { return b.save(Task{}) }, []string{"Task", "pointer"}, nil},
	{"nothing", func(b *bench) error { return b.save(nil) }, []string{"nil"}, nil},
	{"a nil pointer", func(b *bench) error { return b.save((*Task)(nil)) }, []string{"nil", "Task"}, nil},

	{"an object of another type", func(b *bench) error { _, err := persistence.Load[Hooked](b.ctx, b.store, b.id); return err },
		[]string{"Task", "Hooked"}, nil},
	{"the type of a record that no program has registered", func(b *bench) error {
		_, err := b.store.Save(b.ctx, &Nameless{})
		check(b.t, err)
		_, err = b.store.Load(b.ctx, "2")
		return err
	}, []string{"persistence_test.Nameless", "Register["}, nil},

	{"a claim that has been lost", func(b *bench) error {
		c, err := b.claim(b.store, time.Millisecond)
		check(b.t, err)
		time.Sleep(5 * time.Millisecond)
		must[*persistence.Claim](b.t)(b.claim(b.other, time.Hour))
		return c.Extend(b.ctx, time.Minute)
	}, []string{`"1"`, "the claim is over"}, []string{"load it again"}},
	{"a claim that saves under an ID that is taken", func(b *bench) error {
		s := open(b.t, "sqlite:"+filepath.Join(b.dir, "text.db"), &persistence.Options{IDs: idfactory.Func(func(_ context.Context, obj any) (persistence.ID, error) {
			return persistence.ID(obj.(*Task).Name), nil
		})})
		must[[]persistence.ID](b.t)(s.SaveAll(b.ctx, &Task{Name: "a"}, &Task{Name: "b"}))
		claims := must[[]*persistence.Claim](b.t)(s.Claim(b.ctx, nil, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 1}))
		task := must[*Task](b.t)(persistence.LoadClaimed[Task](b.ctx, claims[0]))
		task.Deps = append(task.Deps, &Task{Name: "b"})
		return claims[0].Complete(b.ctx, task, task.Deps[0])
	}, []string{`"b"`, "record exists already"}, nil},
	{"a claim without an owner", func(b *bench) error {
		_, err := b.store.Claim(b.ctx, nil, persistence.ClaimOptions{Lease: time.Hour})
		return err
	}, []string{"Owner"}, nil},
	{"a claim without a lease", func(b *bench) error {
		_, err := b.store.Claim(b.ctx, nil, persistence.ClaimOptions{Owner: "me"})
		return err
	}, []string{"lease"}, nil},

	{"a call between PreFork and PostFork", func(b *bench) error {
		check(b.t, b.store.PreFork())
		defer func() { check(b.t, b.store.PostFork()) }()
		ctx, cancel := context.WithTimeout(b.ctx, 10*time.Millisecond)
		defer cancel()
		_, err := b.store.Load(ctx, b.id)
		return err
	}, []string{"PostFork", "deadline"}, nil},
	{"a store that is closed", func(b *bench) error {
		check(b.t, b.other.Close())
		_, err := b.other.Load(b.ctx, b.id)
		return err
	}, []string{"closed"}, nil},

	{"a file that is no database", func(b *bench) error {
		path := filepath.Join(b.dir, "notes.db")
		check(b.t, os.WriteFile(path, []byte(strings.Repeat("no database\n", 100)), 0o600))
		return b.open("sqlite:"+path, nil)
	}, []string{"notes.db", "not a SQLite database"}, nil},
	{"a directory as a database", func(b *bench) error { return b.open("sqlite:"+b.dir, nil) }, []string{"is a", "file:"}, nil},
	{"a file as a directory", func(b *bench) error {
		return b.open("file:"+filepath.Join(b.dir, "x.db"), nil)
	}, []string{"x.db", "is a file", "sqlite:"}, nil},
	{"a store that must be there and is not", func(b *bench) error {
		return b.open("sqlite:"+filepath.Join(b.dir, "none.db"), &persistence.Options{NoCreate: true})
	}, []string{"none.db", "nothing may be created"}, nil},
	{"a table that must be there and is not", func(b *bench) error {
		return b.open("sqlite:"+filepath.Join(b.dir, "x.db")+"#table=none", &persistence.Options{NoCreate: true})
	}, []string{`no table "none"`, "nothing may be created"}, nil},
	{"a field of another kind", func(b *bench) error {
		return b.open("sqlite:"+filepath.Join(b.dir, "x.db"), &persistence.Options{ExtraFields: []extrafields.Field{extrafields.Get("host", extrafields.Int, "Prio")}})
	}, []string{"host", "text", "int", "DropField"}, nil},
	{"a field twice", func(b *bench) error {
		f := extrafields.Get("a", extrafields.Int, "Prio")
		return b.open("mem:", &persistence.Options{ExtraFields: []extrafields.Field{f, f}})
	}, []string{`"a" is given twice`}, nil},
	{"a server that is not there", func(b *bench) error {
		return b.open("postgres://me:S3CRET@127.0.0.1:1/db", nil)
	}, []string{"(postgres://me:xxxxx@127.0.0.1:1/db): connecting", "refused"}, []string{"S3CRET"}},
	{"a pair that is not there", func(b *bench) error { _, err := b.store.KV().Get(b.ctx, "none"); return err },
		[]string{`"none"`, "not found"}, nil},
	{"300 objects that cannot be stored", func(b *bench) error {
		var objs []any
		for range 300 {
			objs = append(objs, &Hooked{Done: make(chan int)})
		}
		return b.save(objs...)
	}, []string{"Hooked.Done"}, []string{"\n"}},
	{"300 records that cannot be read", func(b *bench) error {
		for range 299 {
			must[persistence.ID](b.t)(b.store.Save(b.ctx, &Task{}))
		}
		must[sql.Result](b.t)(rawSQLite(b.t, filepath.Join(b.dir, "x.db")).Exec("UPDATE store SET data = 'x'"))
		_, err := persistence.Update(b.ctx, b.store, nil, func(*Task) error { return nil })
		return err
	}, []string{`record "1"`, "corrupt", "299 more"}, []string{`"300"`}},
}

// Each mistake gets one line that says what is wrong with what, and the URL at most once.
func TestMessagesOfMistakes(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			url := "sqlite:" + filepath.Join(dir, "x.db")
			o := &persistence.Options{ExtraFields: []extrafields.Field{extrafields.Get("host", extrafields.Text, "Name").Only(Task{})}}
			b := &bench{t: t, ctx: t.Context(), dir: dir, store: open(t, url, o), other: open(t, url, o)}
			b.id = must[persistence.ID](t)(b.store.Save(b.ctx, &Task{Name: "a"}))
			err := m.make(b)
			if err == nil {
				t.Fatal("no error")
			}
			text := err.Error()
			if os.Getenv("BRINE_SHOW") != "" {
				fmt.Printf("%s:\n    %.600s\n", m.name, strings.ReplaceAll(text, dir, "DIR"))
			}
			for _, want := range m.want {
				if !strings.Contains(text, want) {
					t.Errorf("%.300q does not say %q", text, want)
				}
			}
			for _, not := range append(m.not, "\n") {
				if strings.Contains(text, not) {
					t.Errorf("%.300q says %q", text, not)
				}
			}
			if n := strings.Count(text, "x.db"); n > 1 {
				t.Errorf("the URL %d times: %s", n, text)
			}
			if len(text) > 700 {
				t.Errorf("%d bytes: %.1000s…", len(text), text)
			}
		})
	}
}

// The typed functions say that a store is nil.
func TestNilStorePanicsClearly(t *testing.T) {
	var s *persistence.Store
	for name, call := range map[string]func(){
		"Load": func() { _, _ = persistence.Load[Task](t.Context(), s, "1") },
		"All": func() {
			for range persistence.All[Task](t.Context(), s, nil) {
				break
			}
		},
		"Update": func() { _, _ = persistence.Update(t.Context(), s, nil, func(*Task) error { return nil }) },
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, "the *Store is nil") {
					t.Errorf("%s: panic %s", name, p)
				}
			}()
			call()
		}()
	}
}
