package golden

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

func openStore(t *testing.T, c copied) *persistence.Store {
	return open(t, c.store, persistence.Options{Table: "store", ExtraFields: fields()})
}

func openTexts(t *testing.T, c copied) *persistence.Store {
	return open(t, c.texts, persistence.Options{Table: "texts", IDs: idfactory.Sequence("")})
}

// damaged is the ID of the record of the table store with a byte changed.
const damaged = "32"

// The tasks of workflow have the IDs 1 to 20, its machines 21 and 22, the values of plains 23 to
// 31.
const firstPlain, lastID, nextID = 23, 32, 49

func id(n int) persistence.ID { return persistence.ID(fmt.Sprint(n)) }

// A stamp is what a store adds to a record. See stamps_test.go.
type stamp struct {
	rev, size         int64
	created, modified int64 // Unix microseconds
}

// A row is the columns of a task that differ from what most tasks have.
type row struct {
	state, name string
	priority    int64
	needs       int64
	weight      float64
	urgent      bool
	digest      any
	due         any
	note        any
}

// rows are the columns of the tasks as they stand in the stores, from ID 1.
var rows = []row{
	{"NEW", "task a", -5000, 2, 0, false, nil, nil, nil},
	{"RUNNING", "task b", -4000, 0, 0.25, true, nil, nil, nil},
	{"DONE", "task c", -3000, 0, 0.5, false, nil, nil, nil},
	{"NEW", "task d", -2000, 3, 0.75, true, []byte{0, 1, 255}, time.Date(2024, 2, 3, 12, 30, 15, 123456000, time.UTC), nil},
	{"RUNNING", "task e", -1000, 3, 1, false, []byte{}, time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), nil},
	{"DONE", "task f", 0, 3, 1.25, true, nil, nil, nil},
	{"NEW", "task g", 1000, 3, 1.5, false, nil, nil, nil},
	{"RUNNING", "task h", 2000, 3, 1.75, true, nil, nil, nil},
	{"DONE", "task i", 3000, 3, 2, false, nil, nil, "größer, 'quoted', \"twice\", back\\slash, tab\t, line\nline, 日本語, 🙂, 100%; --"},
	{"NEW", "Größe Ä \\ ' \" ; é", 4000, 3, 2.25, true, nil, nil, nil},
	{"RUNNING", "task k", 5000, 3, 2.5, false, nil, time.Date(2024, 2, 10, 2, 32, 3, 0, time.UTC), nil},
	{"DONE", "task l", 6000, 3, 2.75, true, nil, nil, strings.Repeat("long ", 300)},
	{"NEW", "task m", 4611686018427387905, 3, 3, false, nil, nil, nil},
	{"RUNNING", "task n", -9223372036854775808, 3, 3.25, true, nil, nil, nil},
	{"DONE", "task o", 9000, 3, -1e308, false, nil, nil, nil},
	{"NEW", "task p", 10000, 3, 5e-324, true, nil, nil, nil},
	{"ÜBER-STATE", "task q", 11000, 3, 4, false, nil, nil, nil},
	{"CLAIMED", "task r", 12000, 3, 4.25, true, nil, nil, nil},
	{"NEW", "task s", 15000, 3, 4.5, false, nil, nil, nil},
	{"RUNNING", "task t", 14000, 3, 4.75, true, nil, nil, nil},
}

var columns = []string{"name", "note", "priority", "needs", "weight", "half", "urgent", "calm", "digest", "digest2", "due", "due2"}

// types are those of the records behind the tasks, from ID 21.
var types = []string{
	"golden.Machine", "golden.Machine", "map[string]interface {}", "[]string", "string", "time.Time", "golden.settings", "golden.Plain",
	"map[int]bool", "int64", "[]interface {}", "string",
}

// infos are what Stat says of the records of the table store.
func infos(stamps map[string]stamp) map[persistence.ID]persistence.Info {
	want := map[persistence.ID]persistence.Info{}
	add := func(n int, typ, state string, columns map[string]any) {
		st := stamps[fmt.Sprint(n)]
		want[id(n)] = persistence.Info{
			ID: id(n), Type: typ, State: state, Revision: st.rev, Size: st.size,
			Created: time.UnixMicro(st.created).UTC(), Modified: time.UnixMicro(st.modified).UTC(), Fields: columns,
		}
	}
	for i, r := range rows {
		add(i+1, "golden.task", r.state, map[string]any{
			"name": r.name, "note": r.note, "priority": r.priority, "needs": r.needs, "weight": r.weight, "half": r.weight / 2,
			"urgent": r.urgent, "calm": !r.urgent, "digest": r.digest, "digest2": r.digest, "due": r.due, "due2": r.due,
		})
	}
	for i, typ := range types {
		null := map[string]any{}
		for _, c := range columns {
			null[c] = nil
		}
		add(len(rows)+1+i, typ, "UNKNOWN", null)
	}
	return want
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var out []T
	for v, err := range seq {
		if err != nil {
			t.Error(err)
			continue
		}
		out = append(out, v)
	}
	return out
}

func list(t *testing.T, s *persistence.Store, q *persistence.Query) []persistence.ID {
	t.Helper()
	return collect(t, s.List(t.Context(), q))
}

func TestInfosAndQueries(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, c copied) {
		s := openStore(t, c)
		want := infos(stamps[c.name+" store"])
		got := map[persistence.ID]persistence.Info{}
		ids := list(t, s, nil)
		for _, id := range ids {
			info, err := s.Stat(t.Context(), id)
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			got[id] = info
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		var all []persistence.ID
		for n := 1; n <= lastID; n++ {
			all = append(all, id(n))
		}
		for _, q := range []struct {
			name string
			q    *persistence.Query
			want []persistence.ID
		}{
			{"all", nil, all},
			{"a type", &persistence.Query{Type: "golden.settings"}, []persistence.ID{"27"}},
			{"states", &persistence.Query{State: []string{"ÜBER-STATE", "CLAIMED"}}, []persistence.ID{"17", "18"}},
			{"indexed text", where(persistence.Eq("name", rows[9].name)), []persistence.ID{"10"}},
			{"long text", where(persistence.HasPrefix("note", "long long")), []persistence.ID{"12"}},
			{"indexed integer", where(persistence.Lt("priority", -4000)), []persistence.ID{"1", "14"}},
			{"indexed float", where(persistence.Le("weight", 0.0)), []persistence.ID{"1", "15"}},
			{"indexed bool", &persistence.Query{Where: []persistence.Cond{persistence.Eq("urgent", true)}, Limit: 3}, []persistence.ID{"2", "4", "6"}},
			{"bool", &persistence.Query{Where: []persistence.Cond{persistence.Eq("calm", true)}, Limit: 2}, []persistence.ID{"1", "3"}},
			{"indexed bytes", where(persistence.Eq("digest", []byte{0, 1, 255})), []persistence.ID{"4"}},
			{"empty bytes", where(persistence.Eq("digest2", []byte{})), []persistence.ID{"5"}},
			{"indexed times in order", &persistence.Query{
				Where: []persistence.Cond{persistence.NotNull("due")}, Order: []persistence.Order{persistence.Desc("due")}},
				[]persistence.ID{"11", "4", "5"}},
			{"NULL", &persistence.Query{Where: []persistence.Cond{persistence.IsNull("name")}, Limit: 1, Type: "string"}, []persistence.ID{"25"}},
			{"claimed", where(persistence.NotNull("claim_owner")), []persistence.ID{"18", "20"}},
		} {
			if diff := cmp.Diff(q.want, list(t, s, q.q)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", q.name, diff)
			}
		}
		if n, err := s.Count(t.Context(), nil); n != lastID || err != nil {
			t.Errorf("count is %d, %v", n, err)
		}
		groups, err := s.CountBy(t.Context(), "state", nil)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[any]int64{}
		for _, g := range groups {
			counts[g.Value] = g.Count
		}
		if diff := cmp.Diff(map[any]int64{"NEW": 7, "RUNNING": 6, "DONE": 5, "ÜBER-STATE": 1, "CLAIMED": 1, "UNKNOWN": 12}, counts); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func where(conds ...persistence.Cond) *persistence.Query { return &persistence.Query{Where: conds} }

// A flat task is one without its references, and what it refers to by IDs: graphs are compared so.
type flat struct {
	Task   Task
	Needs  []persistence.ID
	Host   persistence.ID
	Parent persistence.ID
	Level  any
}

// flatten names references by the IDs that idOf gives.
func flatten(task *Task, idOf func(obj persistence.Object) persistence.ID, parent persistence.ID) flat {
	f := flat{Task: Task{
		Name: task.Name, State: task.State, Priority: task.Priority, Weight: task.Weight, Urgent: task.Urgent,
		Digest: task.Digest, Due: task.Due, Note: task.Note,
	}, Parent: parent, Level: task.Level}
	if task.Needs != nil {
		f.Needs = []persistence.ID{}
	}
	for _, n := range task.Needs {
		f.Needs = append(f.Needs, idOf(n))
	}
	if task.Host != nil {
		f.Host = idOf(task.Host)
	}
	if obj, ok := task.Level.(*Task); ok {
		f.Level = idOf(obj)
	}
	if task.Meta != nil {
		f.Task.Meta = map[string]any{}
		for k, v := range task.Meta {
			if obj, ok := v.(*Task); ok {
				v = idOf(obj)
			}
			f.Task.Meta[k] = v
		}
	}
	return f
}

// wantTasks returns the tasks as they stand in the stores.
func wantTasks() []flat {
	tasks := workflow()
	tasks[17].State = "CLAIMED"
	tasks[18].Priority += 2000
	tasks[10].Due = time.Date(2024, 2, 10, 1, 2, 3, 4, time.FixedZone("", -5400))
	ids := map[persistence.Object]persistence.ID{tasks[0].Host: "21", tasks[1].Host: "22"}
	for i, task := range tasks {
		ids[task] = id(i + 1)
	}
	var want []flat
	for i, task := range tasks {
		parent := persistence.ID("")
		if i >= 3 {
			parent = id(i - 1)
		}
		want = append(want, flatten(task, func(o persistence.Object) persistence.ID { return ids[o] }, parent))
	}
	return want
}

func TestGraphsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, c copied) {
		s := openStore(t, c)
		var ids []persistence.ID
		for n := range rows {
			ids = append(ids, id(n+1))
		}
		objs, err := s.LoadAll(t.Context(), ids...)
		if err != nil {
			t.Fatal(err)
		}
		var got []flat
		byID := map[persistence.ID]persistence.Object{}
		one := func(o persistence.Object) persistence.ID { // one ID is one pointer
			id := o.PersistentID()
			if have, ok := byID[id]; ok && have != o {
				t.Errorf("%s is two objects", id)
			}
			byID[id] = o
			return id
		}
		for _, obj := range objs {
			task := obj.(*Task)
			one(task)
			got = append(got, flatten(task, one, task.Parent.ID()))
		}
		if diff := cmp.Diff(wantTasks(), got, compare); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		alpha, beta := byID["21"].(*Machine), byID["22"].(*Machine)
		if alpha.Host != "alpha.example.org" || alpha.Cores != 8 || len(alpha.Peers) != 2 || alpha.Peers["b"] != beta || alpha.Peers["self"] != alpha {
			t.Errorf("got %+v", alpha)
		}
		if beta.Host != "beta.example.org" || beta.Cores != 65535 || beta.Peers == nil || len(beta.Peers) != 0 {
			t.Errorf("got %+v", beta)
		}
		if parent, err := objs[19].(*Task).Parent.Get(t.Context(), s); err != nil || parent.Name != "task r" {
			t.Errorf("a lazy reference gives %+v, %v", parent, err)
		}

		// Nothing has changed: nothing is written.
		if _, err := s.SaveAll(t.Context(), append(objs, alpha, beta)...); err != nil {
			t.Fatal(err)
		}
		want := infos(stamps[c.name+" store"])
		for n := 1; n <= 22; n++ {
			info, err := s.Stat(t.Context(), id(n))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[id(n)], info); diff != "" {
				t.Errorf("written again: (-want +got)\n%s", diff)
			}
		}
		// What has changed is written, on top of what was there.
		objs[0].(*Task).Name = "changed"
		if _, err := s.Save(t.Context(), objs[0]); err != nil {
			t.Fatal(err)
		}
		if info, err := s.Stat(t.Context(), "1"); err != nil || info.Revision != 2 || info.Fields["name"] != "changed" {
			t.Errorf("got %+v, %v", info, err)
		}
	})
}

// The program that reads a store of an older one has nothing to say of its records, but for those
// that are damaged, and nothing to migrate.
func TestVetAndMigrate(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, c copied) {
		s := openStore(t, c)
		persistence.TypeName[Plain]() // not registered, and known from now on
		for f, err := range s.Vet(t.Context(), nil) {
			if err == nil && f.ID != damaged || err != nil && !errors.Is(err, persistence.ErrCorrupt) {
				t.Errorf("found %+v, %v", f, err)
			}
		}
		report, err := s.Migrate(t.Context(), persistence.MigrateOptions{})
		if err != nil || report.Rewritten != 0 || report.Skipped != 0 || report.Failed != 1 {
			t.Errorf("got %+v, %v", report, err)
		}
		want := infos(stamps[c.name+" store"])
		for info := range s.StatAll(t.Context(), nil) {
			if info.ID == damaged || info.ID == "" {
				continue
			}
			if diff := cmp.Diff(want[info.ID], info); diff != "" {
				t.Errorf("written: (-want +got)\n%s", diff)
			}
		}
	})
}

func TestPlainValuesAndDamage(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, c copied) {
		s := openStore(t, c)
		for i, want := range plains() {
			var got any
			var err error
			switch want.(type) {
			case *Plain: // not registered
				got, err = persistence.Load[Plain](t.Context(), s, id(firstPlain+i))
			default:
				got, err = s.Load(t.Context(), id(firstPlain+i))
			}
			if v, ok := want.(time.Time); ok { // a struct loads as a pointer
				want = &v
			}
			if diff := cmp.Diff(want, got, compare); diff != "" || err != nil {
				t.Errorf("%d: %v (-want +got)\n%s", firstPlain+i, err, diff)
			}
		}
		if v, err := s.Load(t.Context(), damaged); !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("the damaged record gives %v, %v", v, err)
		}
		for _, gone := range []persistence.ID{"33", "34", "35"} {
			if v, err := s.Load(t.Context(), gone); !errors.Is(err, persistence.ErrNotFound) {
				t.Errorf("the removed record %s gives %v, %v", gone, v, err)
			}
		}
		// Numbers that were given out are not given out again.
		saved, err := s.Save(t.Context(), "new")
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := saved.Seq(); !ok || n < nextID {
			t.Errorf("the next ID is %s, want one from %d on", saved, nextID)
		}
	})
}
