package main

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/cmd/brine/internal/exportfile"
	"github.com/brine-go/brine/persistence"
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
	pa, pb := newPairStream(ctx, sa), newPairStream(ctx, sb)
	defer pa.close()
	defer pb.close()
	x, y := pa.next(), pb.next()
	for x != nil || y != nil {
		if x == nil && pa.err != nil || y == nil && pb.err != nil {
			break
		}
		var err error
		switch {
		case y == nil || x != nil && x.Key < y.Key:
			if lacks(ctx, sb, x.Key) {
				err = tell(diffJSON{Kind: onlyInA, Key: x.Key})
			}
			x = pa.next()
		case x == nil || y.Key < x.Key:
			if lacks(ctx, sa, y.Key) {
				err = tell(diffJSON{Kind: onlyInB, Key: y.Key})
			}
			y = pb.next()
		default:
			if x.Type != y.Type {
				err = tell(diffJSON{Kind: differs, Key: x.Key, Path: "type"})
			} else if !bytes.Equal(x.Data, y.Data) {
				err = tell(diffJSON{Kind: differs, Key: x.Key, Path: "value"})
			}
			x, y = pa.next(), pb.next()
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(pa.err, pa.unreadable, pb.err, pb.unreadable)
}

// lacks reports whether a store does not have a pair. One that cannot be read is not in the stream,
// and yet there.
func lacks(ctx context.Context, s *persistence.Store, key string) bool {
	_, err := s.KV().Get(ctx, key)
	return errors.Is(err, persistence.ErrNotFound)
}

// A pairStream gives the pairs of a store with their bytes: as an export has them, since the types
// of their values are not known here.
type pairStream struct {
	pairs chan *exportfile.Pair
	stop  context.CancelFunc
	// Once pairs is closed:
	err        error
	unreadable error // of pairs that could not be read, and are not in the stream
}

func newPairStream(ctx context.Context, s *persistence.Store) *pairStream {
	ctx, cancel := context.WithCancel(ctx)
	p := &pairStream{pairs: make(chan *exportfile.Pair), stop: cancel}
	in, out := io.Pipe()
	go func() {
		none := &persistence.Query{Where: []persistence.Cond{persistence.Or()}}
		_, err := export(ctx, out, s, &persistence.CopyOptions{Query: none})
		if _, ok := errors.AsType[*unreadableError](err); ok {
			p.unreadable, err = exported(err), nil
		}
		_ = out.CloseWithError(err)
	}()
	go func() {
		defer close(p.pairs)
		p.err = sendPairs(ctx, in, p.pairs)
		_ = in.CloseWithError(p.err)
	}()
	return p
}

func sendPairs(ctx context.Context, in io.Reader, to chan<- *exportfile.Pair) error {
	r, err := exportfile.NewReader(in)
	if err != nil {
		return err
	}
	for pair, err := range r.Pairs(ctx) {
		if err != nil {
			return err
		}
		select {
		case to <- &pair:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// next returns the next pair; nil: there is none.
func (p *pairStream) next() *exportfile.Pair { return <-p.pairs }

// close ends the stream, and waits for its end.
func (p *pairStream) close() {
	p.stop()
	for range p.pairs {
	}
}
