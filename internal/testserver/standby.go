package testserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// Standby starts a PostgreSQL server and a second one that follows it (streaming replication) and
// answers reads. Both listen on TCP too. With sync a commit on the primary is acknowledged only
// when the standby has applied it (synchronous_commit=remote_apply), and waits for ever while there
// is none.
func Standby(t testing.TB, sync bool, opts ...Option) (primary, standby *Server) {
	t.Helper()
	require(t, postgres)
	cfg := newConfig(append([]Option{TCP()}, opts...))
	if sync {
		cfg.flags = append([]string{"-c", "synchronous_commit=remote_apply"}, cfg.flags...)
	}
	p, err := launch(postgres, cfg)
	if err != nil {
		t.Fatal(err)
	}
	primary = own(t, p)
	s, err := retryPorts(func() (*instance, error) {
		i, err := newInstance(postgres, cfg, func(i *instance) error {
			return run(i.dir, filepath.Join(postgres.bin, "pg_basebackup"), "-D", i.data(), "-h", p.dir, "-U", "test",
				"-R", "-X", "stream", "--checkpoint=fast", "--no-sync")
		})
		if err != nil {
			return nil, err
		}
		// Not first: what settle makes has come with the copy.
		if err := i.start(); err != nil {
			return nil, errors.Join(err, i.remove())
		}
		return i, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	standby = own(t, s)
	if err := p.follow(sync); err != nil {
		t.Fatal(err)
	}
	return primary, standby
}

// follow waits until the standby follows, and makes commits wait for it if sync. This comes so late
// because before, the primary's own first commits would have waited for ever.
func (i *instance) follow(sync bool) error {
	return i.with(func(ctx context.Context, db *sql.DB) error {
		want := "async"
		if sync {
			want = "sync"
			for _, q := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
				if _, err := db.ExecContext(ctx, q); err != nil {
					return err
				}
			}
		}
		return until(ctx, func() error {
			var state string
			err := db.QueryRowContext(ctx, "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'").Scan(&state)
			if err == nil && state != want {
				err = fmt.Errorf("the standby's state is %s, not %s", state, want)
			}
			return err
		})
	})
}

// until calls f until it succeeds or ctx ends.
func until(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Promote makes a standby a primary and returns when it accepts writes.
func (s *Server) Promote() {
	s.t.Helper()
	s.act(func(i *instance) error {
		return i.with(func(ctx context.Context, db *sql.DB) error {
			if _, err := db.ExecContext(ctx, "SELECT pg_promote(false)"); err != nil {
				return err
			}
			return until(ctx, func() error {
				var recovers bool
				if err := db.QueryRowContext(ctx, "SELECT pg_is_in_recovery()").Scan(&recovers); err != nil {
					return err
				}
				if recovers {
					return errors.New("it is still a standby")
				}
				return nil
			})
		})
	})
}
