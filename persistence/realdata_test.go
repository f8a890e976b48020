package persistence_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence"
)

// realData opens a file of real task graphs, which are not part of the project. It looks in
// BRINE_DATA, or else beside the project.
func realData(t *testing.T, name string) io.Reader {
	t.Helper()
	dir := os.Getenv("BRINE_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("no real data: %v (set BRINE_DATA to a folder that has it)", err)
	}
	t.Cleanup(func() { f.Close() })
	if !strings.HasSuffix(name, ".gz") {
		return f
	}
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return zr
}

// lines decodes a file with one JSON object per line.
func lines[T any](t *testing.T, r io.Reader) []T {
	t.Helper()
	var all []T
	dec := json.NewDecoder(bufio.NewReader(r))
	for {
		var v T
		if err := dec.Decode(&v); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
}

// Package is a node of the Debian graph; Commit and Module are those of the others.
type Package struct {
	persistence.Persistable
	Name, Version, Arch, Section, Priority, Source string
	Size, InstalledSize                            int64
	Depends, Recommends, Suggests                  []*Package
}

type Commit struct {
	persistence.Persistable
	Hash    string
	Time    int64
	Parents []*Commit
}

type Module struct {
	persistence.Persistable
	Key, Path, Version string
	Requires           []*Module
}

// Archive holds the roots of a real graph.
type Archive struct {
	persistence.Persistable
	Packages []*Package
	Commits  []*Commit
	Modules  []*Module
}

func init() {
	persistence.Register[Package]("real.Package")
	persistence.Register[Commit]("real.Commit")
	persistence.Register[Module]("real.Module")
	persistence.Register[Archive]("real.Archive")
	persistence.Register[WfTask]("real.WfTask")
	persistence.Register[WfFile]("real.WfFile")
	persistence.Register[Workflow]("real.Workflow")
}

// debian returns the packages of Debian that a web server needs: all 3,982, or the first 500 of
// them with the dependencies among these. The short form always gets 250.
func debian(t *testing.T, whole bool) *Archive {
	type line struct {
		Name, Version, Arch, Section, Priority, Source string
		Size                                           int64
		InstalledSize                                  int64 `json:"installed_size"`
		Depends, Recommends, Suggests                  []string
	}
	rows := lines[line](t, realData(t, "debian/bookworm-web.jsonl.gz"))
	if whole = whole && !testing.Short(); !whole {
		rows = rows[:some(500)]
	}
	byName := make(map[string]*Package, len(rows))
	a := &Archive{}
	for _, l := range rows {
		p := &Package{Name: l.Name, Version: l.Version, Arch: l.Arch, Section: l.Section, Priority: l.Priority,
			Source: l.Source, Size: l.Size, InstalledSize: l.InstalledSize}
		byName[l.Name] = p
		a.Packages = append(a.Packages, p)
	}
	resolve := func(names []string) (ps []*Package) {
		for _, n := range names {
			if p := byName[n]; p != nil || whole {
				ps = append(ps, p)
			}
		}
		return ps
	}
	for i, l := range rows {
		p := a.Packages[i]
		p.Depends, p.Recommends, p.Suggests = resolve(l.Depends), resolve(l.Recommends), resolve(l.Suggests)
	}
	return a
}

// some returns n, or half of it in the short form.
func some(n int) int {
	if testing.Short() {
		return n / 2
	}
	return n
}

// commits returns the history of Prometheus: all 18,400 commits, or the first 1,000 with the
// parents among them. The short form always gets 500.
func commits(t *testing.T, whole bool) *Archive {
	rows := lines[struct {
		ID      string
		Time    int64
		Parents []string
	}](t, realData(t, "git-commits/prometheus.jsonl.gz"))
	if whole = whole && !testing.Short(); !whole {
		rows = rows[:some(1000)]
	}
	byID := make(map[string]*Commit, len(rows))
	a := &Archive{}
	for _, l := range rows {
		c := &Commit{Hash: l.ID, Time: l.Time}
		byID[l.ID] = c
		a.Commits = append(a.Commits, c)
	}
	for i, l := range rows {
		for _, id := range l.Parents {
			if p := byID[id]; p != nil || whole {
				a.Commits[i].Parents = append(a.Commits[i].Parents, p)
			}
		}
	}
	return a
}

func modules(t *testing.T) *Archive {
	rows := lines[struct {
		ID, Path, Version string
		Requires          []string
	}](t, realData(t, "gomod/viper-1.8.1.jsonl.gz"))
	byID := make(map[string]*Module, len(rows))
	a := &Archive{}
	for _, l := range rows {
		m := &Module{Key: l.ID, Path: l.Path, Version: l.Version}
		byID[l.ID] = m
		a.Modules = append(a.Modules, m)
	}
	for i, l := range rows {
		for _, r := range l.Requires {
			a.Modules[i].Requires = append(a.Modules[i].Requires, byID[r])
		}
	}
	return a
}

// flat returns a graph with names in place of pointers, so that two can be compared.
func flat(t *testing.T, a *Archive) map[string]any {
	t.Helper()
	out := make(map[string]any)
	names := func(ps []*Package) (ns []string) {
		for _, p := range ps {
			if p != nil {
				ns = append(ns, p.Name)
			}
		}
		return ns
	}
	one := make(map[string]any) // one name, one pointer
	same := func(name string, ptr any) {
		if old, ok := one[name]; ok && old != ptr {
			t.Errorf("two objects for %s", name)
		}
		one[name] = ptr
	}
	for _, p := range a.Packages {
		out[p.Name] = []any{p.Version, p.Arch, p.Section, p.Priority, p.Source, p.Size, p.InstalledSize,
			names(p.Depends), names(p.Recommends), names(p.Suggests)}
		for _, q := range slices.Concat([]*Package{p}, p.Depends, p.Recommends, p.Suggests) {
			same(q.Name, q)
		}
	}
	for _, c := range a.Commits {
		var parents []string
		for _, p := range c.Parents {
			parents = append(parents, p.Hash)
			same(p.Hash, p)
		}
		same(c.Hash, c)
		out[c.Hash] = []any{c.Time, parents}
	}
	for _, m := range a.Modules {
		var requires []string
		for _, r := range m.Requires {
			requires = append(requires, r.Key)
			same(r.Key, r)
		}
		same(m.Key, m)
		out[m.Key] = []any{m.Path, m.Version, requires}
	}
	return out
}

func TestRealGraphsRoundTrip(t *testing.T) {
	t.Parallel()
	for name, load := range map[string]func(t *testing.T, url string) *Archive{
		"debian": func(t *testing.T, url string) *Archive {
			return debian(t, long() || url == "mem:" || strings.HasPrefix(url, "sqlite:") || strings.HasPrefix(url, "postgres:"))
		},
		"git-commits": func(t *testing.T, url string) *Archive { return commits(t, long() || url == "mem:") },
		"gomod":       func(t *testing.T, _ string) *Archive { return modules(t) },
	} {
		t.Run(name, func(t *testing.T) {
			backends(t, func(t *testing.T, url string) {
				s, ctx := open(t, url, nil), t.Context()
				a := load(t, url)
				want := flat(t, a)
				id := must[persistence.ID](t)(s.Save(ctx, a))
				if n := must[int64](t)(s.Count(ctx, nil)); n != int64(len(want)+1) {
					t.Fatalf("%d records, want %d", n, len(want)+1)
				}
				got := must[*Archive](t)(persistence.Load[Archive](ctx, s, id))
				if diff := cmp.Diff(want, flat(t, got)); diff != "" {
					t.Fatal(diff)
				}
			})
		})
	}
}

// revisions returns the sum of all revisions of a store: each record written increases it by
// one.
func revisions(t *testing.T, s *persistence.Store) (sum int64) {
	t.Helper()
	for info, err := range s.StatAll(t.Context(), nil, "revision") {
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Revision
	}
	return sum
}

func TestDebianGraphSavedAgainWritesNothingAndOneChangeOneRow(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		s, ctx := open(t, url, nil), t.Context()
		id := must[persistence.ID](t)(s.Save(ctx, debian(t, url == "mem:" || long())))
		before := revisions(t, s)
		a := must[*Archive](t)(persistence.Load[Archive](ctx, s, id))
		must[persistence.ID](t)(s.Save(ctx, a))
		if now := revisions(t, s); now != before {
			t.Fatalf("saving the loaded graph again wrote %d rows", now-before)
		}
		a.Packages[100].Version += "+new"
		must[persistence.ID](t)(s.Save(ctx, a))
		if now := revisions(t, s); now != before+1 {
			t.Fatalf("after one change %d rows were written", now-before)
		}

		otherKind := "sqlite"
		if strings.HasPrefix(url, "sqlite") {
			otherKind = "fs"
		}
		otherURL := storeURL(t, otherKind)
		other := open(t, otherURL, nil)
		copied := must[persistence.ID](t)(other.Save(ctx, a))
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		other = open(t, otherURL, nil)
		n := must[int64](t)(other.Count(ctx, nil))
		got := must[*Archive](t)(persistence.Load[Archive](ctx, other, copied))
		if diff := cmp.Diff(flat(t, a), flat(t, got)); diff != "" {
			t.Fatalf("the copy differs: %s", diff)
		}
		must[persistence.ID](t)(other.Save(ctx, a))
		if now := must[int64](t)(other.Count(ctx, nil)); now != n {
			t.Fatalf("saving in the reopened store made %d records of %d", now, n)
		}
	})
}

// WfTask, WfFile and Workflow hold a WfFormat 1.5 instance.
type WfTask struct {
	persistence.Persistable
	Key, Name         string
	Parents, Children []*WfTask
	Inputs, Outputs   []*WfFile
	Runtime           float64
	Extra             map[string]any
}

type WfFile struct {
	persistence.Persistable
	Key  string
	Size int64
}

type Workflow struct {
	persistence.Persistable
	Name  string
	Tasks map[string]*WfTask
	Files map[string]*WfFile
}

func workflow(t *testing.T, name string) *Workflow {
	var doc struct {
		Name     string
		Workflow struct {
			Specification struct {
				Tasks []struct {
					ID, Name                                   string
					Parents, Children, InputFiles, OutputFiles []string
				}
				Files []struct {
					ID          string
					SizeInBytes int64
				}
			}
			Execution struct {
				Tasks []map[string]any
			}
		}
	}
	if err := json.NewDecoder(realData(t, "wfinstances/"+name)).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	w := &Workflow{Name: doc.Name, Tasks: map[string]*WfTask{}, Files: map[string]*WfFile{}}
	for _, f := range doc.Workflow.Specification.Files {
		w.Files[f.ID] = &WfFile{Key: f.ID, Size: f.SizeInBytes}
	}
	for _, task := range doc.Workflow.Specification.Tasks {
		w.Tasks[task.ID] = &WfTask{Key: task.ID, Name: task.Name}
	}
	for _, spec := range doc.Workflow.Specification.Tasks {
		task := w.Tasks[spec.ID]
		for _, p := range spec.Parents {
			task.Parents = append(task.Parents, w.Tasks[p])
		}
		for _, c := range spec.Children {
			task.Children = append(task.Children, w.Tasks[c])
		}
		for _, f := range spec.InputFiles {
			task.Inputs = append(task.Inputs, w.Files[f])
		}
		for _, f := range spec.OutputFiles {
			task.Outputs = append(task.Outputs, w.Files[f])
		}
	}
	for _, x := range doc.Workflow.Execution.Tasks {
		if task := w.Tasks[x["id"].(string)]; task != nil {
			task.Extra = x
			task.Runtime, _ = x["runtimeInSeconds"].(float64)
		}
	}
	return w
}

func flatWorkflow(w *Workflow) map[string]any {
	out := map[string]any{"": w.Name}
	for k, f := range w.Files {
		out["file "+k] = []any{f.Key, f.Size}
	}
	for k, task := range w.Tasks {
		var refs []string
		for _, p := range task.Parents {
			refs = append(refs, "p "+p.Key)
		}
		for _, c := range task.Children {
			refs = append(refs, "c "+c.Key)
		}
		for _, f := range task.Inputs {
			refs = append(refs, "i "+f.Key)
		}
		for _, f := range task.Outputs {
			refs = append(refs, "o "+f.Key)
		}
		out["task "+k] = []any{task.Key, task.Name, refs, task.Runtime, maps.Clone(task.Extra)}
	}
	return out
}

func TestRealWorkflowsRoundTrip(t *testing.T) {
	t.Parallel()
	names := []string{
		"blast-chameleon-large-001.json", "srasearch-chameleon-50a-003.json", "1000genome-chameleon-8ch-250k-001.json.gz",
		"cycles-chameleon-1l-2c-9p-001.json.gz", "seismology-chameleon-300p-001.json.gz", "viralrecon-dirt02-001.json.gz",
	}
	if testing.Short() {
		names = names[:2] // the small ones
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			backends(t, func(t *testing.T, url string) {
				s, ctx := open(t, url, nil), t.Context()
				w := workflow(t, name)
				id := must[persistence.ID](t)(s.Save(ctx, w))
				got := must[*Workflow](t)(persistence.Load[Workflow](ctx, s, id))
				if diff := cmp.Diff(flatWorkflow(w), flatWorkflow(got)); diff != "" {
					t.Fatal(diff)
				}
				for _, task := range got.Tasks {
					for _, f := range slices.Concat(task.Inputs, task.Outputs) {
						if got.Files[f.Key] != f {
							t.Fatalf("two objects for the file %s", f.Key)
						}
					}
				}
			})
		})
	}
}
