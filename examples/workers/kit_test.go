package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-go/brine/examples/internal/clitest"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "job" {
		job(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	clitest.Reexec(main)
	log.SetOutput(io.Discard)
	testserver.Main(m, func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// job is what the commands of the tests do: note that they have begun, wait for a file, and note
// that they have ended. They end with the folder, too: nothing is left behind.
func job(dir, name, how string) {
	note := func(what string) {
		f, err := os.OpenFile(filepath.Join(dir, "notes"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintln(f, what, name)
			_ = f.Close()
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(4)
		}
	}
	note("begin")
	switch how {
	case "fail":
		fmt.Println("no luck")
		os.Exit(3)
	case "wait":
		for {
			if _, err := os.Stat(filepath.Join(dir, "gate")); err == nil {
				break
			}
			if _, err := os.Stat(dir); err != nil {
				os.Exit(5)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	note("end")
	fmt.Println(name, os.Getenv("JOB_KEY"))
}

// A bench is where a test works: a store, and a folder for job files and what the jobs note.
type bench struct {
	*testing.T
	url, dir string
	store    *persistence.Store
}

// benches runs a test on those kinds of store.
func benches(t *testing.T, kinds []string, test func(b *bench)) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := &bench{T: t, dir: t.TempDir()}
			switch kind {
			case "mem":
				b.url = "mem:"
			case "sqlite":
				b.url = "sqlite:" + filepath.ToSlash(t.TempDir()) + "/jobs.db"
			case "file":
				b.url = "file:" + filepath.ToSlash(t.TempDir()) + "/jobs"
			case "postgres":
				s := testserver.SharedPostgres(t)
				b.url = s.URL(s.NewDB(t))
			case "mariadb":
				s := testserver.SharedMariaDB(t)
				b.url = s.URL(s.NewDB(t))
			}
			var err error
			b.store, err = persistence.MakeStore(t.Context(), b.url, &persistence.Options{
				ExtraFields: columns, IDs: idfactory.UUIDv7(), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := b.store.Close(); err != nil {
					t.Error(err)
				}
			})
			test(b)
		})
	}
}

// file writes a job file whose command is job.
func (b *bench) file(name, how string, batchable bool) {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	data, err := json.Marshal(JobSpec{Command: []string{self, "job", b.dir, name, how}, Batchable: batchable})
	if err == nil {
		err = os.WriteFile(filepath.Join(b.dir, name+".json"), data, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// open lets the jobs go on that wait.
func (b *bench) open() {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "gate"), nil, 0o600); err != nil {
		b.Fatal(err)
	}
}

// noted returns how often something was noted.
func (b *bench) noted(line string) int {
	text, err := os.ReadFile(filepath.Join(b.dir, "notes"))
	if err != nil && !os.IsNotExist(err) {
		b.Fatal(err)
	}
	n := 0
	for l := range strings.Lines(string(text)) {
		if l == line+"\n" {
			n++
		}
	}
	return n
}

// found returns all jobs of the store by their keys; no key may be there twice.
func (b *bench) found() map[string]*Job {
	b.Helper()
	found := map[string]*Job{}
	for j, err := range persistence.All[Job](b.Context(), b.store, nil) {
		if err != nil {
			b.Fatal(err)
		}
		if found[j.Key] != nil {
			b.Fatalf("%s is there twice", j.Key)
		}
		found[j.Key] = j
	}
	return found
}

func (b *bench) until(what string, come func() bool) {
	b.Helper()
	for end := time.Now().Add(time.Minute); !come(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("in vain waited until %s", what)
		}
	}
}
