package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

func newCheck(a *app) *cobra.Command {
	var q queryFlags
	cmd := &cobra.Command{
		Use:   "check URL",
		Short: "read everything, and list what is damaged or does not fit",
		Long: `Check reads every record and pair whole, or the records that the flags select, and lists what is wrong:

  Corrupt        the bytes are damaged
  Dangling       a reference leads to a record that does not exist
  Mismatch       a column, or the name of a file, is not what the record says
  ExpiredClaim   a claim has expired, and nobody has released it
  Stray          a file or row belongs to nothing
  Unloadable     the record is of a newer version of Brine

It changes nothing. Its exit code is 1 if it has found something.

With --json each finding is an object with kind, id, ref (the record that it refers to), key (of a pair,
file or row) and detail.`,
		Example: `  brine check tasks.db
  brine check tasks.db --type taskgraph.Task --json`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.open(ctx, args[0], readOnly)
			if err != nil {
				return err
			}
			defer s.Close()
			o := persistence.CheckOptions{}
			if q.selects() {
				if o.Query, err = q.query(ctx, a, s); err != nil {
					return err
				}
			}
			return a.check(ctx, s, o)
		},
	}
	q.addSelection(a, cmd)
	return cmd
}

// selects reports whether there is a flag that selects records.
func (f *queryFlags) selects() bool { return f.typ != "" || len(f.states) > 0 || len(f.where) > 0 }

// A findingJSON is a finding for programs.
type findingJSON struct {
	Kind   string         `json:"kind"`
	ID     persistence.ID `json:"id"`
	Ref    persistence.ID `json:"ref"`
	Key    string         `json:"key"`
	Detail string         `json:"detail"`
}

func (a *app) check(ctx context.Context, s *persistence.Store, o persistence.CheckOptions) error {
	p := a.progress("checking", 0)
	defer p.end()
	if p != nil {
		o.Progress = p.set
	}
	t := a.table("KIND", "ID", "REF", "DETAIL")
	kinds := map[persistence.FindingKind]int64{}
	n := int64(0)
	for f, err := range s.Check(ctx, o) {
		if err != nil {
			return err
		}
		if n++; p != nil && a.isTerminal {
			_ = p.bar.Clear() // the finding may be shown in its place
		}
		kinds[f.Kind]++
		if a.json {
			err = a.printJSON(findingJSON{f.Kind.String(), f.ID, f.Ref, f.Key, f.Detail})
		} else {
			id := string(f.ID)
			if id == "" {
				id = f.Key
			}
			err = t.row(cell{f.Kind.String(), findingStyle(f.Kind)}, id, string(f.Ref), f.Detail)
		}
		if err != nil {
			return err
		}
	}
	p.end()
	if err := t.end(); err != nil {
		return err
	}
	if n == 0 {
		a.note("nothing is wrong")
		return nil
	}
	a.note("%s", plural(n, "finding"))
	for _, advice := range findingAdvice {
		if slices.ContainsFunc(advice.kinds, func(k persistence.FindingKind) bool { return kinds[k] > 0 }) {
			a.note("%s", advice.text)
		}
	}
	return errFound
}

func findingStyle(k persistence.FindingKind) style {
	if k == persistence.ExpiredClaim || k == persistence.Stray {
		return yellow
	}
	return red
}

// findingAdvice says what to do about findings.
var findingAdvice = []struct {
	kinds []persistence.FindingKind
	text  string
}{
	{[]persistence.FindingKind{persistence.Corrupt, persistence.Mismatch, persistence.Stray}, `"brine quarantine add URL ID..." (or --key KEY) puts what is damaged away, byte for byte.`},
	{[]persistence.FindingKind{persistence.Dangling}, `What is missing may be in quarantine: "brine quarantine list URL", "brine quarantine restore URL ID...".`},
	{[]persistence.FindingKind{persistence.ExpiredClaim}, `"brine claims URL --release-expired" releases what has expired.`},
	{[]persistence.FindingKind{persistence.Unloadable}, "A newer version of this command reads what is Unloadable."},
}
