package jobstore_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/jobstore"
	"github.com/brine-go/brine/persistence/mem"
	"github.com/brine-go/brine/url"
)

func TestMain(m *testing.M) {
	testserver.Main(m, func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// Job is the job of most tests.
type Job struct {
	persistence.Persistable
	Name string
	Next time.Time
	Runs int
	Note *Note
}

// Note is an object that jobs refer to.
type Note struct {
	persistence.Persistable
	Text string
}

// Other is a job of another program.
type Other struct {
	persistence.Persistable
	Name string
	Next time.Time
}

// Unregistered is a job whose type is not registered.
type Unregistered struct {
	persistence.Persistable
	Name string
	Next time.Time
}

func init() {
	persistence.Register[Job]("jobstore_test.Job")
	persistence.Register[Note]("jobstore_test.Note")
	persistence.Register[Other]("jobstore_test.Other")
}

func options() jobstore.Options[Job] {
	return jobstore.Options[Job]{
		ID:          func(j *Job) string { return j.Name },
		NextRunTime: func(j *Job) time.Time { return j.Next },
		Store:       persistence.Options{Logger: slog.New(slog.DiscardHandler)},
	}
}

func otherOptions() jobstore.Options[Other] {
	return jobstore.Options[Other]{
		ID:          func(j *Other) string { return j.Name },
		NextRunTime: func(j *Other) time.Time { return j.Next },
		Store:       options().Store,
	}
}

// A site is the location of the jobs of one test.
type site struct {
	url string       // "" for mem
	mem *mem.Backend // nil unless on mem
}

// backends runs a test on every backend.
func backends(t *testing.T, test func(t *testing.T, at site)) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{"mem", "fs", "sqlite", "postgres", "mariadb"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newSite(t, name))
		})
	}
}

func newSite(t testing.TB, backend string) site {
	switch backend {
	case "mem":
		return site{mem: mem.New(driver.OpenOptions{})}
	case "fs":
		return site{url: "file:" + filepath.Join(t.TempDir(), "jobs")}
	case "sqlite":
		return site{url: "sqlite:" + filepath.Join(t.TempDir(), "jobs.db")}
	case "postgres":
		s := testserver.SharedPostgres(t)
		return site{url: s.URL(s.NewDB(t))}
	case "mariadb":
		s := testserver.SharedMariaDB(t)
		return site{url: s.URL(s.NewDB(t))}
	}
	t.Fatalf("no backend %q", backend)
	return site{}
}

// open opens the job store of the site, a new handle each time.
func open[J any, P interface {
	*J
	persistence.Object
}](t testing.TB, at site, o jobstore.Options[J]) *jobstore.Store[J] {
	t.Helper()
	var s *jobstore.Store[J]
	var err error
	if at.mem != nil {
		s, err = jobstore.New[J, P](t.Context(), at.mem.Handle(), o)
	} else {
		s, err = jobstore.Open[J, P](t.Context(), at.url, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// damage changes a byte in the middle of a stored job, without using the store.
func (at site) damage(t testing.TB, id string) {
	t.Helper()
	var b driver.Backend
	if at.mem != nil {
		b = at.mem.Handle()
	} else {
		u := must[url.URL](t)(url.Parse(at.url))
		opener, _ := driver.Lookup(u.Scheme())
		b = must[driver.Backend](t)(opener(t.Context(), u, driver.OpenOptions{Table: "jobs", Logger: slog.New(slog.DiscardHandler)}))
	}
	defer b.Close()
	must[driver.Meta](t)(b.Init(t.Context(), driver.Schema{}))
	var recs []driver.Record
	err := b.View(t.Context(), func(r driver.Reader) (err error) {
		recs, err = r.Get(t.Context(), []driver.ID{driver.ID(id)}, driver.Info|driver.Data)
		return err
	})
	if err != nil || len(recs) != 1 {
		t.Fatalf("job %q: %v, %v", id, recs, err)
	}
	rec := recs[0]
	rec.Data = append([]byte(nil), rec.Data...)
	rec.Data[len(rec.Data)/2] ^= 0x55
	must[[]int64](t)(b.Apply(t.Context(), []driver.Mutation{{Op: driver.Update, Rec: rec}}))
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want %v", err, target)
	}
}

// base is an arbitrary time with microseconds.
var base = time.Date(2031, 5, 3, 17, 4, 5, 123456000, time.UTC)

// at returns the time minutes after base.
func at(minutes int) time.Time { return base.Add(time.Duration(minutes) * time.Minute) }

// add adds jobs that are to run at the given minutes; a negative number means paused.
func add(t testing.TB, s *jobstore.Store[Job], minutes map[string]int) {
	t.Helper()
	for name, m := range minutes {
		j := &Job{Name: name}
		if m >= 0 {
			j.Next = at(m)
		}
		check(t, s.Add(t.Context(), j))
	}
}

func names(jobs []*Job) []string {
	list := []string{}
	for _, j := range jobs {
		list = append(list, j.Name)
	}
	return list
}

func acquiredNames(jobs []*jobstore.Acquired[Job]) []string {
	list := []string{}
	for _, a := range jobs {
		list = append(list, a.Job().Name)
	}
	return list
}
