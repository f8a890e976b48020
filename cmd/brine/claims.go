package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

func newClaims(a *app) *cobra.Command {
	var expired, release bool
	cmd := &cobra.Command{
		Use:   "claims URL",
		Short: "list who has claimed what, and until when; release expired claims",
		Long: `Claims lists the claims of a store: the record, who has claimed it, and until when. A claim that has
expired prevents no new one; it is listed until the record is claimed again or it is released.
--release-expired releases those. Whether a claim has expired is shown by the clock of this machine and
decided by that of the server.

With --json each claim is an object with id, type, state, owner, until, expired and token.`,
		Example: `  brine claims tasks.db
  brine claims tasks.db --expired --json
  brine claims tasks.db --release-expired --yes`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if release && !a.dryRun {
				return a.releaseExpired(ctx, args[0])
			}
			s, err := a.open(ctx, args[0], readOnly)
			if err != nil {
				return err
			}
			defer s.Close()
			return a.listClaims(ctx, s, expired || release)
		},
	}
	cmd.Flags().BoolVar(&expired, "expired", false, "only those that have expired")
	cmd.Flags().BoolVar(&release, "release-expired", false, "release those that have expired")
	a.destroys(cmd)
	return cmd
}

// A claimJSON is a claim for programs.
type claimJSON struct {
	ID      persistence.ID `json:"id"`
	Type    string         `json:"type"`
	State   string         `json:"state"`
	Owner   string         `json:"owner"`
	Until   time.Time      `json:"until"`
	Expired bool           `json:"expired"`
	Token   int64          `json:"token"`
}

func (a *app) listClaims(ctx context.Context, s *persistence.Store, expiredOnly bool) error {
	t := a.table("ID", "TYPE", "STATE", "OWNER", "UNTIL", "TOKEN").alignRight("TOKEN", "UNTIL")
	now, skip, n := a.now(), skipped{a: a}, int64(0)
	for c, err := range s.Claims(ctx) {
		if err != nil {
			if err := skip.record(err); err != nil {
				return err
			}
			continue
		}
		expired := c.Until().Before(now)
		if expiredOnly && !expired {
			continue
		}
		n++
		info := c.Info()
		if a.json {
			err = a.printJSON(claimJSON{c.ID(), info.Type, info.State, c.Owner(), c.Until(), expired, c.Token()})
		} else {
			until := cell{a.time(c.Until()), plain}
			if expired {
				until.style = yellow
			}
			err = t.row(string(c.ID()), info.Type, cell{info.State, stateStyle(info.State)}, c.Owner(), until, strconv.FormatInt(c.Token(), 10))
		}
		if err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if n == 0 {
		a.note("no claims")
	}
	return skip.err()
}

// releaseExpired releases the claims that have expired.
func (a *app) releaseExpired(ctx context.Context, rawURL string) (err error) {
	s, err := a.open(ctx, rawURL, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	found := int64(0)
	for c, err := range s.Claims(ctx) {
		if err == nil && c.Until().Before(a.now()) {
			found++
		} else if _, one := recordOf(err); err != nil && !one {
			return err
		}
	}
	if found > 0 {
		if err := a.confirm("Release " + plural(found, "expired claim") + "?"); err != nil {
			return err
		}
		if found, err = s.ReleaseExpired(ctx); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"released": found})
	}
	a.printf("released %s\n", plural(found, "claim"))
	return nil
}
