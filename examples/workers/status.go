package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

// count returns how many jobs there are in each state.
func count(ctx context.Context, store *persistence.Store) (map[State]int64, error) {
	groups, err := store.CountBy(ctx, "state", jobs(nil))
	if err != nil {
		return nil, err
	}
	n := make(map[State]int64)
	for _, g := range groups {
		n[State(g.Value.(string))] = g.Count
	}
	return n, nil
}

// progress says how many jobs there are in each state, batches among them, and whether all are finished.
func progress(ctx context.Context, store *persistence.Store) (line string, done bool, err error) {
	// The sources first: the last jobs are there before a source is drained.
	full, err := store.Count(ctx, &persistence.Query{Type: sourceType, Where: []persistence.Cond{persistence.Eq("drained", false)}})
	if err != nil {
		return "", false, err
	}
	n, err := count(ctx, store)
	if err != nil {
		return "", false, err
	}
	done = full == 0
	var parts []string
	for _, s := range states {
		parts = append(parts, fmt.Sprintf("%s %-4d", s, n[s]))
		if s != Completed && s != Failed && n[s] > 0 {
			done = false
		}
	}
	line = strings.TrimSpace(strings.Join(parts, " "))
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
		fmt.Fprintf(out, "%s has claimed %v (%s), until %s\n", c.Owner(), c.Info().Fields["job_key"], c.Info().State, c.Until().Format(time.TimeOnly))
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
