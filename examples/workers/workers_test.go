package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var shared = []string{"sqlite", "file", "postgres", "mariadb"}

func TestAllJobsAreDoneExactlyOnce(t *testing.T) {
	benches(t, shared, func(b *bench) {
		total := 0
		for _, n := range []int{60, 5} { // the second run goes on counting
			total += n
			out, err := b.program("-jobs", fmt.Sprint(n), "-engines", "3", "-lease", "10m", "-batch", "5")
			if err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			found, subs := b.found(), 0
			for i := range total {
				if j := found[fmt.Sprintf("counter/%d", i+1)]; j == nil || j.IsBatch() {
					b.Errorf("job %d is not there", i+1)
				}
			}
			singles := 0
			for key, j := range found {
				if j.State != Completed || !j.Purgeable || j.Attempts != 1 || j.EngineKey == "" || j.WorkerKey == "" || len(j.Errors) > 0 {
					b.Errorf("%s: %+v, want it COMPLETED after one attempt", key, j)
				}
				if j.IsBatch() {
					for _, ref := range j.BatchMeta.SubJobs {
						sub, err := ref.Get(b.Context(), b.store)
						if err != nil || sub.ParentBatchKey != key || sub.EngineKey != j.EngineKey || !sub.Batchable {
							b.Errorf("%s has %+v (%v)", key, sub, err)
						}
						subs++
					}
					continue
				}
				if singles++; j.ParentBatchKey != "" {
					subs--
				}
				if want, err := j.JobSpec.hash(b.Context(), key); j.Result != want || err != nil {
					b.Errorf("%s: result %q, want %q (%v)", key, j.Result, want, err)
				}
			}
			if singles != total || subs != 0 || len(found) == singles {
				b.Errorf("%d jobs in %d records, %d more in batches than belong to one; want %d, some batches and 0", singles, len(found), subs, total)
			}
			for c, err := range b.store.Claims(b.Context()) {
				b.Errorf("%v is still claimed (%v)", c, err)
			}
		}
	})
}

// launchAll starts a manager, a worker and an engine on the job files.
func (b *bench) launchAll(lease string) (engine *process, others []*process) {
	b.Helper()
	if err := refill(b.Context(), b.store, b.dir, 0); err != nil {
		b.Fatal(err)
	}
	others = []*process{b.launch("-lease", lease, "manager"), b.launch("-lease", lease, "worker")}
	return b.launch("-lease", lease, "engine"), others
}

func TestWhatKilledProcessesLeftIsDoneByOthersAfterTheLease(t *testing.T) {
	benches(t, shared, func(b *bench) {
		for _, f := range []struct{ name, how string }{{"a", "go"}, {"b", "wait"}, {"c", "fail"}, {"d", "go"}} {
			b.file(f.name, f.how, true)
		}
		if err := os.WriteFile(filepath.Join(b.dir, "e.json"), []byte("{"), 0o600); err != nil {
			b.Fatal(err)
		}
		engine, others := b.launchAll("2s")
		b.until("b runs", func() bool { return b.noted("begin b") == 1 })
		for _, p := range append(others, engine) {
			if err := p.end(true); err == nil {
				b.Fatal("a process has ended before it was killed")
			}
		}
		name := filepath.Base(b.dir)
		batch := b.found()[name+"/a+"]
		if batch == nil || batch.State != Running || len(batch.BatchMeta.SubJobs) != 4 || b.found()[name+"/a"].State == Batched {
			b.Fatalf("the batch is %+v, want it RUNNING, of 4 jobs, the first one done", batch)
		}
		dead := batch.EngineKey
		if !strings.HasSuffix(dead, fmt.Sprint("-", engine.cmd.Process.Pid)) {
			b.Errorf("the batch is run by %s, want the process %d", dead, engine.cmd.Process.Pid)
		}
		b.open()
		b.file("f", "go", false)
		out, err := b.program("-from", b.dir, "-engines", "2", "-lease", "10m")
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		found := b.found()
		for key, want := range map[string]struct {
			state    State
			attempts int
			result   string
			errors   string
			dead     bool
		}{
			"a":  {Completed, 1, "a " + name + "/a", "", true},
			"b":  {Completed, 2, "b " + name + "/b", "", false},
			"c":  {Failed, 1, "no luck", "exit status 3", false},
			"d":  {Completed, 1, "d " + name + "/d", "", false},
			"a+": {Failed, 2, "", "1 of 4 jobs failed", false},
			"e":  {Failed, 0, "", "e.json: unexpected end", false},
			"f":  {Completed, 1, "f " + name + "/f", "", false},
		} {
			j := found[name+"/"+key]
			if j == nil || j.State != want.state || j.Attempts != want.attempts || j.Result != want.result ||
				!strings.Contains(strings.Join(j.Errors, "; "), want.errors) || (j.EngineKey == dead) != want.dead {
				b.Errorf("%s is %+v, want %+v", key, j, want)
			}
		}
		if len(found) != 7 {
			b.Errorf("%d jobs are stored, want 7", len(found))
		}
		for line, want := range map[string]int{"begin a": 1, "begin b": 2, "begin c": 1, "begin d": 1, "begin f": 1} {
			if n := b.noted(line); n != want {
				b.Errorf("%q was noted %d times, want %d", line, n, want)
			}
		}
		if !strings.Contains(out, "/c failed: exit status 3") {
			b.Errorf("the summary does not say what went wrong:\n%s", out)
		}
	})
}

func TestAFolderThatIsGoneHasNoMoreJobs(t *testing.T) {
	benches(t, []string{"mem"}, func(b *bench) {
		dir := filepath.Join(b.dir, "jobs")
		fill := func(from, to int) {
			b.Helper()
			if err := os.MkdirAll(dir, 0o700); err != nil {
				b.Fatal(err)
			}
			for i := from; i <= to; i++ {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.json", i)), []byte(`{"hash_bytes": 1}`), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			if err := refill(b.Context(), b.store, dir, 0); err != nil {
				b.Fatal(err)
			}
		}
		r := &role{store: b.store, key: "all", lease: time.Hour, batch: 4, keep: time.Hour}
		fill(1, intake+5)
		if _, err := r.receive(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		r.drive(b)
		if n := len(b.found()); n != intake {
			b.Errorf("%d jobs were done, want the %d that were taken before", n, intake)
		}
		fill(intake+1, intake+2)
		r.drive(b)
		if n := len(b.found()); n != intake+2 {
			b.Errorf("%d jobs were done after the folder came back, want %d", n, intake+2)
		}
		for key, j := range b.found() {
			if j.State != Completed {
				b.Errorf("%s is %s", key, j.State)
			}
		}
	})
}

func TestAnEngineThatIsToEndGivesItsBatchBack(t *testing.T) {
	benches(t, []string{"sqlite"}, func(b *bench) {
		b.file("a", "wait", true)
		b.file("b", "wait", true)
		engine, others := b.launchAll("10m")
		b.until("a runs", func() bool { return b.noted("begin a") == 1 })
		for _, p := range append(others, engine) {
			if err := p.end(false); err != nil {
				b.Errorf("a process that was told to end: %v\n%s", err, p.out.String())
			}
		}
		for key, j := range b.found() {
			if want := map[bool]State{true: Pending, false: Batched}[j.IsBatch()]; j.State != want || j.Attempts != 0 {
				b.Errorf("%s is %s after %d attempts, want %s after none", key, j.State, j.Attempts, want)
			}
		}
		b.open()
		if out, err := b.program("-from", b.dir); err != nil { // at once: the claims were given back too
			b.Fatalf("%v\n%s", err, out)
		}
		for key, j := range b.found() {
			if j.State != Completed || j.Attempts != 1 {
				b.Errorf("%s is %s after %d attempts, want COMPLETED after 1", key, j.State, j.Attempts)
			}
		}
		if n := b.noted("end a"); n != 1 {
			b.Errorf("a has ended %d times, want 1: it was to be broken off first", n)
		}
	})
}
