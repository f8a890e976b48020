package persistence_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// A DAOJob is a job of jobman's DAO. An empty field is NULL in its column.
type DAOJob struct {
	persistence.Persistable
	State  string // its status
	Source string
	Cost   int
	Meta   map[string]any
}

func init() { persistence.Register[DAOJob]("test.DAOJob") }

var daoOptions = persistence.Options{
	IDs: idfactory.UUIDv7(),
	ExtraFields: []extrafields.Field{
		extrafields.Func("source", extrafields.Text, func(obj any) (any, error) {
			if e, ok := obj.(*DAOJob); ok && e.Source != "" {
				return e.Source, nil
			}
			return nil, nil
		}),
		extrafields.Of("cost", func(e *DAOJob) int { return e.Cost }),
	},
}

// A dao is a store with the helpers of the tests below.
type dao struct {
	*persistence.Store
	t   *testing.T
	ctx context.Context
}

// insert saves jobs under the given IDs.
func (d *dao) insert(jobs map[persistence.ID]*DAOJob) {
	d.t.Helper()
	for id, job := range jobs {
		check(d.t, d.Insert(d.ctx, id, job))
	}
}

// wants compares the jobs that a query of jobman's selects, in its order.
func (d *dao) wants(query string, want ...persistence.ID) {
	d.t.Helper()
	q := must[*persistence.Query](d.t)(persistence.ParseQuery([]byte(query)))
	if got := list(d.t, d.Store, q); !cmp.Equal(want, got) {
		d.t.Errorf("%s selects %v, want %v", query, got, want)
	}
}

func (d *dao) stat(id persistence.ID) persistence.Info {
	d.t.Helper()
	return must[persistence.Info](d.t)(d.Stat(d.ctx, id))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The requirements of the tests of jobman's DAO and ORM, one behavior each.
var daoBehaviours = []struct {
	name string
	test func(t *testing.T, d *dao)
}{
	{"the first connection makes the tables, and later calls use it again", func(t *testing.T, d *dao) {
		before := d.Stats().Opened
		for range 10 {
			d.wants(`{}`)
		}
		if after := d.Stats().Opened; after > max(before, 1) {
			t.Errorf("%d connections were made for ten queries, one after the other", after-before)
		}
	}},
	{"defaults are set only where empty", func(t *testing.T, d *dao) {
		job := &DAOJob{State: "PENDING"}
		id := must[persistence.ID](t)(d.Save(d.ctx, job)) // without a key: one is made
		if len(id) != 36 || strings.Count(string(id), "-") != 4 {
			t.Errorf("the key is %q, want a UUID", id)
		}
		check(t, d.Insert(d.ctx, "mine", &DAOJob{})) // with a key: it stays
		created := d.stat("mine").Created
		if ago := time.Since(created); ago < -time.Minute || ago > time.Minute {
			t.Errorf("created at %v", created)
		}
		check(t, d.Replace(d.ctx, "mine", &DAOJob{State: "DONE"}))
		if again := d.stat("mine").Created; !again.Equal(created) {
			t.Errorf("created at %v, after a replacement at %v", created, again)
		}
	}},
	{"timestamps are updated by every write", func(t *testing.T, d *dao) {
		job := &DAOJob{State: "PENDING"}
		id := must[persistence.ID](t)(d.Save(d.ctx, job))
		last := d.stat(id).Modified
		if last.Before(d.stat(id).Created) {
			t.Errorf("modified at %v, before it was created", last)
		}
		for i, write := range []func() error{
			func() error { job.Cost++; _, err := d.Save(d.ctx, job); return err },
			func() error { return d.Replace(d.ctx, id, &DAOJob{State: "RUNNING"}) },
			func() error {
				_, err := d.Update(d.ctx, nil, func(obj any) error { obj.(*DAOJob).Cost += 2; return nil })
				return err
			},
		} {
			for time.Since(last) < time.Millisecond { // the clocks count microseconds
				time.Sleep(100 * time.Microsecond)
			}
			check(t, write())
			now := d.stat(id).Modified
			if !now.After(last) {
				t.Errorf("write %d: modified at %v, after %v", i+1, now, last)
			}
			last = now
		}
	}},
	{"without replace a key that is taken is an error", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {Source: "first"}})
		wantIs(t, d.Insert(d.ctx, "a", &DAOJob{Source: "second"}), persistence.ErrExists, `"a"`)
		d.wants(`{"filters": [{"field": "source", "op": "=", "arg": "first"}]}`, "a")
	}},
	{"with replace a job is overwritten", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {Source: "first", Meta: map[string]any{"old": true}}})
		check(t, d.Replace(d.ctx, "a", &DAOJob{Source: "second"}))
		if got := must[*DAOJob](t)(persistence.Load[DAOJob](d.ctx, d, "a")); got.Source != "second" || got.Meta != nil {
			t.Errorf("got %+v", got)
		}
		// Where jobman would create a record, GC3Pie's replace and this one report that there is
		// none.
		wantIs(t, d.Replace(d.ctx, "b", &DAOJob{}), persistence.ErrNotFound, `"b"`)
	}},
	{"jobs are saved all or none", func(t *testing.T, d *dao) {
		_, err := d.SaveAll(d.ctx, &DAOJob{}, &DAOJob{Meta: map[string]any{"f": func() {}}}, &DAOJob{})
		wantIs(t, err, persistence.ErrUnstorable, "Meta")
		d.wants(`{}`)
		if ids := must[[]persistence.ID](t)(d.SaveAll(d.ctx, &DAOJob{}, &DAOJob{}, &DAOJob{})); len(ids) != 3 {
			t.Errorf("%d jobs", len(ids))
		}
	}},
	{"structured fields come back as they were, and none as none", func(t *testing.T, d *dao) {
		meta := map[string]any{"list": []any{int64(1), "two", 3.5}, "nested": map[string]any{"": nil}, "text": "\x00\u2028"}
		d.insert(map[persistence.ID]*DAOJob{"a": {Meta: meta}, "b": {}})
		for id, want := range map[persistence.ID]map[string]any{"a": meta, "b": nil} {
			if diff := cmp.Diff(want, must[*DAOJob](t)(persistence.Load[DAOJob](d.ctx, d, id)).Meta); diff != "" {
				t.Error(diff)
			}
		}
	}},
	{"a query without filters selects everything", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {}, "b": {}})
		d.wants(`{}`, "a", "b")
		d.wants(`{"filters": []}`, "a", "b")
	}},
	{"filters are joined by AND", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {State: "DONE", Cost: 1}, "b": {State: "DONE", Cost: 2}, "c": {State: "NEW", Cost: 2}})
		d.wants(`{"filters": [{"field": "state", "op": "=", "arg": "DONE"}, {"field": "cost", "op": ">", "arg": 1}]}`, "b")
		d.wants(`{"filters": [{"field": "cost", "op": ">", "arg": 1}, {"field": "cost", "op": "<", "arg": 2}]}`)
	}},
	{"negation matches NULL", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {Source: "x"}, "b": {Source: "y"}, "none": {}})
		d.wants(`{"filters": [{"field": "source", "op": "!=", "arg": "x"}]}`, "b", "none")
		d.wants(`{"filters": [{"field": "source", "op": "! =", "arg": "x"}]}`, "b", "none")
		d.wants(`{"filters": [{"field": "source", "op": "=", "arg": "x"}]}`, "a")
	}},
	{"IN takes a list, and its negation matches NULL", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {Source: "x"}, "b": {Source: "y"}, "c": {Source: "z"}, "none": {}})
		d.wants(`{"filters": [{"field": "source", "op": "IN", "arg": ["x", "y", "elsewhere"]}]}`, "a", "b")
		d.wants(`{"filters": [{"field": "source", "op": "IN", "arg": []}]}`)
		d.wants(`{"filters": [{"field": "source", "op": "!IN", "arg": ["x", "y"]}]}`, "c", "none")
		d.wants(`{"filters": [{"field": "source", "op": "! IN", "arg": []}]}`, "a", "b", "c", "none")
		d.wants(`{"filters": [{"field": "id", "op": "IN", "arg": ["b", "none", "elsewhere"]}]}`, "b", "none")
	}},
	{"orders and limits", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {Cost: 2}, "b": {Cost: 3}, "c": {Cost: 2}, "d": {Cost: 1}})
		d.wants(`{"order_by": [{"field": "cost", "direction": "DESC"}], "limit": 3}`, "b", "a", "c")
		d.wants(`{"order_by": [{"field": "cost"}, {"field": "id", "direction": "DESC"}]}`, "d", "c", "a", "b")
	}},
	{"an unknown field in a filter is an error", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {Cost: 1}})
		q := must[*persistence.Query](t)(persistence.ParseQuery([]byte(`{"filters": [{"field": "kost", "op": "=", "arg": 1}]}`)))
		_, err := d.Count(d.ctx, q)
		if err == nil || !strings.Contains(err.Error(), `"kost"`) || !strings.Contains(err.Error(), `"cost"`) {
			t.Errorf("got %v", err)
		}
		n, err := d.Update(d.ctx, q, func(any) error { t.Error("called"); return nil })
		if err == nil || n != 0 {
			t.Errorf("an update changed %d jobs: %v", n, err)
		}
		if n, err := d.RemoveAll(d.ctx, q); err == nil || n != 0 {
			t.Errorf("%d jobs were removed: %v", n, err)
		}
	}},
	{"an update sets the given fields and returns the row count", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {State: "NEW", Source: "x"}, "b": {State: "NEW"}, "c": {State: "DONE"}})
		q := &persistence.Query{State: []string{"NEW"}}
		set := func(obj any) error { obj.(*DAOJob).State = "RUNNING"; return nil }
		if n, err := d.Update(d.ctx, q, set); n != 2 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
		d.wants(`{"filters": [{"field": "state", "op": "=", "arg": "RUNNING"}]}`, "a", "b")
		d.wants(`{"filters": [{"field": "source", "op": "=", "arg": "x"}]}`, "a")
		if n, err := d.Update(d.ctx, q, set); n != 0 || err != nil {
			t.Errorf("nothing is new any more: %d rows, %v", n, err)
		}
	}},
	{"jobs by their status", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {State: "NEW"}, "b": {State: "DONE"}, "c": {State: "NEW"}})
		d.wants(`{"filters": [{"field": "state", "op": "=", "arg": "NEW"}]}`, "a", "c")
		want := []persistence.Group{{Value: "DONE", Count: 1}, {Value: "NEW", Count: 2}}
		if diff := cmp.Diff(want, must[[]persistence.Group](t)(d.CountBy(d.ctx, "state", nil))); diff != "" {
			t.Error(diff)
		}
	}},
	{"claimed jobs have the status CLAIMED, and nobody else has them", func(t *testing.T, d *dao) {
		d.insert(map[persistence.ID]*DAOJob{"a": {State: "NEW"}, "b": {State: "DONE"}, "c": {State: "NEW"}})
		claim := func() int {
			claims := must[[]*persistence.Claim](t)(d.Claim(d.ctx, &persistence.Query{State: []string{"NEW"}},
				persistence.ClaimOptions{Owner: "worker", Lease: time.Hour, Limit: 10, State: "CLAIMED"}))
			for _, c := range claims {
				if job := must[*DAOJob](t)(persistence.LoadClaimed[DAOJob](d.ctx, c)); job.State != "CLAIMED" {
					t.Errorf("%s is %s", c.ID(), job.State)
				}
			}
			return len(claims)
		}
		if first, second := claim(), claim(); first != 2 || second != 0 {
			t.Errorf("%d and %d were claimed", first, second)
		}
		d.wants(`{"filters": [{"field": "state", "op": "=", "arg": "CLAIMED"}]}`, "a", "c")
	}},
	{"key-value pairs are set, replaced and got beside the jobs", func(t *testing.T, d *dao) {
		kv := d.KV()
		d.insert(map[persistence.ID]*DAOJob{"a": {}})
		for i := range 3 {
			check(t, kv.Set(d.ctx, "a", map[string]any{"n": int64(i)}))
		}
		if got := must[any](t)(kv.Get(d.ctx, "a")); !cmp.Equal(got, any(map[string]any{"n": int64(2)})) {
			t.Errorf("got %v", got)
		}
		for p, err := range kv.Range(d.ctx, "") {
			if check(t, err); p.Key != "a" || p.Created.IsZero() || p.Modified.Before(p.Created) {
				t.Errorf("got %+v", p)
			}
		}
		d.wants(`{}`, "a")
	}},
	{"flush leaves nothing", func(t *testing.T, d *dao) {
		for i := range 300 {
			d.insert(map[persistence.ID]*DAOJob{persistence.ID(fmt.Sprint("job ", i)): {}})
		}
		if n, err := d.RemoveAll(d.ctx, nil); n != 300 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
		d.wants(`{}`)
	}},
}

func TestBehavioursOfJobmansDAO(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s := open(t, url, &daoOptions)
		for _, b := range daoBehaviours {
			t.Run(b.name, func(t *testing.T) {
				must[int64](t)(s.RemoveAll(t.Context(), nil))
				b.test(t, &dao{s, t, t.Context()})
			})
		}
	})
}
