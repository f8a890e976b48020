package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A webTask is a record of the pages under test.
type webTask struct {
	persistence.Persistable
	Name     string
	State    string
	Priority int
	Started  time.Time
	Log      string
	Labels   map[string]string
	Deps     []*webTask
	Next     persistence.Ref[webTask]
}

// A webMachine is a record of another type.
type webMachine struct {
	persistence.Persistable
	Host string
	CPUs int
}

func init() {
	persistence.Register[webTask]("build.Task")
	persistence.Register[webMachine]("build.Machine")
}

// shownStore makes a store with records of all kinds, and returns its URL and the store, open for
// writing.
func shownStore(t *testing.T) (string, *persistence.Store, []*webTask) {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "tasks.db")
	s, err := persistence.MakeStore(t.Context(), url, &persistence.Options{ExtraFields: []extrafields.Field{
		extrafields.Of("name", func(t *webTask) string { return t.Name }),
		extrafields.Of("priority", func(t *webTask) int { return t.Priority }).Indexed(),
		extrafields.Of("started", func(t *webTask) time.Time { return t.Started }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := context.Background()
	states := []string{"DONE", "DONE", "RUNNING", "READY", "FAILED", "DONE", "linking"}
	names := []string{"fetch sources", "configure", "compile libcore", "compile main", "run unit tests", "link", "package", "sign", "upload to the mirror"}
	var tasks []*webTask
	for i := range 160 {
		task := &webTask{
			Name: names[i%len(names)], State: states[i%len(states)], Priority: i % 11, Started: time.Date(2026, 11, 27, 8, i%60, 0, 0, time.UTC),
			Log: "cc -O2 -c main.c\nmain.c:12: warning: unused variable\ndone", Labels: map[string]string{"arch": "amd64", "suite": "trixie"},
		}
		for j := 1; j <= 3 && i-j*j >= 0; j++ {
			task.Deps = append(task.Deps, tasks[i-j*j])
		}
		if i > 20 {
			task.Next = persistence.RefTo(tasks[i-20])
		}
		tasks = append(tasks, task)
	}
	tasks[40].Name = `<script>alert("x")</script> javascript:alert(1) ` + "\u202egnp.exe " + strings.Repeat("a very long name without end ", 6)
	tasks[40].State = "WAITING FOR <B>SOMEBODY</B>"
	objs := []any{&webMachine{Host: "build-1.example.org", CPUs: 64}}
	for _, task := range tasks {
		objs = append(objs, task)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.SaveAll(ctx, objs...)
	must(err)
	must(s.KV().Set(ctx, "last-build", "2026-11-27"))
	must(s.KV().Set(ctx, "limits/parallel", int64(16)))
	_, err = s.Claim(ctx, &persistence.Query{State: []string{"RUNNING"}}, persistence.ClaimOptions{Owner: "worker 3 on build-1", Lease: time.Hour, Limit: 4})
	must(err)
	away := &webTask{Name: "odd one"}
	_, err = s.Save(ctx, away)
	must(err)
	must(s.Quarantine(ctx, "found by check: the log is cut off", away.PersistentID()))
	return url, s, tasks
}

// A served is a "brine web" that runs.
type served struct {
	base string
	stop func() (code int, errOut string) // as Ctrl-C does, and waits for the end
}

// serveStore runs "brine web" on the store.
func serveStore(t *testing.T, args ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	in, out := io.Pipe()
	var errOut bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := newApp(strings.NewReader(""), out, &errOut).run(ctx, append([]string{"web"}, args...))
		_ = out.Close()
		ended <- code
	}()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatalf("no address: %v, exit code %d: %s", err, <-ended, errOut.String())
	}
	go func() { _, _ = io.Copy(io.Discard, in) }()
	s := &served{base: strings.TrimSpace(line)}
	s.stop = func() (int, string) {
		cancel()
		select {
		case code := <-ended:
			ended <- code
			return code, errOut.String()
		case <-time.After(20 * time.Second):
			t.Error("it does not end")
			return -1, ""
		}
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// get asks for a page, with another Host header if host is not "".
func get(ctx context.Context, address, host string) (code int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	r.Host = host
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), errors.Join(err, res.Body.Close())
}
