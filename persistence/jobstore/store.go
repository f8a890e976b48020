package jobstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// The columns that a job store adds to its table. Queries of [Store.Objects] may name them.
const (
	ColNextRunTime = "next_run_time" // Time, indexed: UTC, microseconds; NULL for a paused job
	ColIsJob       = "is_job"        // Bool: true for jobs; NULL for other objects, which jobs refer to
)

// defaultTable is the table if neither the options nor the URL name one. It differs from the
// default of other stores, so that both can share a database.
const defaultTable = "jobs"

// Options describe the jobs.
type Options[J any] struct {
	// ID returns the ID of a job: 1 to 191 bytes of valid UTF-8 without NUL. It never changes.
	ID func(*J) string
	// NextRunTime returns when a job is to run next; the zero time means that it is paused.
	NextRunTime func(*J) time.Time
	// Store has the options of the store of objects. ExtraFields are columns of the jobs in
	// addition to those of the job store. Table is "jobs" by default. IDs makes the IDs of other
	// objects that jobs refer to, which must be text; UUIDs by default.
	Store persistence.Options
}

// A Store keeps jobs. It is safe for concurrent use by any number of goroutines and processes;
// jobs are not. Make one with [Open] or [New], and Close it.
type Store[J any] struct {
	objects *persistence.Store
	idOf    func(*J) string
	nextOf  func(*J) time.Time
}

// Open opens the job store that the URL names, as [persistence.MakeStore] does; it creates what
// is missing. The backend must support claims, as all built-in ones do.
func Open[J any, P interface {
	*J
	persistence.Object
}](ctx context.Context, rawURL string, o Options[J]) (*Store[J], error) {
	opts, err := o.forStore()
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(rawURL); err == nil && opts.Table == "" && u.Table() == "" {
		opts.Table = defaultTable
	}
	objects, err := persistence.MakeStore(ctx, rawURL, opts)
	if err != nil {
		return nil, err
	}
	return o.on(objects), nil
}

// New returns a job store on the backend b, as [persistence.New] does: Close closes b.
func New[J any, P interface {
	*J
	persistence.Object
}](ctx context.Context, b driver.Backend, o Options[J]) (*Store[J], error) {
	opts, err := o.forStore()
	if err != nil {
		return nil, err
	}
	objects, err := persistence.New(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	return o.on(objects), nil
}

func (o Options[J]) on(objects *persistence.Store) *Store[J] {
	return &Store[J]{objects: objects, idOf: o.ID, nextOf: o.NextRunTime}
}

// forStore returns the options of the store of objects.
func (o Options[J]) forStore() (*persistence.Options, error) {
	if o.ID == nil || o.NextRunTime == nil {
		return nil, errors.New("job store: the options want both functions, ID and NextRunTime")
	}
	opts := o.Store
	if opts.IDs == nil {
		opts.IDs = idfactory.UUIDv7()
	}
	if opts.IDs.Integral() {
		return nil, errors.New("job store: the IDs of jobs are texts, so those of the objects they refer to must be texts too")
	}
	opts.IDs = jobIDs[J]{job: o.ID, other: opts.IDs}
	nextRunTime := func(obj any) (any, error) {
		j, ok := obj.(*J)
		if !ok {
			return nil, nil
		}
		if t := o.NextRunTime(j); !t.IsZero() {
			return t, nil
		}
		return nil, nil
	}
	isJob := func(obj any) (any, error) {
		if _, ok := obj.(*J); !ok {
			return nil, nil
		}
		return true, nil
	}
	opts.ExtraFields = append(slices.Clip(opts.ExtraFields),
		extrafields.Func(ColNextRunTime, extrafields.Time, nextRunTime).Indexed(),
		extrafields.Func(ColIsJob, extrafields.Bool, isJob))
	return &opts, nil
}

// jobIDs gives each job its own ID, even if it is saved only because another object refers to
// it.
type jobIDs[J any] struct {
	job   func(*J) string
	other idfactory.Factory
}

func (jobIDs[J]) Integral() bool { return false }

// Unique is false: a job has no second ID.
func (jobIDs[J]) Unique() bool { return false }

func (f jobIDs[J]) NewID(ctx context.Context, obj any, next func(context.Context) (int64, error)) (persistence.ID, error) {
	if j, ok := obj.(*J); ok {
		return persistence.ID(f.job(j)), nil
	}
	return f.other.NewID(ctx, obj, next)
}

// Objects returns the store of objects: for queries by extra fields, key-value pairs, PreFork
// and Reset, and to list the acquired jobs ([persistence.Store.Claims]).
func (s *Store[J]) Objects() *persistence.Store { return s.objects }

// Close releases the backend. See [persistence.Store.Close].
func (s *Store[J]) Close() error { return s.objects.Close() }

// Add stores a new job. It returns ErrConflictingID if a job with its ID exists. (APScheduler's
// add_job.)
func (s *Store[J]) Add(ctx context.Context, job *J) error {
	id, err := s.check(job)
	if err != nil {
		return err
	}
	err = s.objects.Insert(ctx, id, job)
	if errors.Is(err, persistence.ErrExists) {
		return fmt.Errorf("%w: %w", ErrConflictingID, err)
	}
	return err
}

// Update replaces the job that has the same ID, without checking its revision: the last writer
// wins. It returns ErrJobLookup if there is none. A scheduler that has acquired the job keeps
// it, but must [Acquired.Reload] it. (APScheduler's update_job.)
func (s *Store[J]) Update(ctx context.Context, job *J) error {
	id, err := s.check(job)
	if err != nil {
		return err
	}
	return lookupError(s.objects.Replace(ctx, id, job))
}

// Remove removes a job, acquired or not. It returns ErrJobLookup if no job has that ID.
// (APScheduler's remove_job.)
func (s *Store[J]) Remove(ctx context.Context, id string) error {
	return lookupError(s.objects.Remove(ctx, persistence.ID(id)))
}

// RemoveAll removes all jobs, acquired or not, including those that cannot be decoded, and
// returns their number. Other objects, which jobs refer to, stay. It works in atomic steps of a
// few hundred. (APScheduler's remove_all_jobs.)
func (s *Store[J]) RemoveAll(ctx context.Context) (int64, error) {
	return s.objects.RemoveAll(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq(ColIsJob, true)}})
}

// check returns the ID of a job, or an error if the job cannot be stored.
func (s *Store[J]) check(job *J) (persistence.ID, error) {
	if job == nil {
		return "", fmt.Errorf("nil is no job: %w", persistence.ErrUnstorable)
	}
	id := persistence.ID(s.idOf(job))
	// The store only warns of a column that it cannot compute and leaves it NULL: the job would be
	// paused.
	if _, err := extrafields.Canonical(extrafields.Time, s.nextOf(job)); err != nil {
		return "", fmt.Errorf("the next run time of job %q: %w: %w", id, persistence.ErrUnstorable, err)
	}
	return id, nil
}
