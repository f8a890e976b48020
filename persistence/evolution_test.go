package persistence_test

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

type daily struct {
	persistence.Persistable
	Name string
	Next time.Time
	At   map[string]time.Time
}

func TestATimeKeepsItsZoneThroughAStore(t *testing.T) {
	newYork := must[*time.Location](t)(time.LoadLocation("America/New_York"))
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, nil)
		at := time.Date(2024, 3, 8, 9, 0, 0, 1, newYork) // two days before the clocks change
		job := &daily{Name: "report", Next: at, At: map[string]time.Time{"utc": at.UTC(), "fixed": at.In(time.FixedZone("", 5400))}}
		id := must[persistence.ID](t)(s.Save(t.Context(), job))
		got := must[*daily](t)(persistence.Load[daily](t.Context(), s, id))
		if name := got.Next.Location().String(); name != "America/New_York" || !got.Next.Equal(at) {
			t.Errorf("got %v in %q", got.Next, name)
		}
		if next := got.Next.AddDate(0, 0, 3); next.Hour() != 9 {
			t.Errorf("the job must run at 9 by the clock on the wall after the change too, not at %v", next)
		}
		if utc, fixed := got.At["utc"], got.At["fixed"]; utc.Location() != time.UTC || fixed.Format("-0700") != "+0130" {
			t.Errorf("got %v and %v", utc, fixed)
		}
		must[persistence.ID](t)(s.Save(t.Context(), got))
		if info := must[persistence.Info](t)(s.Stat(t.Context(), id)); info.Revision != 1 {
			t.Errorf("saving what was loaded must write nothing, and the revision is %d", info.Revision)
		}
	})
}

type ambiguousLeft struct{ Next *Task }
type ambiguousRight struct{ Next *Task }

func TestWhatSaveWouldLeaveOutIsRefused(t *testing.T) {
	type graph struct {
		persistence.Persistable
		ambiguousLeft
		ambiguousRight
	}
	type wrapped struct {
		persistence.Persistable
		time.Time
		Name string
	}
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, nil)
		_, err := s.Save(t.Context(), &graph{ambiguousLeft: ambiguousLeft{&Task{Name: "lost"}}})
		wantIs(t, err, persistence.ErrUnstorable)
		for _, path := range []string{"ambiguousLeft.Next", "ambiguousRight.Next"} {
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("the error must name %s: %v", path, err)
			}
		}
		if n := must[int64](t)(s.Count(t.Context(), nil)); n != 0 {
			t.Errorf("nothing must have been written, not %d records", n)
		}
		at := time.Date(2026, 11, 27, 5, 0, 0, 0, time.UTC)
		id := must[persistence.ID](t)(s.Save(t.Context(), &wrapped{Time: at, Name: "both"}))
		got := must[*wrapped](t)(persistence.Load[wrapped](t.Context(), s, id))
		if got.Name != "both" || !got.Equal(at) {
			t.Errorf("got %q and %v", got.Name, got.Time)
		}
	})
}

// A record of a newer program's format is reported, and the others are given.
func TestARecordOfANewerFormat(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, "sqlite:"+path, nil)
	must[[]persistence.ID](t)(s.SaveAll(t.Context(), &Task{Name: "1"}, &Task{Name: "2"}, &Task{Name: "3"}))
	db := must[*sql.DB](t)(sql.Open("sqlite", path))
	t.Cleanup(func() { db.Close() })
	var data []byte
	check(t, db.QueryRow("SELECT data FROM store WHERE id = 2").Scan(&data))
	data[7] = 9
	sum := crc32.Checksum(data[:len(data)-5], crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(data[len(data)-4:], sum)
	must[sql.Result](t)(db.Exec("UPDATE store SET data = ? WHERE id = 2", data))

	_, err := persistence.Load[Task](t.Context(), s, "2")
	if !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, persistence.ErrCorrupt) || !strings.Contains(err.Error(), "9") {
		t.Errorf("a newer format must be errors.ErrUnsupported and named: %v", err)
	}
	var names []string
	var failed []error
	for task, err := range persistence.All[Task](t.Context(), s, nil) {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		names = append(names, task.Name)
	}
	if diff := cmp.Diff([]string{"1", "3"}, names); diff != "" || len(failed) != 1 {
		t.Errorf("All must give the others and one error (-want +got):\n%s%v", diff, failed)
	}
	n, err := s.Update(t.Context(), nil, func(obj any) error { obj.(*Task).Prio = 5; return nil })
	if n != 2 || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Update must change the others and report it: %d, %v", n, err)
	}
	var kept []byte
	check(t, db.QueryRow("SELECT data FROM store WHERE id = 2").Scan(&kept))
	if diff := cmp.Diff(data, kept); diff != "" {
		t.Errorf("the record must stay as it is:\n%s", diff)
	}
}

type nest[T any] struct{ V *T }

type deep = nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[nest[int]]]]]]]]]]]]]]]]]]]]

func TestLimitsAreTheSameOnEveryBackend(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, nil)
		_, err := s.Save(t.Context(), &deep{})
		wantIs(t, err, persistence.ErrUnstorable)
		if err == nil || !strings.Contains(err.Error(), "Register") {
			t.Errorf("the error must name the cure: %v", err)
		}
		wantIs(t, s.KV().Set(t.Context(), "deep", deep{}), persistence.ErrUnstorable)
		wantIs(t, s.KV().Set(t.Context(), "task", &Task{Name: "no pair"}), persistence.ErrUnstorable)
		wantIs(t, s.KV().Set(t.Context(), "tasks", []*Task{{Name: "no pair"}}), persistence.ErrUnstorable)
		_, err = s.KV().Get(t.Context(), "task")
		wantIs(t, err, persistence.ErrNotFound)
	})
}

type setting struct{ Level int } // never registered

func TestTypedHelpers(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s := open(t, url, nil)
		if name := persistence.TypeName[setting](); name != "persistence_test.setting" {
			t.Errorf("got %q", name)
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, &setting{1}, &setting{2}, &Task{Name: "other"}))
		n, err := persistence.Update(ctx, s, nil, func(v *setting) error { v.Level *= 10; return nil })
		if n != 2 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		sum := 0
		for v, err := range persistence.All[setting](ctx, s, nil) {
			check(t, err)
			sum += v.Level
		}
		if sum != 30 {
			t.Errorf("got %d, want 30", sum)
		}
		n, err = persistence.Update(ctx, s, &persistence.Query{Type: persistence.TypeName[Task]()}, func(*setting) error { return nil })
		if n != 0 || !errors.Is(err, persistence.ErrType) {
			t.Errorf("a record of another type must be ErrType: %d, %v", n, err)
		}

		check(t, s.KV().Set(ctx, "level", setting{7}))
		if v, err := persistence.Value[setting](ctx, s.KV(), "level"); v.Level != 7 || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
		if v, err := persistence.Value[*setting](ctx, s.KV(), "level"); err != nil || v.Level != 7 {
			t.Errorf("got %v, %v", v, err)
		}
		_, err = persistence.Value[int](ctx, s.KV(), "level")
		wantIs(t, err, persistence.ErrType)
		_, err = persistence.Value[int](ctx, s.KV(), "nothing")
		wantIs(t, err, persistence.ErrNotFound)
		_, err = s.KV().Get(ctx, "level")
		wantIs(t, err, persistence.ErrUnknownType)
		if err == nil || !strings.Contains(err.Error(), `Register[T]("persistence_test.setting")`) {
			t.Errorf("the error must say what to write: %v", err)
		}
	})
}

func TestPutIsReplaceOrInsert(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s := open(t, url, nil)
		child := &Task{Name: "child"}
		task := &Task{Name: "new", Deps: []*Task{child}}
		task.Deps = append(task.Deps, task) // refers to itself
		check(t, s.Put(ctx, "70", task))
		got := must[*Task](t)(persistence.Load[Task](ctx, s, "70"))
		if task.PersistentID() != "70" || got.Name != "new" || got.Deps[0].Name != "child" || got.Deps[1] != got {
			t.Errorf("got %v", got)
		}
		first := must[persistence.Info](t)(s.Stat(ctx, "70"))
		check(t, s.Put(ctx, "70", &Task{Name: "another"}))
		second := must[persistence.Info](t)(s.Stat(ctx, "70"))
		if second.Revision != first.Revision+1 || !second.Created.Equal(first.Created) {
			t.Errorf("Put of what is there must be a Replace: %+v after %+v", second, first)
		}
		got.Name = "stale"
		_, err := s.Save(ctx, got)
		wantIs(t, err, persistence.ErrConflict)
		check(t, s.Remove(ctx, "70"))
		check(t, s.Put(ctx, "70", &Task{Name: "again"}))
		_, err = s.Save(ctx, got) // must not take the new record for its own
		wantIs(t, err, persistence.ErrConflict)
		wantIs(t, s.Put(ctx, "no integer", &Task{}), persistence.ErrInvalidID)
	})
}
