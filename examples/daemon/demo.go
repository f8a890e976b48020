package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence"
)

// whatIsLeft is the advice when the demonstration ends early.
const whatIsLeft = "what is left can be taken up: see the commands status, start and stop"

// demo saves tasks before the start of a daemon, during it and after, watches them being done, and
// stops the daemon.
func demo(ctx context.Context, store *persistence.Store, logFile string, takes time.Duration, out io.Writer) error {
	const before, all = 5, 20
	fmt.Fprintf(out, "store %s\n", store.URL())
	n, err := store.Count(ctx, &persistence.Query{Type: taskType}) // what earlier runs have left
	if err != nil {
		return err
	}
	addOne := func(i int64) error { return add(ctx, store, takes, fmt.Sprintf("task-%02d", n+i+1)) }
	for i := range int64(before) {
		if err := addOne(i); err != nil {
			return err
		}
	}

	ctx, cancel := context.WithCancel(ctx)
	var adder sync.WaitGroup
	defer adder.Wait()
	defer cancel()
	added := make(chan error, 1)
	adder.Go(func() {
		var err error
		for i := int64(before); i < all && err == nil; i++ {
			err = errors.Join(addOne(i), sleep(ctx, takes/2))
		}
		added <- err
	})
	daemon, err := spawn(ctx, store, logFile)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "daemon with pid %d, its log is %s\n", daemon.pid, logFile)
	if err := watch(ctx, store, daemon, added, out); err != nil {
		return fmt.Errorf("%w (%s)", err, whatIsLeft)
	}
	if err := stop(ctx, store, out); err != nil {
		return err
	}
	if how := <-daemon.ended; !how.Success() {
		return fmt.Errorf("the daemon has ended badly (%s): see %s", how, logFile)
	}
	fmt.Fprintln(out, "it has ended")
	return nil
}

// watch prints how far the tasks are, until all are added and done.
func watch(ctx context.Context, store *persistence.Store, daemon *child, added <-chan error, out io.Writer) error {
	for {
		line, left, err := progress(ctx, store)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, line)
		if left == 0 && added == nil {
			return nil
		}
		select {
		case err := <-added:
			if err != nil {
				return err
			}
			added = nil // never ready again
		case how := <-daemon.ended:
			return fmt.Errorf("the daemon has ended (%s)", how)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(3 * poll):
		}
	}
}
