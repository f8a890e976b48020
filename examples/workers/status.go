package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

// count returns how many jobs there are in each state, or how many batches. Both are records of
// type Job.
func count(ctx context.Context, store *persistence.Store, batches bool) (map[State]int64, error) {
	groups, err := store.CountBy(ctx, "state", jobs(nil, persistence.Eq("is_batch", batches)))
	if err != nil {
		return nil, err
	}
	n := make(map[State]int64)
	for _, g := range groups {
		n[State(g.Value.(string))] = g.Count
	}
	return n, nil
}

// unfinished returns how many of the jobs or batches counted are neither completed nor failed.
func unfinished(n map[State]int64) (sum int64) {
	for state, k := range n {
		if state != Completed && state != Failed {
			sum += k
		}
	}
	return sum
}

// progress says how many jobs there are in each state and how many batches, and whether all are
// finished.
func progress(ctx context.Context, store *persistence.Store) (line string, done bool, err error) {
	// The sources first: the last jobs are stored before a source is drained. The batches last: no
	// new batch is made of jobs that are finished.
	full, err := store.Count(ctx, &persistence.Query{Type: sourceType, Where: []persistence.Cond{persistence.Eq("drained", false)}})
	if err != nil {
		return "", false, err
	}
	n, err := count(ctx, store, false)
	if err != nil {
		return "", false, err
	}
	batches, err := count(ctx, store, true)
	if err != nil {
		return "", false, err
	}
	var made int64
	for _, k := range batches {
		made += k
	}
	done = full == 0 && unfinished(n) == 0 && unfinished(batches) == 0
	var parts []string
	for _, s := range states {
		parts = append(parts, fmt.Sprintf("%s %-4d", s, n[s]))
	}
	line = fmt.Sprintf("%s and %d batches, %d unfinished", strings.Join(parts, " "), made, unfinished(batches))
	if p, err := paused(ctx, store); err != nil {
		return "", false, err
	} else if p {
		line += "   (paused)"
	}
	return line, done, nil
}

// status prints how far the jobs are, who has claimed what, and who ran how many.
func status(ctx context.Context, store *persistence.Store, out io.Writer) error {
	line, _, err := progress(ctx, store)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, line)
	for c, err := range store.Claims(ctx) {
		if err != nil {
			return err
		}
		what := string(c.Info().ID) // of a source
		if key, ok := c.Info().Fields["job_key"].(string); ok {
			what = fmt.Sprintf("%s (%s)", key, c.Info().State)
		}
		fmt.Fprintf(out, "%s has claimed %s, until %s\n", c.Owner(), what, c.Until().Format(time.TimeOnly))
	}
	return summary(ctx, store, out)
}

// summary prints who ran how many, and what went wrong. It reads the failed jobs alone.
func summary(ctx context.Context, store *persistence.Store, out io.Writer) error {
	over := jobs([]State{Executed, Completed, Failed}, persistence.Eq("is_batch", false), persistence.Ne("engine_key", ""))
	groups, err := store.CountBy(ctx, "engine_key", over)
	if err != nil {
		return err
	}
	for _, g := range groups {
		fmt.Fprintf(out, "%6d jobs run by %v\n", g.Count, g.Value)
	}
	failed := jobs([]State{Failed}, persistence.Eq("is_batch", false))
	failed.Limit = 10
	for j, err := range persistence.All[Job](ctx, store, failed) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s failed: %s\n", j.Key, strings.Join(j.Errors, "; "))
	}
	return nil
}
