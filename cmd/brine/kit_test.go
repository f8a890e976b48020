package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
	storeurl "github.com/brine-go/brine/url"
)

// asProgram in the environment makes the test binary the command itself.
const asProgram = "BRINE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	testserver.Main(m, stopChromium, func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// The types of the stores in the tests.
type (
	flow struct {
		persistence.Persistable
		Name  string
		Tasks []*task
	}
	task struct {
		persistence.Persistable
		Name, State string
		Priority    int
		Load        float64
		Deps        []*task
		Owner       persistence.Ref[flow]
		Env         map[string]string
		Log         []byte
		Extra       any
	}
)

func init() {
	persistence.Register[flow]("demo.Flow")
	persistence.Register[task]("demo.Task")
}

var demoFields = []extrafields.Field{
	extrafields.Get("name", extrafields.Text, "Name"),
	extrafields.Of("priority", func(t *task) int { return t.Priority }).Indexed(),
	extrafields.Of("load", func(t *task) float64 { return t.Load }),
}

// now is when the tests began. The records of a demo were modified hours and days before.
var now = time.Now()

// demo fills the store at the URL with a flow of four tasks, pairs, a claim that is held and one
// that has expired.
func demo(t testing.TB, url string) {
	t.Helper()
	fill(t, url, &persistence.Options{ExtraFields: demoFields}, func(s *persistence.Store) {
		f := &flow{Name: "nightly"}
		tasks := []*task{
			{Name: "fetch", State: "DONE", Priority: 1, Load: 0.5, Env: map[string]string{"HOME": "/root", "PATH": "/usr/bin:/bin"}},
			{Name: "build", State: "DONE", Priority: 5, Load: 12, Log: []byte("all is well")},
			{Name: "test", State: "FAILED", Priority: 5, Load: 1.25, Extra: []any{1, "two", nil, map[string]any{"deep": true}}},
			{Name: "ship\x1b[31m it\n", State: "NEW", Priority: 9},
		}
		for i, tk := range tasks[1:] {
			tk.Deps = tasks[:i+1]
		}
		f.Tasks = tasks
		tasks[3].Owner = persistence.RefTo(f)
		_, err := s.Save(t.Context(), f)
		check(t, err)
	})
	s := open(t, url, &persistence.Options{ExtraFields: demoFields})
	defer s.Close()
	for key, v := range map[string]any{"limits/parallel": 8, "limits/note": "be quick", "hosts": []string{"a", "b"}} {
		check(t, s.KV().Set(t.Context(), key, v))
	}
	for owner, lease := range map[string]time.Duration{"gone": time.Microsecond, "worker-1": 40 * time.Hour} {
		state := map[string]string{"gone": "FAILED", "worker-1": "NEW"}[owner]
		claims, err := s.Claim(t.Context(), &persistence.Query{State: []string{state}}, persistence.ClaimOptions{Owner: owner, Lease: lease})
		check(t, err)
		if len(claims) != 1 {
			t.Fatalf("%d claims of %s", len(claims), owner)
		}
	}
}

// fill fills the store at the URL with what save saves elsewhere, with times of this package's
// choice.
func fill(t testing.TB, url string, o *persistence.Options, save func(s *persistence.Store)) {
	t.Helper()
	ctx := t.Context()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b := mem.New(driver.OpenOptions{})
	src, err := persistence.New(ctx, b, o)
	check(t, err)
	defer src.Close()
	save(src)
	var changes []driver.Mutation
	check(t, b.View(ctx, func(r driver.Reader) error {
		for rec, err := range r.Scan(ctx, &driver.Query{Parts: driver.Info | driver.Fields | driver.Data | driver.SetNumber}) {
			if err != nil {
				return err
			}
			n := len(changes)
			rec.Created = now.Add(-90 * 24 * time.Hour).UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
			rec.Modified = []time.Time{
				now.Add(-3*time.Hour - 10*time.Minute), now.Add(-20*time.Hour - 10*time.Minute), now.Add(-50 * time.Hour), rec.Created,
			}[n%4].UTC().Truncate(time.Microsecond)
			changes = append(changes, driver.Mutation{Op: driver.Import, Rec: rec, IfRev: rec.Revision})
		}
		return nil
	}))
	_, err = b.Apply(ctx, changes)
	check(t, err)
	dst := open(t, url, o)
	defer dst.Close()
	_, err = persistence.Copy(ctx, dst, src, nil)
	check(t, err)
}

// texts are the options of a store with text IDs, given by the function.
func texts(id func(obj any) persistence.ID) *persistence.Options {
	return &persistence.Options{IDs: idfactory.Func(func(_ context.Context, obj any) (persistence.ID, error) { return id(obj), nil })}
}

func open(t testing.TB, url string, o *persistence.Options) *persistence.Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := persistence.MakeStore(t.Context(), url, o)
	check(t, err)
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stored are the backends whose stores outlast the process that made them.
var stored = []string{"fs", "sqlite", "postgres", "mariadb"}

// backends runs a test with an empty place for a store in each backend.
func backends(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Parallel()
	for _, name := range stored {
		if !sampled(t, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t, name))
		})
	}
}

// sampled reports whether a test runs on a backend. Of the two that keep stores in files, the short
// form takes one, by the name of the test.
func sampled(t *testing.T, backend string) bool {
	if !testing.Short() || backend != "fs" && backend != "sqlite" {
		return true
	}
	return (backend == "fs") == (crc32.ChecksumIEEE([]byte(t.Name()))%2 == 0)
}

// place returns the URL of a place where there is no store yet.
func place(t testing.TB, backend string) string {
	t.Helper()
	switch backend {
	case "fs":
		return "file:" + filepath.Join(t.TempDir(), "demo")
	case "sqlite":
		return "sqlite:" + filepath.Join(t.TempDir(), "demo.db")
	case "postgres":
		s := testserver.SharedPostgres(t)
		return s.URL(s.NewDB(t))
	case "mariadb":
		s := testserver.SharedMariaDB(t)
		return s.URL(s.NewDB(t))
	}
	t.Fatalf("no backend %q", backend)
	return ""
}

// An outcome is what a run of the command did.
type outcome struct {
	code     int
	out, err string
}

// brine runs the command as in a pipe.
func brine(t testing.TB, args ...string) outcome {
	t.Helper()
	return brineWith(t, "", func(*app) {}, args...)
}

// brineWith runs the command with an input, and with what set changes.
func brineWith(t testing.TB, input string, set func(a *app), args ...string) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	a := newApp(strings.NewReader(input), &out, &errOut)
	set(a)
	code := a.run(t.Context(), args)
	return outcome{code, out.String(), errOut.String()}
}

// terminal makes an app believe that its output is a terminal.
func terminal(width int, color bool) func(a *app) {
	return func(a *app) { a.isTerminal, a.width, a.color = true, width, color }
}

// done runs the command as in a pipe and returns its output. It must succeed, without a warning.
func done(t testing.TB, args ...string) string {
	t.Helper()
	o := brine(t, args...)
	if o.code != exitDone || o.err != "" {
		t.Fatalf("brine %s: exit code %d: %s", strings.Join(args, " "), o.code, o.err)
	}
	return o.out
}

// fails runs the command, which must end with the exit code and print each of the texts as errors.
func fails(t testing.TB, code int, texts []string, args ...string) {
	t.Helper()
	o := brine(t, args...)
	failed(t, o, code, texts, args...)
}

func failed(t testing.TB, o outcome, code int, texts []string, args ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("brine %s: exit code %d, want %d: %s%s", strings.Join(args, " "), o.code, code, o.out, o.err)
	}
	for _, text := range texts {
		if !strings.Contains(o.err, text) {
			t.Errorf("brine %s: the errors are\n%s, want %q in them", strings.Join(args, " "), o.err, text)
		}
	}
}

var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with a file in testdata, in which the word URL stands for the URL of the
// store, if one is given.
func golden(t testing.TB, file, url, got string) {
	t.Helper()
	got = normal(url, got)
	path := filepath.Join("testdata", file)
	if *update {
		check(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

var (
	utcTime   = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	localTime = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	date      = regexp.MustCompile(`\d{4}-\d\d-\d\d\b`)
)

// sgrCodes are what colours a text.
var sgrCodes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// normal replaces what differs from run to run.
func normal(url, text string) string {
	if url != "" {
		text = strings.ReplaceAll(strings.ReplaceAll(text, url, "URL"), printed(url), "URL")
	}
	text = utcTime.ReplaceAllString(text, "TIME")
	text = localTime.ReplaceAllString(text, "2026-01-31 12:00:00")
	return date.ReplaceAllString(text, "2026-01-31")
}

// printed returns a URL as it is printed.
func printed(url string) string {
	u, err := storeurl.Parse(url)
	if err != nil {
		return url
	}
	return u.String()
}
