package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-go/brine/persistence"
)

func (a *app) quarantineAdd(ctx context.Context, rawURL string, args, keys []string, reason string) (err error) {
	if len(args) == 0 && len(keys) == 0 {
		return usagef("quarantine add: no ID is given, and no --key")
	}
	if len(args) > 0 && len(keys) > 0 {
		return usagef("quarantine add: IDs and --key in one call: use two")
	}
	ids, err := a.idsToAdd(ctx, rawURL, args)
	if err != nil {
		return err
	}
	n := plural(int64(len(ids)), "record")
	if len(keys) > 0 {
		n = plural(int64(len(keys)), "key")
	}
	if a.dryRun {
		return a.quarantineDone("would put "+n+" away", "added", int64(len(ids)+len(keys)))
	}
	if err := a.confirm("Put " + n + " away?"); err != nil {
		return err
	}
	s, err := a.open(ctx, rawURL, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if len(keys) > 0 {
		err = s.QuarantineKeys(ctx, reason, keys...)
	} else {
		err = s.Quarantine(ctx, reason, ids...)
	}
	if err != nil {
		return err
	}
	return a.quarantineDone("put "+n+" away", "added", int64(len(ids)+len(keys)))
}

// idsToAdd reads the arguments that are IDs of a store, each once. In a dry run it looks whether
// they are there, damaged or not.
func (a *app) idsToAdd(ctx context.Context, rawURL string, args []string) ([]persistence.ID, error) {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if len(args) == 0 {
		return nil, nil // keys are wanted
	}
	ids, err := a.ids(ctx, s, args)
	if err != nil {
		return nil, err
	}
	ids = distinct(ids)
	for i := 0; i < len(ids) && a.dryRun; i++ {
		if _, err := s.Stat(ctx, ids[i]); errors.Is(err, persistence.ErrNotFound) {
			return nil, err
		}
	}
	return ids, nil
}

// distinct returns the values in their order, each once.
func distinct[T comparable](all []T) []T {
	seen := make(map[T]bool, len(all))
	var once []T
	for _, v := range all {
		if !seen[v] {
			seen[v] = true
			once = append(once, v)
		}
	}
	return once
}

func (a *app) quarantineRestore(ctx context.Context, rawURL string, args []string) (err error) {
	names, err := a.lines(args)
	if err != nil {
		return err
	}
	if a.dryRun {
		return a.planRestore(ctx, rawURL, names)
	}
	s, err := a.open(ctx, rawURL, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Unquarantine(ctx, names...); err != nil {
		return restoreHint(err)
	}
	return a.quarantineDone("put "+plural(int64(len(names)), "record")+" back", "restored", int64(len(names)))
}

// lines reads the arguments that name something in quarantine: IDs or keys. "-" stands for those on
// the input, one a line.
func (a *app) lines(args []string) (names []persistence.ID, err error) {
	add := func(text string) error {
		names = append(names, persistence.ID(text))
		return nil
	}
	if err := a.eachName(args, add); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, usagef("quarantine restore: no ID is given")
	}
	return distinct(names), nil
}

func restoreHint(err error) error {
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		return withHint(err, `"brine quarantine list URL" lists what was put away.`)
	case errors.Is(err, persistence.ErrExists):
		return withHint(err, `Another record has its ID now: look at it with "brine show URL ID".`)
	}
	return err
}

// planRestore says what would be put back.
func (a *app) planRestore(ctx context.Context, rawURL string, names []persistence.ID) error {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return err
	}
	defer s.Close()
	away := map[string]bool{}
	for q, err := range s.Quarantined(ctx) {
		if _, one := recordOf(err); err != nil && !one {
			return err
		}
		if err == nil {
			away[nameOf(&q)] = true
		}
	}
	for _, name := range names {
		if !away[string(name)] {
			return restoreHint(fmt.Errorf("%q is not in quarantine: %w", name, persistence.ErrNotFound))
		}
	}
	return a.quarantineDone("would put "+plural(int64(len(names)), "record")+" back", "restored", int64(len(names)))
}

func (a *app) quarantinePurge(ctx context.Context, rawURL string, age time.Duration) (err error) {
	before := a.now().Add(-age)
	n, err := a.countQuarantined(ctx, rawURL, before)
	if err != nil {
		return err
	}
	if a.dryRun {
		return a.quarantineDone("would remove "+plural(n, "record")+" for good", "purged", n)
	}
	if n > 0 {
		if err := a.confirm("Remove " + plural(n, "record") + " for good?"); err != nil {
			return err
		}
		s, err := a.open(ctx, rawURL, readWrite)
		if err != nil {
			return err
		}
		n, err = s.Purge(ctx, before)
		if err = errors.Join(err, s.Close()); err != nil {
			return err
		}
	}
	return a.quarantineDone("removed "+plural(n, "record")+" for good", "purged", n)
}

// countQuarantined returns the number of what was put away before a time.
func (a *app) countQuarantined(ctx context.Context, rawURL string, before time.Time) (n int64, err error) {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for q, err := range s.Quarantined(ctx) {
		if _, one := recordOf(err); err != nil && !one {
			return 0, err
		}
		if err != nil || q.Time.Before(before) {
			n++
		}
	}
	return n, nil
}

// quarantineDone prints what was done with so many records, or would be.
func (a *app) quarantineDone(text, name string, n int64) error {
	if a.json {
		return a.printJSON(map[string]any{name: n, "dry_run": a.dryRun})
	}
	a.printf("%s\n", text)
	return nil
}
