package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
)

// ids reads arguments that are IDs. The argument "-" stands for IDs on the input, one a line.
func (a *app) ids(ctx context.Context, s *persistence.Store, args []string) ([]persistence.ID, error) {
	integers, err := integerIDs(ctx, s)
	if err != nil {
		return nil, err
	}
	var ids []persistence.ID
	add := func(text string) error {
		id := persistence.ID(text)
		if err := idfactory.Validate(id, integers); err != nil {
			return badID(text, integers, err)
		}
		ids = append(ids, id)
		return nil
	}
	if err := a.eachName(args, add); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, usagef("no ID is given")
	}
	return ids, nil
}

// eachName calls do with each argument. "-" stands for the lines of the input.
func (a *app) eachName(args []string, do func(name string) error) error {
	for _, arg := range args {
		var err error
		if arg != "-" {
			err = do(arg)
		} else {
			err = eachLine(a.in, do)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func eachLine(in io.Reader, do func(line string) error) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if line := strings.TrimSuffix(lines.Text(), "\r"); line != "" {
			if err := do(line); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

// badID returns the error of a text that cannot be the ID of a record of the store.
func badID(text string, integers bool, err error) error {
	if !integers {
		return usagef("%q is no ID: %w", text, err)
	}
	plain := strings.TrimLeft(strings.TrimPrefix(text, "+"), "0")
	if idfactory.Validate(persistence.ID(plain), true) == nil {
		return withHint(usagef("%q is no ID of this store", text), "Write %s.", plain)
	}
	return withHint(usagef("%q is no ID of this store, whose IDs are whole numbers", text), `"brine ls URL" lists them.`)
}

// integerIDs reports whether the IDs of the store are integers.
func integerIDs(ctx context.Context, s *persistence.Store) (bool, error) {
	for _, err := range s.List(ctx, &persistence.Query{After: "no number", Limit: 1}) {
		if errors.Is(err, persistence.ErrInvalidID) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("IDs: %w", err)
		}
	}
	return false, nil
}
