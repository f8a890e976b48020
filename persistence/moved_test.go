package persistence_test

import (
	"context"
	stdsql "database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// A storage is the file, directory or database of a store, to which someone does something while
// the store is open.
type storage struct {
	url string
	at  string // the file or directory; "" on servers
	// do does what one of the cases says.
	do map[string]func(st *storage)
	// contents returns all that is at the place, to see that nothing is made or written there.
	contents func(st *storage) map[string]string
	back     func() // undoes renamed
	server   bool
}

const (
	removed       = "removed"
	renamed       = "renamed away"
	emptied       = "replaced by an empty one"
	restored      = "replaced by a copy of itself"
	exchanged     = "replaced by another store"
	renamedBack   = "renamed away and back"
	lostIdentity  = "the identity is removed"
	lostLog       = "the log is removed"
	lostTable     = "the table is dropped"
	restarted     = "the server is restarted"
	remadeByOther = "dropped, and another program made a store there"
)

// goesOn are the cases in which the store found at Reset is the one that was opened.
var goesOn = map[string]bool{restored: true, renamedBack: true, lostLog: true, restarted: true}

// verbs are calls that must not succeed when the storage has moved.
func verbs(s *persistence.Store, task *Task) map[string]func(ctx context.Context) error {
	id := task.PersistentID()
	return map[string]func(ctx context.Context) error{
		"save": func(ctx context.Context) error {
			task.Prio++
			_, err := s.Save(ctx, task)
			return err
		},
		"save new": func(ctx context.Context) error { _, err := s.Save(ctx, &Task{Name: "new"}); return err },
		"load":     func(ctx context.Context) error { _, err := s.Load(ctx, id); return err },
		"list": func(ctx context.Context) error {
			for _, err := range s.List(ctx, nil) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"claim": func(ctx context.Context) error {
			_, err := s.Claim(ctx, &persistence.Query{State: []string{"READY"}}, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 1})
			return err
		},
		"set a pair": func(ctx context.Context) error { return s.KV().Set(ctx, "key", "other") },
		"get a pair": func(ctx context.Context) error { _, err := s.KV().Get(ctx, "key"); return err },
		"ping":       s.Ping,
	}
}

// testMoved does what the case says to the storage of an open store, calls first the verb and then
// all of them, and then Reset.
func testMoved(t *testing.T, st *storage, does, first string) {
	ctx := t.Context()
	s := open(t, st.url, nil)
	tasks := []*Task{{Name: "a", State: "NEW", Files: map[string]*File{"f": {Path: "/a"}}}, {Name: "b", State: "READY"}}
	must[[]persistence.ID](t)(s.SaveAll(ctx, tasks[0], tasks[1]))
	check(t, s.KV().Set(ctx, "key", "value"))
	check(t, s.Ping(ctx))
	calls := verbs(s, tasks[0])
	check(t, calls["load"](ctx))

	st.do[does](st)
	before := st.contents(st)
	if st.server && goesOn[does] || does == lostLog && (first == "load" || first == "list") {
		check(t, calls[first](ctx)) // nothing has moved, or nothing that a read needs
	} else if err := calls[first](ctx); err == nil {
		t.Errorf("%s succeeded", first)
	} else {
		saysWhatHappened(t, st, first, err)
		for name, call := range calls {
			if err := call(ctx); err == nil {
				t.Errorf("%s succeeded after %s had failed", name, first)
			} else {
				saysWhatHappened(t, st, name, err)
				if errors.Is(err, persistence.ErrUncertain) {
					t.Errorf("%s is uncertain, after %s had failed: %v", name, first, err)
				}
			}
		}
	}

	if does == renamedBack {
		st.back()
	}
	err := s.Reset()
	if !goesOn[does] {
		if err == nil && !st.server {
			t.Error("Reset found another store, or none, and returned nil")
		}
		for name, call := range calls {
			if err := call(ctx); err == nil {
				t.Errorf("%s succeeded after Reset", name)
			} else if saysWhatHappened(t, st, name, err); errors.Is(err, persistence.ErrUncertain) {
				t.Errorf("%s is uncertain after Reset: %v", name, err)
			}
		}
		if diff := cmp.Diff(before, st.contents(st)); diff != "" {
			t.Errorf("something was made or written (-before +after):\n%s", diff)
		}
		return
	}
	check(t, err)
	check(t, s.Ping(ctx))
	for _, want := range tasks { // what was acknowledged is there
		got := must[*Task](t)(persistence.Load[Task](ctx, s, want.PersistentID()))
		if got.Name != want.Name || len(got.Files) != len(want.Files) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if v := must[any](t)(s.KV().Get(ctx, "key")); v != "value" && v != "other" {
		t.Errorf("the pair is %v", v)
	}
	for name, call := range calls {
		if err := call(ctx); err != nil {
			t.Errorf("%s after Reset: %v", name, err)
		}
	}
	prio := must[*Task](t)(persistence.Load[Task](ctx, s, tasks[0].PersistentID())).Prio
	check(t, s.Close())
	again := open(t, st.url, nil)
	if got := must[*Task](t)(persistence.Load[Task](ctx, again, tasks[0].PersistentID())).Prio; got != prio {
		t.Errorf("another handle finds %d, want %d", got, prio)
	}
}

// saysWhatHappened checks an error of a store whose storage has moved.
func saysWhatHappened(t *testing.T, st *storage, name string, err error) {
	t.Helper()
	text := err.Error()
	if !st.server && !strings.Contains(text, filepath.Base(st.at)) {
		t.Errorf("%s: %q does not name the place", name, text)
	}
	if !strings.Contains(text, "Reset") && !strings.Contains(text, "dropped") && !strings.Contains(text, "does not exist") && !strings.Contains(text, "Unknown database") {
		t.Errorf("%s: %q does not say what happened", name, text)
	}
}

var firstVerbs = []string{"save", "load", "list", "claim", "set a pair", "ping"}

func TestTheFileOfASQLiteStoreIsRemovedOrReplaced(t *testing.T) {
	t.Parallel()
	for _, does := range []string{removed, renamed, renamedBack, emptied, restored, exchanged, lostLog} {
		for _, first := range firstVerbs {
			t.Run(does+", then "+first, func(t *testing.T) {
				t.Parallel()
				testMoved(t, fileStorage(t, "sqlite"), does, first)
			})
		}
	}
}

func TestTheDirectoryOfAStoreIsRemovedOrReplaced(t *testing.T) {
	t.Parallel()
	for _, does := range []string{removed, renamed, renamedBack, emptied, restored, exchanged} {
		for _, first := range firstVerbs {
			t.Run(does+", then "+first, func(t *testing.T) {
				t.Parallel()
				testMoved(t, fileStorage(t, "file"), does, first)
			})
		}
	}
	for _, first := range []string{"save", "claim", "set a pair", "ping"} { // reads need no identity
		t.Run(lostIdentity+", then "+first, func(t *testing.T) {
			t.Parallel()
			testMoved(t, fileStorage(t, "file"), lostIdentity, first)
		})
	}
}

// fileStorage makes the storage of a store in a file or in a directory, with a copy of it and
// another store beside it.
func fileStorage(t *testing.T, scheme string) *storage {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	at, other, backup := filepath.Join(dir, "store.db"), filepath.Join(dir, "other.db"), filepath.Join(dir, "backup.db")
	for _, path := range []string{at, other} {
		s := must[*persistence.Store](t)(persistence.MakeStore(ctx, scheme+"://"+path, nil))
		must[[]persistence.ID](t)(s.SaveAll(ctx, &Task{Name: "earlier"}, &Task{}, &Task{}, &Task{}))
		if path == at {
			check(t, s.KV().Set(ctx, "key", "value"))
		}
		check(t, s.Close())
	}
	copyTo := func(to string) {
		if scheme != "sqlite" {
			check(t, os.CopyFS(to, os.DirFS(at)))
			return
		}
		db := must[*stdsql.DB](t)(stdsql.Open("sqlite", at))
		must[stdsql.Result](t)(db.ExecContext(ctx, "VACUUM INTO ?", to))
		check(t, db.Close())
	}
	return &storage{
		url: scheme + "://" + at, at: at,
		back: func() { check(t, os.Rename(filepath.Join(dir, "away"), at)) },
		contents: func(*storage) map[string]string {
			files := map[string]string{}
			for _, path := range []string{at, backup, other} {
				check(t, filepath.WalkDir(path, func(path string, d os.DirEntry, err error) error {
					if errors.Is(err, os.ErrNotExist) {
						return nil
					}
					if err == nil && !d.IsDir() {
						files[path] = string(must[[]byte](t)(os.ReadFile(path)))
					}
					return err
				}))
			}
			return files
		},
		do: map[string]func(*storage){
			removed:     func(*storage) { check(t, os.RemoveAll(at)) },
			renamed:     func(*storage) { check(t, os.Rename(at, filepath.Join(dir, "away"))) },
			renamedBack: func(st *storage) { st.do[renamed](st) },
			emptied: func(st *storage) {
				st.do[renamed](st)
				if scheme == "sqlite" {
					check(t, os.WriteFile(at, nil, 0o600))
				} else {
					check(t, os.Mkdir(at, 0o700))
				}
			},
			restored: func(st *storage) {
				copyTo(backup)
				st.do[renamed](st)
				check(t, os.Rename(backup, at))
			},
			exchanged: func(st *storage) {
				st.do[renamed](st)
				check(t, os.Rename(other, at))
			},
			lostLog:      func(*storage) { check(t, os.Remove(at+"-wal")) },
			lostIdentity: func(*storage) { check(t, os.Remove(filepath.Join(at, ".brine.meta"))) },
		},
	}
}
