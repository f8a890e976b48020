package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

// add saves new tasks, all or none.
func add(ctx context.Context, store *persistence.Store, takes time.Duration, names ...string) error {
	var tasks []any
	for _, name := range names {
		tasks = append(tasks, &Task{Name: name, State: Waiting, Takes: takes})
	}
	_, err := store.SaveAll(ctx, tasks...)
	return err
}

// status prints who works at what, and how many tasks there are in each state.
func status(ctx context.Context, store *persistence.Store, out io.Writer) error {
	fmt.Fprintf(out, "store %s\n", store.URL())
	ds, err := active(ctx, store)
	if err != nil {
		return err
	}
	if len(ds) == 0 {
		fmt.Fprintln(out, "no daemon runs")
	}
	for _, d := range ds {
		state := string(d.State)
		if (observations{}).gone(d) {
			state = "DEAD" // it had no time to say so
		} else if time.Since(d.Beat) > maxSilence {
			state = "SILENT" // probably dead, if its clock is right
		}
		fmt.Fprintf(out, "daemon %s %s, pid %d on %s, last sign %s ago\n",
			d.PersistentID(), state, d.Pid, d.Host, time.Since(d.Beat).Round(100*time.Millisecond))
	}
	for t, err := range persistence.All[Task](ctx, store, &persistence.Query{State: []string{string(Running)}}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "daemon %s has %s, attempt %d\n", t.By.PersistentID(), t.Name, t.Attempts)
	}
	line, _, err := progress(ctx, store)
	fmt.Fprintln(out, line)
	return err
}

// progress says how many tasks there are in each state, and how many of them are not done.
func progress(ctx context.Context, store *persistence.Store) (line string, left int64, err error) {
	var parts []string
	for _, s := range []State{Waiting, Running, Done} {
		n, err := count(ctx, store, s)
		if err != nil {
			return "", 0, err
		}
		parts = append(parts, fmt.Sprintf("%4d %s", n, s))
		if s != Done {
			left += n
		}
	}
	return strings.Join(parts, " "), left, nil
}

// stop asks every daemon of the store to stop, wherever it runs, and returns when they have ended.
// A signal would do (a daemon takes SIGTERM the same way), but only on this machine, and not on
// Windows.
func stop(ctx context.Context, store *persistence.Store, out io.Writer) error {
	seen := observations{}
	pids := map[int]bool{} // those on this machine
	for {
		ds, err := active(ctx, store)
		if err != nil {
			return err
		}
		if len(ds) == 0 {
			break
		}
		for _, d := range ds {
			gone := seen.gone(d)
			if !gone && d.Host == hostname() {
				pids[d.Pid] = true
			}
			switch {
			case gone:
				d.State = Lost
			case d.State == Running:
				d.State = Stopping
			default:
				continue // it finishes its task
			}
			_, err := store.SaveOnly(ctx, d)
			if errors.Is(err, persistence.ErrConflict) {
				continue // it has renewed its Beat meanwhile: try again
			} else if err != nil {
				return err
			}
			fmt.Fprintf(out, "daemon %s is %s\n", d.PersistentID(), d.State)
		}
		if err := sleep(ctx, poll); err != nil {
			return err
		}
	}
	// They have written that they stop, and now close the store, which takes no time. A process
	// stays listed for longer if its parent does not wait for it.
	end := time.Now().Add(time.Second)
	for pid := range pids {
		for alive(pid) && time.Now().Before(end) {
			if err := sleep(ctx, poll/10); err != nil {
				return err
			}
		}
	}
	return nil
}

// sleep waits; it returns an error if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
