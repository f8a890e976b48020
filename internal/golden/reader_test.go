package golden

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

const readerPath = "../../docs/brine_reader.py"

// findPython finds a Python that has msgpack, "" if there is none.
var findPython = sync.OnceValue(func() string {
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import msgpack").Run() == nil {
			return name
		}
	}
	return ""
})

// python returns a Python that has msgpack, or skips or fails the test.
func python(t *testing.T) string {
	t.Helper()
	if name := findPython(); name != "" {
		return name
	}
	const want = "no python3 with the package msgpack: install python3-msgpack"
	if os.Getenv("BRINE_REQUIRE_SERVERS") == "1" {
		t.Fatal(want)
	}
	t.Skip(want + " (BRINE_REQUIRE_SERVERS=1 makes this an error)")
	return ""
}

// reader runs the reader. Findings of check are no failure.
func reader(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(python(t), append([]string{"-B", readerPath}, args...)...)
	out, err := cmd.Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && (len(e.Stderr) > 0 || args[0] != "check" || len(out) == 0) {
		t.Fatalf("%v: %v\n%s", args, err, e.Stderr)
	}
	return string(out)
}

// A readRecord is a record as the reader prints it.
type readRecord struct {
	ID         string
	Columns    map[string]any
	Type       string
	Format     int
	Refs, Lazy []string
	Value      any
	Damage     string
}

func printed(t *testing.T, args ...string) map[persistence.ID]readRecord {
	t.Helper()
	records := map[persistence.ID]readRecord{}
	d := json.NewDecoder(strings.NewReader(reader(t, append([]string{"print"}, args...)...)))
	for d.UseNumber(); d.More(); {
		var r readRecord
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		r.Value = numbers(r.Value)
		records[persistence.ID(r.ID)] = r
	}
	return records
}

// numbers makes floats of the numbers that Python wrote as such.
func numbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		if f, err := x.Float64(); err == nil && strings.ContainsAny(x.String(), ".e") {
			return f
		}
	case []any:
		for i := range x {
			x[i] = numbers(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = numbers(x[k])
		}
	}
	return v
}

// alike compares what is shown: -0 with 0 are two, and the order of a $map is that of the bytes.
var alike = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmp.FilterPath(func(p cmp.Path) bool {
		in, ok := p.Index(-2).(cmp.MapIndex)
		return ok && in.Key().String() == "$map"
	}, cmpopts.SortSlices(func(a, b any) bool { return fmt.Sprint(a) < fmt.Sprint(b) })),
}

// compareRead compares what the reader prints of a store with what Go says of it.
func compareRead(t *testing.T, s *persistence.Store, got map[persistence.ID]readRecord, load func(persistence.Info) (any, error)) {
	t.Helper()
	found := 0
	for info, err := range s.StatAll(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		found++
		r, ok := got[info.ID]
		if !ok {
			t.Errorf("%q is missing", info.ID)
			continue
		}
		obj, err := load(info)
		if errors.Is(err, persistence.ErrCorrupt) != (r.Damage != "") {
			t.Errorf("%s: Go says %v, the reader %q", info.ID, err, r.Damage)
		}
		if r.Damage != "" {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", info.ID, err)
			continue
		}
		want, refs, lazy := show(obj)
		if info.State == "CLAIMED" { // a claim changed the column alone, and Load gives the field what it says
			want.(map[string]any)["State"] = map[string]string{"golden.task": "DONE", "golden.order": "NEW"}[info.Type]
		}
		if diff := cmp.Diff(want, r.Value, alike); diff != "" {
			t.Errorf("%s, a %s: (-want +got)\n%s", info.ID, info.Type, diff)
		}
		if !slices.Equal(refs, r.Refs) || !slices.Equal(lazy, r.Lazy) {
			t.Errorf("%s refers to %q and lazily to %q, not to %q and %q", info.ID, refs, lazy, r.Refs, r.Lazy)
		}
		if r.Type != info.Type || r.Columns["state"] != info.State || fmt.Sprint(r.Columns["size"]) != fmt.Sprint(info.Size) ||
			fmt.Sprint(r.Columns["revision"]) != fmt.Sprint(info.Revision) {
			t.Errorf("%s is %+v, not %+v", info.ID, r, info)
		}
	}
	if found != len(got) || found == 0 {
		t.Errorf("the reader found %d records, Go %d", len(got), found)
	}
}

// anyOf loads records of the registered types and of those of the golden stores.
func anyOf(t *testing.T, s *persistence.Store) func(persistence.Info) (any, error) {
	return func(i persistence.Info) (any, error) {
		switch i.Type {
		case "golden.Machine":
			return persistence.Load[Machine](t.Context(), s, i.ID)
		case "golden.Plain":
			return persistence.Load[Plain](t.Context(), s, i.ID)
		}
		return s.Load(t.Context(), i.ID)
	}
}

func comparePairs(t *testing.T, s *persistence.Store, got map[persistence.ID]readRecord) {
	t.Helper()
	pairs := collect(t, s.KV().Range(t.Context(), ""))
	for _, p := range pairs {
		want, _, _ := show(p.Value)
		if diff := cmp.Diff(want, got[persistence.ID(p.Key)].Value, alike); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", p.Key, diff)
		}
	}
	if len(pairs) != len(got) {
		t.Errorf("%d pairs, not %d", len(got), len(pairs))
	}
}

func TestReaderInPythonReadsTheGoldenStores(t *testing.T) {
	t.Parallel()
	python(t)
	dir := unpack(t, "fs.tar.gz")
	copied, _ := copySQLite(t)
	db := strings.TrimPrefix(copied, "sqlite:")
	for i, c := range []struct {
		name, url string
		args      []string
		pairs     bool
	}{
		{"store", copied, []string{db}, true},
		{"texts", copied, []string{db, "--table=texts"}, true},
		{"store", "file:" + filepath.Join(dir, "store"), []string{filepath.Join(dir, "store")}, true},
		{"texts", "file:" + filepath.Join(dir, "texts"), []string{filepath.Join(dir, "texts")}, true},
		{"marked", "file:" + filepath.Join(dir, "marked"), []string{filepath.Join(dir, "marked")}, true},
		{"unmarked", "file:" + filepath.Join(dir, "unmarked"), []string{filepath.Join(dir, "unmarked")}, true},
	} {
		if testing.Short() && i%4 != 0 {
			continue // a file and a directory, one of them with a commit to finish
		}
		t.Run(c.name+" of "+strings.Split(c.url, ":")[0], func(t *testing.T) {
			objects := printed(t, c.args...) // before Go opens the store, and finishes a commit
			pairs := printed(t, append(c.args, "--pairs")...)
			checked := reader(t, append([]string{"check"}, c.args...)...)
			o := persistence.Options{Table: c.name}
			if c.name == "texts" {
				o.IDs = idfactory.Sequence("")
			}
			s := open(t, c.url, o)
			compareRead(t, s, objects, anyOf(t, s))
			comparePairs(t, s, pairs)
			if damage := strings.HasPrefix(checked, damaged+"\t"); damage != (c.name == "store") || strings.Count(checked, "\n") > 1 {
				t.Errorf("check found %q", checked)
			}
		})
	}
}

// A Zoned has what the first version of the format lacked, and what is easily read wrong.
type Zoned struct {
	persistence.Persistable
	At    []time.Time
	Any   any
	Texts map[string]any
	Keyed map[any]string
	Times map[string]time.Time
	Next  *Zoned
	Later persistence.Ref[Task]
	List  *Node
}

func init() { persistence.Register[Zoned]("golden.zoned") }

func newYork(t *testing.T) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestReaderInPythonReadsWhatIsWrittenToday(t *testing.T) {
	t.Parallel()
	python(t)
	if testing.Short() {
		t.Skip("Python takes seconds; TestValuesAreStoredAsTheyWere shows that what is written is as in the golden stores")
	}
	for _, backend := range []string{"sqlite", "file"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a store #1%")
			s := open(t, backend+":"+strings.NewReplacer("%", "%25", "#", "%23", " ", "%20").Replace(path), persistence.Options{ExtraFields: fields()})
			if err := insert(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			known := records()
			at := time.Date(2024, 3, 8, 9, 0, 0, 7, newYork(t))
			other := &Zoned{At: []time.Time{at, at.AddDate(0, 0, 3), at.UTC(), at.Local(), at.In(time.FixedZone("Somewhere/Else", -7)), at.In(time.FixedZone("", 60))}}
			late := &Task{Name: "late"}
			z := &Zoned{
				At: []time.Time{}, Next: other, Later: persistence.RefTo(late), Times: map[string]time.Time{"at": at, "zero": {}},
				Any:   []any{at, other, []*Zoned{other, nil}, math.NaN(), math.Inf(-1), "\xff", []any{[]time.Time{at}}, uint64(math.MaxUint64)},
				Texts: map[string]any{"$ref": "no reference", "a.b": 1, "": nil, "\xfe": 2.0},
				Keyed: map[any]string{at: "time", 1.5: "float"},
			}
			for range 300 { // nested deeply
				z.List = &Node{Name: "deep", Next: z.List}
			}
			z.List.Other = z.List
			if _, err := s.SaveAll(t.Context(), z, late); err != nil {
				t.Fatal(err)
			}
			for k, v := range pairs() {
				if err := s.KV().Set(t.Context(), k, v); err != nil {
					t.Fatal(err)
				}
			}
			got := printed(t, path)
			compareRead(t, s, got, func(i persistence.Info) (any, error) {
				var n int
				if _, err := fmt.Sscan(string(i.ID), &n); err == nil && n <= len(known) {
					return known[n-1].load(t, s, i.ID), nil
				}
				return s.Load(t.Context(), i.ID)
			})
			for id, r := range got {
				columns := r.Columns
				if backend == "file" {
					columns = columns["fields"].(map[string]any)
				}
				if info, err := s.Stat(t.Context(), id); err != nil || info.Fields["name"] != columns["name"] || (columns["name"] == "late") != (taskName(r) == "late") {
					t.Errorf("%s has the columns %v, not %v, %v", id, columns, info.Fields, err)
				}
			}
			for _, obj := range []*Zoned{z, other} {
				if r := got[obj.PersistentID()]; r.Format != 2 {
					t.Errorf("%s has format %d, want 2", r.ID, r.Format)
				}
			}
			comparePairs(t, s, printed(t, path, "--pairs"))
			if out := reader(t, "check", path); out != "" {
				t.Errorf("check finds %q in a sound store", out)
			}
			listed := strings.Split(strings.TrimSuffix(reader(t, "list", path), "\n"), "\n")
			if len(listed) != len(got) {
				t.Errorf("%d records are listed, want %d", len(listed), len(got))
			}

			// What is damaged, and what is gone.
			if err := s.Remove(t.Context(), other.PersistentID()); err != nil {
				t.Fatal(err)
			}
			damage(t, backend, path, late.PersistentID())
			found := map[string]bool{}
			for line := range strings.Lines(reader(t, "check", path)) {
				id, text, _ := strings.Cut(line, "\t")
				found[id+" "+strings.Fields(text)[0]] = true
			}
			want := map[string]bool{string(late.PersistentID()) + " the": true, string(z.PersistentID()) + " refers": true}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("check: (-want +got)\n%s", diff)
			}
		})
	}
}

// taskName returns the name of a task, and "" for any other record.
func taskName(r readRecord) string {
	if r.Type != "golden.task" {
		return ""
	}
	return r.Value.(map[string]any)["Name"].(string)
}

// damage changes one bit in the body of a record.
func damage(t *testing.T, backend, path string, id persistence.ID) {
	t.Helper()
	if backend == "file" {
		name := filepath.Join(path, string(id))
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-12] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var b []byte
	if err := db.QueryRow("SELECT data FROM store WHERE id = ?", id).Scan(&b); err != nil {
		t.Fatal(err)
	}
	b[len(b)-7] ^= 1
	if _, err := db.Exec("UPDATE store SET data = ? WHERE id = ?", b, id); err != nil {
		t.Fatal(err)
	}
}

func TestReaderInPythonIsShort(t *testing.T) {
	b, err := os.ReadFile(readerPath)
	if n := strings.Count(string(b), "\n"); err != nil || n >= 200 {
		t.Errorf("%d lines, %v", n, err)
	}
}
