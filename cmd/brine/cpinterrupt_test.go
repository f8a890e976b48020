//go:build linux || darwin

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

// The program waits while the test holds the lock of the directory that it reads: until its
// progress is to be shown, and once more until it is interrupted. However fast it is, it is then in
// the middle of the copy.
func TestCpThatIsInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	const all = 500
	src, dst := place(t, "fs"), place(t, "sqlite")
	cp := []string{"cp", src, dst, "--root", string(chain(t, src, all))}
	copied := open(t, dst, &persistence.Options{})
	defer copied.Close()
	locked, err := os.OpenFile(filepath.Join(strings.TrimPrefix(src, "file:"), ".brine.lock"), os.O_RDWR, 0)
	check(t, err)
	defer locked.Close()
	hold := func(how int) { t.Helper(); check(t, syscall.Flock(int(locked.Fd()), how)) }

	s := atTerminal(t, 100, program(t, cp...))
	waitForMore(t, copied)
	hold(syscall.LOCK_EX)
	time.Sleep(progressDelay + 100*time.Millisecond) // the progress shows once this much time has passed
	hold(syscall.LOCK_UN)
	waitForMore(t, copied)
	hold(syscall.LOCK_EX)
	s.waitFor(t, "copying")
	check(t, s.cmd.Process.Signal(syscall.SIGINT))
	out, code := s.end(t)
	hold(syscall.LOCK_UN)
	if code != exitFailed || !strings.Contains(out, "interrupted") || !strings.Contains(out, "Run the same command again") {
		t.Errorf("exit code %d, on the screen: %s", code, out)
	}
	left := open(t, dst, &persistence.Options{ReadOnly: true})
	n, err := left.Count(t.Context(), nil)
	check(t, err)
	check(t, left.Close())
	if n == 0 || n == all {
		t.Fatalf("%d records were copied before the interrupt", n)
	}
	if got := done(t, cp...); !strings.HasPrefix(got, fmt.Sprintf("copied %s and 0 pairs\n", plural(all-n, "record"))) {
		t.Errorf("with %d there: %q", n, got)
	}
	if out := done(t, "diff", src, dst); out != "" {
		t.Errorf("they differ: %s", out)
	}
}

// chain saves tasks that depend on one another and returns the ID of the first. A copy from there
// finds one at a time, so each is a batch of its own.
func chain(t testing.TB, url string, n int) (id persistence.ID) {
	t.Helper()
	fill(t, url, &persistence.Options{ExtraFields: demoFields}, func(s *persistence.Store) {
		var first *task
		for i := range n {
			next := &task{Name: fmt.Sprint("task ", n-i)}
			if first != nil {
				next.Deps = []*task{first}
			}
			first = next
		}
		var err error
		id, err = s.Save(t.Context(), first)
		check(t, err)
	})
	return id
}

// waitForMore waits until a store has more records than before.
func waitForMore(t testing.TB, s *persistence.Store) {
	t.Helper()
	count := func() int64 {
		n, err := s.Count(t.Context(), nil)
		check(t, err)
		return n
	}
	end := time.Now().Add(time.Minute)
	for n := count(); count() == n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute there are still %d records", n)
		}
	}
}
