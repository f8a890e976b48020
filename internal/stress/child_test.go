package stress_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-go/brine/internal/stress"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
)

func TestMain(m *testing.M) {
	if client() || racer() {
		return
	}
	testserver.Main(m, func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// long reports whether tests take their long forms.
func long() bool { return os.Getenv("BRINE_LONG") != "" }

// quiet is a logger that says nothing.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A job is what a client process is told.
type job struct {
	URL     string
	Journal string
	Config  stress.Config
	Claims  *stress.ClaimConfig // not nil: a claimant
}

const jobVariable = "BRINE_STRESS_CLIENT"

// client runs the client that the environment names, and reports whether there was one. It ends
// when its standard input does, be it by the will or by the death of the process that started it.
func client() bool {
	text := os.Getenv(jobVariable)
	if text == "" {
		return false
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	err := func() (err error) {
		var do job
		if err := json.Unmarshal([]byte(text), &do); err != nil {
			return err
		}
		ctx := context.Background()
		j, err := stress.Open(do.Journal)
		if err != nil {
			return err
		}
		s, err := persistence.MakeStore(ctx, do.URL, &persistence.Options{Logger: quiet()})
		if err != nil {
			return errors.Join(err, j.Close())
		}
		fmt.Println("open")
		if do.Claims != nil {
			return errors.Join(stress.Claim(ctx, s, j, *do.Claims, stop), s.Close(), j.Close())
		}
		return errors.Join(stress.Run(ctx, s, j, do.Config, stop), s.Close(), j.Close())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
	return true
}

// A process is a running client.
type process struct {
	cmd     *exec.Cmd
	journal string
	stdin   io.Closer
	ended   chan error
	once    sync.Once
}

// stop tells the client to finish.
func (p *process) stop() { p.once.Do(func() { p.stdin.Close() }) }

// A crew is the clients of one store, and their journals.
type crew struct {
	t        *testing.T
	dir      string
	hot      []persistence.ID
	journals []string
	clients  []*process
	cancel   bool
	claims   *stress.ClaimConfig // not nil: the clients are claimants
}

// newCrew stores the objects that all clients raise. It has its journals in a folder of the test's.
func newCrew(t *testing.T, url string) *crew {
	t.Helper()
	c := &crew{t: t, dir: t.TempDir(), cancel: true}
	j := c.journal("setup")
	defer j.Close()
	s := openStore(t, url)
	defer s.Close()
	hot, err := stress.Prepare(t.Context(), s, j, 6, 4)
	if err != nil {
		t.Fatal(err)
	}
	c.hot = hot
	return c
}

func openStore(t *testing.T, url string) *persistence.Store {
	t.Helper()
	s, err := persistence.MakeStore(t.Context(), url, &persistence.Options{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (c *crew) newJournal(name string) string {
	path := filepath.Join(c.dir, name+".journal")
	c.journals = append(c.journals, path)
	return path
}

func (c *crew) journal(name string) *stress.Journal {
	c.t.Helper()
	j, err := stress.Open(c.newJournal(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return j
}

// start starts a client, and returns when it has opened the store.
func (c *crew) start(url string) *process {
	c.t.Helper()
	name := fmt.Sprintf("c%d", len(c.journals))
	journal := c.newJournal(name)
	do := job{URL: url, Journal: journal, Config: stress.Config{Name: name, Hot: c.hot, Cancel: c.cancel}}
	if c.claims != nil {
		claims := *c.claims
		claims.Name, claims.Limit = name, []int{1, 10, 100}[len(c.journals)%3]
		do.Claims = &claims
	}
	text, err := json.Marshal(do)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	p := &process{cmd: cmd, journal: journal, stdin: stdin, ended: make(chan error, 1)}
	opened := make(chan struct{})
	go func() {
		var first [1]byte
		_, _ = stdout.Read(first[:])
		close(opened)
		_, _ = io.Copy(io.Discard, stdout)
		p.ended <- cmd.Wait()
	}()
	c.t.Cleanup(func() {
		p.stop()
		_ = cmd.Process.Kill()
		<-p.ended
	})
	<-opened
	c.clients = append(c.clients, p)
	return p
}

// stuck is how long a client may take to finish: far more than it ever needs.
const stuck = 10 * time.Minute

// verbs are the operations that every test wants to see.
var verbs = []string{stress.Create, stress.Raise, stress.Replace, stress.Remove}

// finish waits until there has been some of everything, tells all clients to finish and waits for
// them.
func (c *crew) finish() {
	c.t.Helper()
	end := time.Now().Add(stuck)
	for !c.seen(verbs) {
		if time.Now().After(end) {
			c.t.Fatalf("not all of %v were acknowledged", verbs)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, p := range c.clients {
		p.stop()
	}
	for _, p := range c.clients {
		c.wait(p)
	}
	c.clients = nil
}

func (c *crew) wait(p *process) {
	c.t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- nil
		if err != nil {
			c.t.Errorf("a client ended with %v", err)
		}
	case <-time.After(stuck):
		_ = p.cmd.Process.Signal(os.Interrupt)
		c.t.Errorf("a client does not end")
	}
}

// progress waits until each of the clients, or each of all, has had a write acknowledged from now
// on.
func (c *crew) progress(clients ...*process) {
	c.t.Helper()
	if len(clients) == 0 {
		clients = c.clients
	}
	before := make([]int64, len(clients))
	for i, p := range clients {
		before[i] = c.acks(p)
	}
	end := time.Now().Add(stuck)
	for i, p := range clients {
		for c.acks(p) == before[i] {
			if time.Now().After(end) {
				c.t.Fatalf("the client of %s does not go on", p.journal)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// acks counts the acknowledged writes of a client.
func (c *crew) acks(p *process) int64 {
	c.t.Helper()
	data, err := os.ReadFile(p.journal)
	if err != nil {
		c.t.Fatal(err)
	}
	return int64(bytes.Count(data, []byte(`"x":"`+stress.Ack+`"`)))
}

// seen reports whether at least one of each operation has been acknowledged to one of the clients.
func (c *crew) seen(verbs []string) bool {
	c.t.Helper()
	for _, verb := range verbs {
		found := false
		for _, path := range c.journals {
			data, err := os.ReadFile(path)
			if err != nil {
				c.t.Fatal(err)
			}
			found = found || bytes.Contains(data, fmt.Appendf(nil, `"x":"%s","v":"%s"`, stress.Ack, verb))
		}
		if !found {
			return false
		}
	}
	return true
}

// kill kills the client with that number in mid-flight, and starts another in its place.
func (c *crew) kill(i int, url string) {
	c.t.Helper()
	p := c.clients[i]
	_ = p.cmd.Process.Kill()
	<-p.ended
	p.ended <- nil
	c.clients = append(c.clients[:i], c.clients[i+1:]...)
	c.start(url)
}

// check compares the store with the journals, and fails the test by what it finds.
func (c *crew) check(url string) *stress.Report {
	c.t.Helper()
	report, err := stress.Check(c.t.Context(), openStore(c.t, url), c.journals...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Log(report)
	for _, finding := range report.Findings {
		c.t.Error(finding)
	}
	return report
}
