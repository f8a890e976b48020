package persistence_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

// damages are ways to make records unreadable: a column by itself, a header, or the data alone.
var damages = []struct {
	name  string
	open  func(t *testing.T) (url string, damage func(id persistence.ID))
	drops bool // the record is no longer listed
}{
	{"sqlite", func(t *testing.T) (string, func(persistence.ID)) {
		path := filepath.Join(t.TempDir(), "store.db")
		return "sqlite:" + path, spoil(t, must[*sql.DB](t)(sql.Open("sqlite", path)), "even = 7")
	}, false},
	{"postgres data", func(t *testing.T) (string, func(persistence.ID)) {
		s := testserver.SharedPostgres(t)
		name := s.NewDB(t)
		return s.URL(name), spoil(t, s.Open(t, name), "data = 'x'")
	}, false},
	{"mariadb", func(t *testing.T) (string, func(persistence.ID)) {
		s := testserver.SharedMariaDB(t)
		name := s.NewDB(t)
		return s.URL(name), spoil(t, s.Open(t, name), "even = 7")
	}, false},
	{"fs header", func(t *testing.T) (string, func(persistence.ID)) {
		dir := filepath.Join(t.TempDir(), "store")
		return "file:" + dir, spoilFile(t, dir, func(data []byte) { data[strings.Index(string(data), "NEW")] ^= 1 })
	}, true},
	{"fs data", func(t *testing.T) (string, func(persistence.ID)) {
		dir := filepath.Join(t.TempDir(), "store")
		return "file:" + dir, spoilFile(t, dir, func(data []byte) { data[len(data)-1] ^= 1 })
	}, false},
}

// spoil returns a function that makes a column of a record unreadable.
func spoil(t *testing.T, db *sql.DB, set string) func(persistence.ID) {
	t.Cleanup(func() { db.Close() })
	return func(id persistence.ID) {
		t.Helper()
		must[sql.Result](t)(db.Exec("UPDATE store SET " + set + " WHERE id = " + string(id)))
	}
}

func spoilFile(t *testing.T, dir string, spoil func([]byte)) func(persistence.ID) {
	return func(id persistence.ID) {
		t.Helper()
		path := filepath.Join(dir, string(id))
		data := must[[]byte](t)(os.ReadFile(path))
		spoil(data)
		check(t, os.WriteFile(path, data, 0o600))
	}
}

// damaged runs a test on a store of n tasks, some of them unreadable, for each kind of damage.
// dropped is the number of tasks that are not listed.
func damaged(t *testing.T, n int, bad []persistence.ID, test func(t *testing.T, s *persistence.Store, dropped int)) {
	t.Helper()
	t.Parallel()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url, damage := d.open(t)
			s := open(t, url, &persistence.Options{ExtraFields: jsonFields})
			objs := make([]any, n)
			for i := range objs {
				objs[i] = &Task{Name: fmt.Sprint("task ", i), Prio: i, State: "NEW"}
			}
			must[[]persistence.ID](t)(s.SaveAll(t.Context(), objs...))
			for _, id := range bad {
				damage(id)
			}
			dropped := 0
			if d.drops {
				dropped = len(bad)
			}
			test(t, s, dropped)
		})
	}
}

func TestUnreadableRecordsTakeThePlaceOfNoOther(t *testing.T) {
	bad := []persistence.ID{"1", "5", "6", "128", "200"}
	damaged(t, 400, bad, func(t *testing.T, s *persistence.Store, dropped int) {
		ctx := t.Context()
		for name, q := range map[string]*persistence.Query{
			"in ID order": {}, "by number": {Order: []persistence.Order{persistence.Asc("prio")}},
			"by number, the last first": {Order: []persistence.Order{persistence.Desc("prio"), persistence.Asc("name")}},
			"with a condition":          {Where: []persistence.Cond{persistence.Ge("prio", 0)}},
		} {
			all := 0
			failures := map[persistence.ID]int{}
			for obj, err := range s.All(ctx, q) {
				if err == nil {
					all++
					continue
				}
				wantIs(t, err, persistence.ErrCorrupt)
				e, _ := errors.AsType[*persistence.Error](err)
				if failures[e.ID]++; obj != nil {
					t.Errorf("%v comes with %v", obj, err)
				}
			}
			if all != 400-len(bad) || len(failures) != len(bad) {
				t.Errorf("%s: %d objects, errors %v", name, all, failures)
			}
			for id, n := range failures {
				if n != 1 {
					t.Errorf("%s: %s is reported %d times", name, id, n)
				}
			}
			limited := *q
			limited.Limit = 10
			all, failed := 0, 0
			for _, err := range s.All(ctx, &limited) {
				if all++; err != nil {
					all, failed = all-1, failed+1
				}
			}
			// An unreadable record is one of the ten if it is read before decoding fails.
			if all != 10 && all+failed != 10 {
				t.Errorf("%s, the first 10: %d objects and %d errors", name, all, failed)
			}
			listed := 0
			failed = 0
			for _, err := range s.List(ctx, q) {
				if listed++; err != nil {
					listed, failed = listed-1, failed+1
				}
			}
			if listed != 400-dropped || failed != dropped {
				t.Errorf("%s: %d are listed, with %d errors; want %d and %d", name, listed, failed, 400-dropped, dropped)
			}
		}
	})
}

func TestUnreadableRecordsKeepNobodyFromUpdatingAndRemovingOthers(t *testing.T) {
	damaged(t, 300, []persistence.ID{"2", "270"}, func(t *testing.T, s *persistence.Store, dropped int) {
		ctx := t.Context()
		n, err := s.Update(ctx, nil, func(obj any) error { obj.(*Task).Name = "updated"; return nil })
		wantIs(t, err, persistence.ErrCorrupt, `"2"`, `"270"`)
		if n != 298 {
			t.Errorf("%d were updated", n)
		}
		n, err = s.RemoveAll(ctx, nil)
		if n != int64(300-dropped) {
			t.Errorf("%d were removed: %v", n, err)
		}
		if dropped > 0 {
			wantIs(t, err, persistence.ErrCorrupt, `"2"`, `"270"`)
			check(t, s.Remove(ctx, "2", "270"))
		} else {
			check(t, err)
		}
		if n := must[int64](t)(s.Count(ctx, nil)); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

func TestUnreadableRecordsKeepNobodyFromClaimingOthers(t *testing.T) {
	damaged(t, 6, []persistence.ID{"1", "2", "5"}, func(t *testing.T, s *persistence.Store, _ int) {
		ctx := t.Context()
		got := map[persistence.ID]bool{}
		for i, o := range []persistence.ClaimOptions{{Limit: 1}, {Limit: 1, State: "RUNNING"}, {Limit: 9}, {Limit: 9, State: "RUNNING"}} {
			o.Owner, o.Lease = "me", time.Hour
			claims, err := s.Claim(ctx, nil, o)
			for _, c := range claims {
				if _, err := persistence.LoadClaimed[Task](ctx, c); err == nil {
					got[c.ID()] = true
				}
			}
			if i < 2 && len(claims) == 0 {
				t.Errorf("claim %d: nothing, of three that can be had: %v", i+1, err)
			}
		}
		if len(got) != 3 || !got["3"] || !got["4"] || !got["6"] {
			t.Errorf("claimed: %v", got)
		}
	})
}

func TestClaimColumnsByThemselves(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		objs := make([]any, 300)
		for i := range objs {
			objs[i] = &Task{Prio: i}
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, objs...))
		must[[]*persistence.Claim](t)(s.Claim(ctx, nil, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 200}))
		for _, column := range []string{"claim_owner", "claim_until", "claim_token"} {
			q := &persistence.Query{Order: []persistence.Order{persistence.Asc(column)}}
			listed, claimed := len(list(t, s, q)), 0
			for info, err := range s.StatAll(ctx, q, column) {
				if check(t, err); info.Fields[column] != nil {
					claimed++
				}
			}
			if listed != 300 || claimed != 200 {
				t.Errorf("by %s: %d are listed, %d claimed; want 300 and 200", column, listed, claimed)
			}
		}
	})
}

func TestPagesOfAllAreOneState(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		// The column of the order is NULL for one of the two, so the query takes two statements.
		s := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{
			extrafields.Func("first", extrafields.Int, func(obj any) (any, error) {
				if task := obj.(*Task); task.Name == "first" {
					return int64(1), nil
				}
				return nil, nil
			}).Indexed(),
		}})
		second := &Task{Name: "second"}
		first := &Task{Name: "first", Deps: []*Task{second}}
		must[persistence.ID](t)(s.Save(t.Context(), first))
		busy := 300 * time.Millisecond
		if testing.Short() {
			busy /= 3
		}
		ctx, cancel := context.WithTimeout(t.Context(), busy)
		defer cancel()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				first.Prio, second.Prio = i, i
				if _, err := s.Save(t.Context(), first); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for n := 0; ctx.Err() == nil; n++ {
			for obj, err := range s.All(t.Context(), &persistence.Query{Order: []persistence.Order{persistence.Asc("first")}}) {
				if check(t, err); obj.(*Task).Name == "first" && obj.(*Task).Prio != obj.(*Task).Deps[0].Prio {
					t.Fatalf("iteration %d: one object of save %d with one of save %d", n, obj.(*Task).Prio, obj.(*Task).Deps[0].Prio)
				}
			}
		}
	})
}

// unbuilt has no registered type.
type unbuilt struct {
	persistence.Persistable
	N int
}

func TestOneIDIsOnePointerBehindPagesOfNothing(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, "mem:", nil), t.Context()
	last := &Task{Name: "last"}
	check(t, s.Insert(ctx, "1700", last))
	check(t, s.Insert(ctx, "1", &Task{Name: "first", Deps: []*Task{last}}))
	for i := 2; i <= 2176; i++ {
		switch id := persistence.ID(fmt.Sprint(i)); {
		case i == 1700:
		case i <= 1664: // the rest of the first page, and two whole pages of unreadable records
			check(t, s.Insert(ctx, id, &unbuilt{N: i}))
		default:
			check(t, s.Insert(ctx, id, &Task{}))
		}
	}
	var first *Task
	found := false
	for obj, err := range s.All(ctx, nil) {
		if err != nil {
			continue
		}
		switch task := obj.(*Task); task.Name {
		case "first":
			first = task
		case "last":
			if found = true; first.Deps[0] != task {
				t.Error("the object that the first one refers to is another")
			}
		}
	}
	if !found {
		t.Error("the last object did not come")
	}
	runtime.KeepAlive(first)
}
