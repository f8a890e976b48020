package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/brine-go/brine/persistence"
)

// A role is a process that does one kind of work. There is nothing between the roles but the store.
type role struct {
	store   *persistence.Store
	key     string        // names the process in jobs and claims, for people to read
	lease   time.Duration // how long a dead process keeps what it has claimed
	batch   int           // how many jobs a worker puts into one batch
	keep    time.Duration // how long finished jobs are kept
	verbose bool
}

// The roles by their names on the command line, and what each does in one round.
var roles = map[string]func(*role, context.Context) (found bool, err error){
	"manager": (*role).manage,
	"worker":  (*role).prepare,
	"engine":  (*role).execute,
}

const (
	poll        = 100 * time.Millisecond // how often to look whether there is something new
	maxFailures = 30                     // how many rounds in a row may go wrong
)

// work does round after round until ctx ends: at once if the last one has found something to do,
// else after a while. A server that restarts is no reason to give up.
func (r *role) work(ctx context.Context, name string) error {
	r.key = fmt.Sprintf("%s-%d", name, os.Getpid())
	wrong := 0
	for ctx.Err() == nil {
		found, err := r.round(ctx, roles[name])
		if err == nil {
			wrong = 0
		} else if ctx.Err() == nil { // else it was told to end in the middle of something
			found = false
			if errors.Is(err, persistence.ErrConflict) {
				log.Printf("%s: too late: %v", r.key, err) // someone else has taken over: that is what claims are for
			} else if wrong++; wrong > maxFailures {
				return err
			} else {
				log.Printf("%s: %v", r.key, err)
			}
		}
		if !found {
			sleep(ctx, poll)
		}
	}
	return nil
}

func (r *role) round(ctx context.Context, step func(*role, context.Context) (bool, error)) (bool, error) {
	if p, err := paused(ctx, r.store); p || err != nil {
		return false, err
	}
	return step(r, ctx)
}

// claim claims up to n objects that q selects and, if to is not "", gives them that state in the
// same step. Those that it could not give a state, because they cannot be read, do not keep the
// others back.
func (r *role) claim(ctx context.Context, q *persistence.Query, n int, to State) ([]*persistence.Claim, error) {
	claims, err := r.store.Claim(ctx, q, persistence.ClaimOptions{Owner: r.key, Lease: r.lease, Limit: n, State: string(to)})
	if err != nil && len(claims) > 0 {
		log.Printf("%s: %v", r.key, err)
		err = nil
	}
	return claims, err
}

func (r *role) logf(format string, args ...any) {
	if r.verbose {
		log.Printf("%s: %s", r.key, fmt.Sprintf(format, args...))
	}
}

// pausedKey is the key of a pair that exists while the processes are to take nothing new.
const pausedKey = "workers/paused"

func paused(ctx context.Context, store *persistence.Store) (bool, error) {
	_, err := store.KV().Get(ctx, pausedKey)
	if errors.Is(err, persistence.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// pause stores the pair or removes it, and reports whether that changed anything. If several
// processes do it at once, it is true for one of them.
func pause(ctx context.Context, store *persistence.Store, on bool) (changed bool, err error) {
	if on {
		return store.KV().CompareAndSwap(ctx, pausedKey, persistence.Absent, true)
	}
	return store.KV().CompareAndSwap(ctx, pausedKey, true, persistence.Absent)
}

// sleep waits until d has passed or ctx has ended.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
