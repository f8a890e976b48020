package persistence_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

var backendNames = []string{"mem", "fs", "sqlite", "postgres", "mariadb"}

// pairsOfBackends runs a test on each pair of backends.
func pairsOfBackends(t *testing.T, test func(t *testing.T, from, to string)) {
	t.Helper()
	t.Parallel()
	for _, from := range backendNames {
		for _, to := range backendNames {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				test(t, storeURL(t, from), storeURL(t, to))
			})
		}
	}
}

// storedRecord is all that is stored of a record, but its claim.
type storedRecord struct {
	Info  persistence.Info
	Bytes string
}

func everyRecord(t testing.TB, s *persistence.Store) map[persistence.ID]storedRecord {
	t.Helper()
	all := map[persistence.ID]storedRecord{}
	for r, err := range s.Records(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		all[r.ID] = storedRecord{r.Info, string(r.Bytes)}
	}
	return all
}

// fill saves a graph of 40 tasks, two of them changed again, and some pairs.
func fill(t testing.TB, s *persistence.Store, ids bool) {
	t.Helper()
	ctx := t.Context()
	tasks := make([]*Task, 40)
	for i := range tasks {
		tasks[i] = &Task{Name: fmt.Sprintf("task %d", i), State: "NEW", Prio: i, Files: map[string]*File{"in": {Path: fmt.Sprint(i)}}}
		tasks[i].Later = persistence.RefTo(&File{Path: fmt.Sprint("later ", i)})
	}
	for i, task := range tasks {
		task.Deps = []*Task{tasks[(i+1)%len(tasks)]}
	}
	if ids {
		for i, task := range tasks[:5] {
			check(t, s.Insert(ctx, persistence.ID(fmt.Sprintf("täsk/%d", i)), task))
		}
	}
	must[persistence.ID](t)(s.Save(ctx, tasks[0]))
	tasks[3].Prio, tasks[4].State = 300, "DONE"
	must[persistence.ID](t)(s.Save(ctx, tasks[0]))
	tasks[3].Prio = 301
	must[persistence.ID](t)(s.Save(ctx, tasks[0]))
	for i := range 5 {
		check(t, s.KV().Set(ctx, fmt.Sprint("key ", i), map[string]int{"n": i}))
	}
	check(t, s.KV().Set(ctx, "key 0", "again"))
}

func keysOf(t testing.TB, s *persistence.Store) map[string]persistence.Pair {
	t.Helper()
	all := map[string]persistence.Pair{}
	for p, err := range s.KV().Range(t.Context(), "") {
		check(t, err)
		all[p.Key] = p
	}
	return all
}

func TestCopyBetweenBackends(t *testing.T) {
	pairsOfBackends(t, func(t *testing.T, from, to string) {
		ctx := t.Context()
		for _, text := range []bool{false, true} {
			opts := func(fields []extrafields.Field) *persistence.Options {
				o := &persistence.Options{ExtraFields: fields}
				if text {
					o.IDs = idfactory.Sequence("")
				}
				return o
			}
			if text {
				from, to = from+"#table=texts", to+"#table=texts"
				if from[:4] == "file" || to[:4] == "file" {
					continue // one directory has one store
				}
			}
			src := open(t, from, opts(jsonFields))
			fill(t, src, text)
			if _, err := src.Claim(ctx, nil, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 3}); err != nil {
				t.Fatal(err)
			}
			want := everyRecord(t, src)
			if from[:4] != "mem:" { // a program that declares no column
				src = open(t, from, opts(nil))
			}
			dst := open(t, to, opts(nil))
			got, err := persistence.Copy(ctx, dst, src, nil)
			if err != nil || got.Copied != int64(len(want)) || got.Pairs != 5 || got.Same+got.Skipped+got.Overwritten+got.Failed != 0 {
				t.Fatalf("of %d records and 5 pairs: %+v, %v", len(want), got, err)
			}
			seen := dst
			if to[:4] != "mem:" {
				seen = open(t, to, opts(jsonFields))
			}
			have := everyRecord(t, seen)
			if to[:4] == "mem:" { // the handle has no columns
				for id, r := range want {
					r.Info.Fields = map[string]any{}
					want[id] = r
				}
			}
			if d := cmp.Diff(want, have); d != "" {
				t.Errorf("the copy differs (-want +got):\n%s", d)
			}
			if d := cmp.Diff(keysOf(t, src), keysOf(t, dst)); d != "" {
				t.Errorf("the pairs differ (-want +got):\n%s", d)
			}
			for _, c := range must[[]persistence.ColumnInfo](t)(dst.Columns(ctx)) {
				if !c.Complete {
					t.Errorf("column %q was complete, and is not in the copy", c.Name)
				}
			}
			for c, err := range dst.Claims(ctx) {
				t.Errorf("a claim was copied: %v, %v", c, err)
			}
			again, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Snapshot: true})
			if err != nil || again.Same != int64(len(want)) || again.Copied+again.Pairs != 0 {
				t.Errorf("copied again: %+v, %v", again, err)
			}
			if !text {
				id := must[persistence.ID](t)(dst.Save(ctx, &Task{Name: "new"}))
				if _, old := want[id]; old {
					t.Errorf("the ID %q was given out again", id)
				}
			}
		}
	})
}

func TestCopyWithWhatIsThere(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		src, dst := open(t, storeURL(t, "sqlite"), &persistence.Options{ExtraFields: jsonFields}), open(t, url, nil)
		fill(t, src, false)
		want := everyRecord(t, src)
		must[persistence.CopyReport](t)(persistence.Copy(ctx, dst, src, nil))
		ids := slices.Sorted(maps.Keys(want))
		for _, id := range ids[:2] {
			check(t, dst.Replace(ctx, id, &File{Path: "changed in the copy"}))
		}
		check(t, dst.KV().Set(ctx, "key 1", "changed in the copy"))
		changed := everyRecord(t, dst)

		got, err := persistence.Copy(ctx, dst, src, nil)
		wantIs(t, err, persistence.ErrExists, "type")
		if got.Copied+got.Overwritten != 0 {
			t.Errorf("%+v", got)
		}
		if d := cmp.Diff(changed, everyRecord(t, dst)); d != "" {
			t.Errorf("a Copy that fails has changed records:\n%s", d)
		}
		o := &persistence.CopyOptions{Existing: persistence.SkipExisting}
		got, err = persistence.Copy(ctx, dst, src, o)
		if err != nil || got.Skipped != 2 || got.Same != int64(len(want))-2 || got.Pairs != 0 {
			t.Errorf("skipping: %+v, %v", got, err)
		}
		o.Existing, o.DryRun = persistence.OverwriteExisting, true
		got, err = persistence.Copy(ctx, dst, src, o)
		if err != nil || got.Overwritten != 2 || got.Pairs != 1 {
			t.Errorf("overwriting, dry: %+v, %v", got, err)
		}
		if d := cmp.Diff(changed, everyRecord(t, dst)); d != "" {
			t.Errorf("a dry run has changed records:\n%s", d)
		}
		o.DryRun = false
		got, err = persistence.Copy(ctx, dst, src, o)
		if err != nil || got.Overwritten != 2 || got.Same != int64(len(want))-2 || got.Pairs != 1 {
			t.Errorf("overwriting: %+v, %v", got, err)
		}
		for id, r := range everyRecord(t, dst) {
			if r.Bytes != want[id].Bytes {
				t.Errorf("%s was not overwritten", id)
			}
			if rev := r.Info.Revision; slices.Contains(ids[:2], id) && (rev <= changed[id].Info.Revision || rev <= want[id].Info.Revision) {
				t.Errorf("%s has revision %d after %d and %d", id, rev, changed[id].Info.Revision, want[id].Info.Revision)
			}
		}
	})
}

func TestCopyIsRefusedBeforeItWrites(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		src := open(t, storeURL(t, "sqlite"), &persistence.Options{ExtraFields: jsonFields})
		fill(t, src, false)
		clash := []extrafields.Field{extrafields.Of("prio", func(t *Task) string { return t.Name })}
		dst := open(t, url, &persistence.Options{ExtraFields: clash})
		for _, o := range []*persistence.CopyOptions{nil, {DryRun: true}} {
			got, err := persistence.Copy(ctx, dst, src, o)
			if err == nil || !wordIn(err, "prio") || got != (persistence.CopyReport{}) {
				t.Errorf("with a column of another kind: %+v, %v", got, err)
			}
		}
		texts := open(t, "mem:", &persistence.Options{IDs: idfactory.Sequence("")})
		fill(t, texts, true)
		_, err := persistence.Copy(ctx, dst, texts, nil)
		wantIs(t, err, persistence.ErrInvalidID, "texts")
		_, err = persistence.Copy(ctx, dst, dst, nil)
		if err == nil || !wordIn(err, "same store") {
			t.Errorf("onto itself: %v", err)
		}
		_, err = persistence.Copy(ctx, open(t, storeURL(t, "mem"), nil), src, &persistence.CopyOptions{Roots: []persistence.ID{"1", "777"}})
		wantIs(t, err, persistence.ErrNotFound, `"777"`)
		if n := must[int64](t)(dst.Count(ctx, nil)); n != 0 {
			t.Errorf("%d records were written", n)
		}
		if columns := must[[]persistence.ColumnInfo](t)(dst.Columns(ctx)); len(columns) != 1 {
			t.Errorf("columns were made: %v", columns)
		}
	})
}

func TestCopyOfWhatRootsReach(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		src, dst := open(t, storeURL(t, "fs"), nil), open(t, url, nil)
		fill(t, src, false)
		leaf := &File{Path: "leaf"}
		lazy := &Task{Name: "lazy", Files: map[string]*File{"x": leaf}}
		root := &Task{Name: "root", Deps: []*Task{lazy}, Later: persistence.RefTo(&File{Path: "by a Ref"})}
		root.Any = []any{root}
		id := must[persistence.ID](t)(src.Save(ctx, root))
		for _, snapshot := range []bool{true, false} {
			got, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Roots: []persistence.ID{id}, NoPairs: true, Snapshot: snapshot})
			if err != nil || got.Copied+got.Same != 4 || got.Pairs != 0 {
				t.Errorf("%+v, %v", got, err)
			}
		}
		back := must[*Task](t)(persistence.Load[Task](ctx, dst, id))
		if back.Deps[0].Files["x"].Path != "leaf" || must[*File](t)(back.Later.Get(ctx, dst)).Path != "by a Ref" {
			t.Errorf("loaded from the copy: %+v", back)
		}
		if n := len(keysOf(t, dst)); n != 0 {
			t.Errorf("%d pairs were copied", n)
		}
		got, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Query: &persistence.Query{State: []string{"DONE"}}, NoPairs: true})
		if err != nil || got.Copied != 1 {
			t.Errorf("by a query: %+v, %v", got, err)
		}
	})
}

func TestCopyLeavesOutWhatIsDamaged(t *testing.T) {
	damaged(t, 400, []persistence.ID{"2", "270"}, func(t *testing.T, s *persistence.Store, dropped int) {
		dst := open(t, "mem:", nil)
		var done, total int64
		o := &persistence.CopyOptions{Progress: func(d, n int64) { done, total = d, n }}
		got, err := persistence.Copy(t.Context(), dst, s, o)
		if err == nil || !wordIn(err, "could not be read") || got.Failed != 2 || got.Copied != 398 {
			t.Errorf("%+v, %v", got, err)
		}
		if !wordIn(err, `"2"`) || !wordIn(err, `"270"`) {
			t.Errorf("the error must name them: %v", err)
		}
		if done != 400 || total < 400 {
			t.Errorf("%d of %d are done", done, total)
		}
	})
}

func TestCopyThatWasCutOffIsFinished(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		src, dst := open(t, storeURL(t, "mem"), &persistence.Options{ExtraFields: jsonFields}), open(t, url, nil)
		tasks := make([]any, 1500)
		for i := range tasks {
			tasks[i] = &Task{Name: fmt.Sprint(i), Prio: i}
		}
		must[[]persistence.ID](t)(src.SaveAll(t.Context(), tasks...))
		fill(t, src, false)
		want := everyRecord(t, src)
		var sum persistence.CopyReport
		for cut := range 4 {
			ctx, cancel := context.WithCancel(t.Context())
			batches := 0
			got, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Progress: func(int64, int64) {
				if batches++; batches > cut {
					cancel()
				}
			}})
			cancel()
			if err == nil {
				t.Fatalf("cut off after batch %d, Copy has succeeded", cut)
			}
			sum.Copied += got.Copied
		}
		got, err := persistence.Copy(t.Context(), dst, src, nil)
		if err != nil || sum.Copied+got.Copied != int64(len(want)) || got.Same != sum.Copied || sum.Copied == 0 {
			t.Errorf("%d were copied before, and then: %+v, %v", sum.Copied, got, err)
		}
		have := everyRecord(t, dst)
		for id, r := range want {
			if have[id].Bytes != r.Bytes || have[id].Info.Revision != r.Info.Revision {
				t.Fatalf("%s is not in the copy, or otherwise", id)
			}
		}
	})
}

func TestCopyMakesTheIndexes(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx := t.Context()
		from := storeURL(t, "sqlite")
		src := open(t, from, &persistence.Options{
			ExtraFields: []extrafields.Field{jsonFields[0].Unique(), jsonFields[1]},
			Indexes:     []persistence.Index{{Columns: []string{"state", "prio"}}},
		})
		for i := range 300 {
			must[persistence.ID](t)(src.Save(ctx, &Task{Name: fmt.Sprint("name ", i), State: "NEW", Prio: i}))
		}
		src, dst := open(t, from, nil), open(t, url, nil)
		got, err := persistence.Copy(ctx, dst, src, nil)
		if err != nil || got.Copied != 300 {
			t.Fatalf("%+v, %v", got, err)
		}
		unique := map[string]bool{}
		for _, c := range must[[]persistence.ColumnInfo](t)(dst.Columns(ctx)) {
			unique[c.Name] = c.Unique
		}
		if d := cmp.Diff(map[string]bool{"name": true, "prio": false}, unique); d != "" {
			t.Errorf("columns of the copy that are unique (-want +got):\n%s", d)
		}
		other := open(t, storeURL(t, "mem"), &persistence.Options{ExtraFields: []extrafields.Field{jsonFields[0]}})
		check(t, other.Insert(ctx, "1000", &Task{Name: "name 7"}))
		got, err = persistence.Copy(ctx, dst, other, nil)
		wantIs(t, err, persistence.ErrUnique, "name")
		if got.Copied != 0 {
			t.Errorf("%+v", got)
		}
		// Two records of one batch exchange their names.
		full := open(t, from, &persistence.Options{ExtraFields: []extrafields.Field{jsonFields[0], jsonFields[1]}})
		check(t, full.Replace(ctx, "1", &Task{Name: "tmp"}))
		check(t, full.Replace(ctx, "2", &Task{Name: "name 0"}))
		check(t, full.Replace(ctx, "1", &Task{Name: "name 1"}))
		got, err = persistence.Copy(ctx, dst, full, &persistence.CopyOptions{Existing: persistence.OverwriteExisting})
		if err != nil || got.Overwritten != 2 {
			t.Errorf("two records that exchange unique values: %+v, %v", got, err)
		}
	})
}
