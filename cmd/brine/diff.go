package main

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/cmd/brine/internal/exportfile"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
)

func newDiff(a *app) *cobra.Command {
	var q queryFlags
	var noPairs bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "tell in what two stores differ",
		Long: `Diff prints a line for each record, and each key-value pair, that one of the stores lacks or has otherwise,
with the first column or field that differs. Nothing is printed for stores that are equal.

Types, states, objects and extra columns are compared. Revisions and times are not: they say who wrote
when, and "brine cp" raises the revision of what it replaces. Nor are claims and the quarantine.

The exit code is 1 if something differs. With --json each difference is an object with kind ("only in
A", "only in B" or "differs"), id or key, and path.`,
		Example: `  brine diff tasks.db postgres://brine@db/jobs
  brine diff tasks.db backup.db --state DONE --no-pairs`,
		Args:              arguments,
		ValidArgsFunction: a.completeURLs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.diff(cmd.Context(), args[0], args[1], &q, noPairs)
		},
	}
	q.addSelection(a, cmd)
	cmd.Flags().BoolVar(&noPairs, "no-pairs", false, "leave out the key-value pairs")
	return cmd
}

// A diffJSON is a difference, for programs.
type diffJSON struct {
	Kind string         `json:"kind"`
	ID   persistence.ID `json:"id,omitempty"`
	Key  string         `json:"key,omitempty"`
	Path string         `json:"path,omitempty"`
}

const (
	onlyInA = "only in A"
	onlyInB = "only in B"
	differs = "differs"
)

func (a *app) diff(ctx context.Context, urlA, urlB string, flags *queryFlags, noPairs bool) error {
	sa, err := a.open(ctx, urlA, readOnly)
	if err != nil {
		return err
	}
	defer sa.Close()
	sb, err := a.open(ctx, urlB, readOnly)
	if err != nil {
		return err
	}
	defer sb.Close()
	q, err := flags.query(ctx, a, sa)
	if err != nil {
		return err
	}
	t := a.table("KIND", "RECORD", "PATH")
	found := int64(0)
	tell := func(d diffJSON) error {
		found++
		if a.json {
			return a.printJSON(d)
		}
		name := string(d.ID)
		if d.Key != "" {
			name = "pair " + d.Key
		}
		return t.row(d.Kind, name, d.Path)
	}
	skip := skipped{a: a}
	kinds := map[persistence.DifferenceKind]string{persistence.OnlyInA: onlyInA, persistence.OnlyInB: onlyInB, persistence.Differs: differs}
	for d, err := range persistence.Compare(ctx, sa, sb, q) {
		if err == nil {
			err = tell(diffJSON{Kind: kinds[d.Kind], ID: d.ID, Path: d.Path})
		} else {
			err = skip.record(err)
		}
		if err != nil {
			return errors.Join(err, t.end())
		}
	}
	if !noPairs {
		if err := a.diffPairs(ctx, sa, sb, tell); err != nil {
			return errors.Join(err, t.end())
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	switch err := skip.err(); {
	case err != nil:
		return err
	case found > 0:
		a.note("%s", plural(found, "difference"))
		return errFound
	}
	a.note("the stores are equal")
	return nil
}

// diffPairs compares the pairs of two stores, in the order of their keys.
func (a *app) diffPairs(ctx context.Context, sa, sb *persistence.Store, tell func(diffJSON) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pa, pb := newPairs(ctx, sa), newPairs(ctx, sb)
	defer pa.close()
	defer pb.close()
	x, y := pa.next(), pb.next()
	for x != nil || y != nil {
		var err error
		switch {
		case y == nil || x != nil && x.ID < y.ID:
			err = tell(diffJSON{Kind: onlyInA, Key: string(x.ID)})
			x = pa.next()
		case x == nil || y.ID < x.ID:
			err = tell(diffJSON{Kind: onlyInB, Key: string(y.ID)})
			y = pb.next()
		default:
			if x.Type != y.Type {
				err = tell(diffJSON{Kind: differs, Key: string(x.ID), Path: "type"})
			} else if !bytes.Equal(x.Data, y.Data) {
				err = tell(diffJSON{Kind: differs, Key: string(x.ID), Path: "value"})
			}
			x, y = pa.next(), pb.next()
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(pa.err, pb.err)
}

// A pairs streams the pairs of a store with their bytes: as an export has them, since the types of
// their values are not known here.
type pairs struct {
	records chan *driver.Record
	stop    context.CancelFunc
	err     error // once records is closed
}

func newPairs(ctx context.Context, s *persistence.Store) *pairs {
	ctx, cancel := context.WithCancel(ctx)
	p := &pairs{records: make(chan *driver.Record), stop: cancel}
	in, out := io.Pipe()
	go func() {
		none := &persistence.Query{Where: []persistence.Cond{persistence.Or()}}
		_, err := export(ctx, out, s, &persistence.CopyOptions{Query: none})
		_ = out.CloseWithError(err)
	}()
	go func() {
		defer close(p.records)
		p.err = readPairs(ctx, in, p.records)
		_ = in.CloseWithError(p.err)
	}()
	return p
}

func readPairs(ctx context.Context, in io.Reader, to chan<- *driver.Record) error {
	r, err := exportfile.NewReader(in)
	if err != nil {
		return err
	}
	return r.View(ctx, func(objects driver.Reader) error {
		of, err := driver.InNamespace(objects, driver.Pairs)
		if err != nil {
			return err
		}
		for rec, err := range of.Scan(ctx, &driver.Query{}) {
			if err != nil {
				return err
			}
			select {
			case to <- &rec:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
}

// next returns the next pair; nil: there is none.
func (p *pairs) next() *driver.Record { return <-p.records }

// close ends the stream, and waits for its end.
func (p *pairs) close() {
	p.stop()
	for range p.records {
	}
}
