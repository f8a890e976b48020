package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

var (
	errConflict = errors.New("conflict")
	errDisk     = errors.New("disk full")
)

// A recorder commits names and says how.
type recorder struct {
	*Group[string]
	log   []string                        // what was committed, and how
	begin func(ctx context.Context) error // before Begin
	each  func(*Member[string]) error
	end   func(attempt int) error // after Committing
}

func newRecorder() *recorder {
	r := &recorder{
		begin: func(context.Context) error { return nil },
		each:  func(*Member[string]) error { return nil },
		end:   func(int) error { return nil },
	}
	r.Group = New(r.alone, r.together)
	return r
}

func (r *recorder) alone(ctx context.Context, name string) error {
	if name == "bad" {
		panic("bad")
	}
	r.log = append(r.log, name)
	return ctx.Err()
}

func (r *recorder) together(ctx context.Context, c *Commit[string]) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		if err := c.Begin(); err != nil {
			return err
		}
		if err := c.Each(r.each); err != nil {
			return err
		}
		c.Committing()
		err := r.end(attempt)
		if errors.Is(err, errAgain) {
			continue
		}
		if err == nil {
			r.log = append(r.log, fmt.Sprint(names(c)))
		}
		return err
	}
}

var errAgain = errors.New("again")

// names returns the names of those whose work was committed.
func names(c *Commit[string]) []string {
	var names []string
	for _, m := range c.Members() {
		if m.OK() {
			names = append(names, m.Work)
		}
	}
	return names
}

// all makes calls with these names as one group.
func (r *recorder) all(t *testing.T, names ...string) []error {
	var calls []Call[string]
	for _, name := range names {
		calls = append(calls, Call[string]{t.Context(), 1, name})
	}
	return r.DoAll(calls...)
}

// refuse returns a function for Each that refuses one member.
func refuse(name string, err error) func(*Member[string]) error {
	return func(m *Member[string]) error {
		if m.Work == name {
			m.Refuse(err)
		}
		return nil
	}
}

func (r *recorder) logged(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.log); diff != "" {
		t.Errorf("committed (-want +got): %s", diff)
	}
}

func same(t *testing.T, got []error, want ...error) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b error) bool { return errors.Is(a, b) }) {
		t.Errorf("errors %v, want %v", got, want)
	}
}

func TestOneAloneGoesTheDirectWay(t *testing.T) {
	r := newRecorder()
	r.begin = func(context.Context) error { t.Error("a shared commit of one"); return nil }
	for _, name := range []string{"a", "b"} {
		if err := r.Do(t.Context(), 1, name); err != nil {
			t.Error(err)
		}
	}
	r.logged(t, "a", "b")
}

func TestTheOutcomeOfACommitForEachMember(t *testing.T) {
	uncertain := fmt.Errorf("%w: input/output error", driver.ErrUncertain)
	for _, c := range []struct {
		name string
		each func(*Member[string]) error
		end  error
		errs []error // of a, b, c
		log  []string
	}{
		{"committed", nil, nil, []error{nil, nil, nil}, []string{"[a b c]"}},
		{"a conflict of one", refuse("b", errConflict), nil, []error{nil, errConflict, nil}, []string{"[a c]"}},
		{"a conflict of the leader", refuse("a", errConflict), nil, []error{errConflict, nil, nil}, []string{"[b c]"}},
		{"one apart", func(m *Member[string]) error {
			if m.Work == "b" {
				m.Apart()
			}
			return nil
		}, nil, []error{nil, nil, nil}, []string{"[a c]", "b"}},
		{"nothing to commit", func(m *Member[string]) error { m.Refuse(errConflict); return nil }, errDisk,
			[]error{errConflict, errConflict, errConflict}, nil},
		{"uncertain", nil, uncertain, []error{uncertain, uncertain, uncertain}, nil},
		{"uncertain, with a conflict", refuse("b", errConflict), uncertain, []error{uncertain, errConflict, uncertain}, nil},
		{"failed", nil, errDisk, []error{errDisk, errDisk, errDisk}, nil},
		{"failed, with a conflict that may not have come about", refuse("b", errConflict), errDisk,
			[]error{errDisk, nil, errDisk}, []string{"b"}},
		{"broken up", refuse("b", errConflict), ErrApart, []error{nil, nil, nil}, []string{"a", "b", "c"}},
		{"work that fails for all", func(*Member[string]) error { return errDisk }, nil, []error{errDisk, errDisk, errDisk}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecorder()
			if c.each != nil {
				r.each = c.each
			}
			r.end = func(int) error { return c.end }
			same(t, r.all(t, "a", "b", "c"), c.errs...)
			r.logged(t, c.log...)
		})
	}
}

func TestAMemberCancelledInTheGroupKeepsItsErrorWhateverComes(t *testing.T) {
	for _, end := range []error{nil, driver.ErrUncertain, ErrApart, errDisk} {
		synctest.Test(t, func(t *testing.T) {
			r := newRecorder()
			ctx, cancel := context.WithCancel(t.Context())
			settled := make(chan error, 1)
			r.each = func(m *Member[string]) error {
				if m.Work == "a" {
					cancel() // b has been taken into the commit already
				}
				if m.Work == "b" {
					t.Error("the work of a cancelled member was begun")
				}
				return nil
			}
			r.end = func(int) error {
				synctest.Wait()
				select {
				case err := <-settled:
					same(t, []error{err}, context.Canceled)
				default:
					t.Error("the cancelled member waits for the commit")
				}
				return end
			}
			r.begin = func(context.Context) error {
				go func() { settled <- r.Do(ctx, 1, "b") }()
				synctest.Wait()
				return nil
			}
			errs := r.all(t, "a", "c")
			if want := end; errors.Is(want, ErrApart) {
				r.logged(t, "a", "c")
			} else {
				same(t, errs, want, want)
			}
		})
	}
}

func TestAMemberCancelledInTheQueueLeavesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		r.begin = func(context.Context) error {
			go func() { left <- r.Do(ctx, 1, "impatient") }()
			synctest.Wait()
			cancel()
			same(t, []error{<-left}, context.Canceled)
			return nil
		}
		same(t, r.all(t, "a", "b"), nil, nil)
		r.logged(t, "[a b]")
	})
}

func TestALeaderCancelledBeforeItBeginsConcernsNobodyElse(t *testing.T) {
	r := newRecorder()
	ctx, cancel := context.WithCancel(t.Context())
	r.begin = func(lead context.Context) error { cancel(); return lead.Err() }
	errs := r.DoAll(Call[string]{ctx, 1, "a"}, Call[string]{t.Context(), 1, "b"})
	same(t, errs, context.Canceled, nil)
	r.logged(t, "b")

	r = newRecorder()
	ctx, cancel = context.WithCancel(t.Context())
	r.begin = func(context.Context) error { cancel(); return nil } // Begin sees it
	errs = r.DoAll(Call[string]{ctx, 1, "a"}, Call[string]{t.Context(), 1, "b"})
	same(t, errs, context.Canceled, nil)
	r.logged(t, "b")
}

func TestTheContextOfACommitEndsWithNobodysAfterBegin(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	g := New(func(context.Context, string) error { return nil }, func(ctx context.Context, c *Commit[string]) error {
		if _, ok := ctx.Deadline(); !ok || ctx.Done() == nil {
			t.Error("before Begin the context must be that of the leader")
		}
		if err := c.Begin(); err != nil {
			return err
		}
		cancel()
		if _, ok := ctx.Deadline(); ok || ctx.Done() != nil || ctx.Err() != nil {
			t.Error("after Begin the context must not end")
		}
		return nil
	})
	same(t, g.DoAll(Call[string]{ctx, 1, "a"}, Call[string]{t.Context(), 1, "b"}), nil, nil)
}

func TestAPanicOfAMembersWorkComesInItsOwnCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.each = func(m *Member[string]) error {
			if m.Work == "bad" {
				panic("bad")
			}
			return nil
		}
		panicked := make(chan any, 1)
		r.begin = func(context.Context) error {
			go func() {
				defer func() { panicked <- recover() }()
				r.Do(t.Context(), 1, "bad")
			}()
			synctest.Wait()
			return nil
		}
		same(t, r.all(t, "a", "b"), nil, nil)
		if p := <-panicked; p != "bad" {
			t.Errorf("the caller got %v", p)
		}
		slices.Sort(r.log)
		r.logged(t, "a", "b")
	})
}

// A panic, or the end of the leader's goroutine, must not leave others waiting.
func TestALeaderThatDies(t *testing.T) {
	for name, die := range map[string]func(){"panic": func() { panic("oh") }, "goexit": runtime.Goexit} {
		for _, c := range []struct {
			at   string
			want error
			log  []string
		}{
			{"begin", nil, []string{"b"}},
			{"each", nil, []string{"b"}},
			{"end", driver.ErrUncertain, nil},
		} {
			if name == "panic" && c.at == "each" {
				continue // that of a member's work
			}
			t.Run(name+" at "+c.at, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRecorder()
					started := make(chan error, 1)
					at := func(place string) {
						if place == "begin" {
							go func() { started <- r.Do(t.Context(), 1, "b") }()
							synctest.Wait()
						}
						if place == c.at {
							die()
						}
					}
					r.begin = func(context.Context) error { at("begin"); return nil }
					r.each = func(*Member[string]) error { at("each"); return nil }
					r.end = func(int) error { at("end"); return nil }
					go func() {
						defer func() { _ = recover() }()
						a := &Member[string]{Work: "a", ctx: t.Context()}
						r.enter(a)
						defer r.next()
						r.commit(a)
					}()
					same(t, []error{<-started}, c.want)
					r.logged(t, c.log...)
					if err := r.Do(t.Context(), 1, "later"); err != nil || r.Waiting() > 0 {
						t.Error("the group must go on", err)
					}
				})
			})
		}
	}
}

func TestACommitMayBeginAgain(t *testing.T) {
	r := newRecorder()
	tries := 0
	r.each = func(m *Member[string]) error {
		if m.Work == "b" {
			if tries++; tries == 1 {
				m.Refuse(errConflict)
			}
		}
		return nil
	}
	r.end = func(attempt int) error {
		if attempt == 1 {
			return errAgain
		}
		return nil
	}
	same(t, r.all(t, "a", "b"), nil, nil)
	r.logged(t, "[a b]")
}

func TestACommitIsNotTooLarge(t *testing.T) {
	r := newRecorder()
	sizes := map[string]int{"a": maxBytes, "b": 1, "c": maxBytes - 1, "d": 1, "e": maxBytes + 1}
	var calls []Call[string]
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		calls = append(calls, Call[string]{t.Context(), sizes[name], name})
	}
	same(t, r.DoAll(calls...), nil, nil, nil, nil, nil)
	r.logged(t, "[a]", "[b c]", "[d]", "e")

	r = newRecorder()
	names := make([]string, maxMembers+2)
	r.all(t, names...)
	r.logged(t, fmt.Sprint(names[:maxMembers]), fmt.Sprint(names[:2]))
}

func TestThoseWhoHaveWaitedLongAreExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		old, young := make(chan error, 1), make(chan error, 1)
		r.begin = func(context.Context) error {
			go func() { old <- r.Do(t.Context(), 1, "old") }()
			time.Sleep(time.Second)
			go func() { young <- r.Do(t.Context(), 1, "young") }()
			synctest.Wait()
			r.Expire(time.Second, errDisk)
			r.begin = func(context.Context) error { return nil }
			return nil
		}
		ctx := t.Context()
		lead := &Member[string]{Work: "a", ctx: ctx}
		r.enter(lead)
		r.commit(lead)
		r.next()
		same(t, []error{<-old, <-young, lead.err}, errDisk, nil, nil)
		r.logged(t, "[a young]")
	})
}

func TestManyConcurrentCallsAreEachCommittedOnce(t *testing.T) {
	const goroutines, each = 16, 200
	count := map[int]int{} // guarded by being the leader; nothing breaks up here
	g := New(func(_ context.Context, n int) error { count[n]++; return nil }, func(_ context.Context, c *Commit[int]) error {
		if err := c.Begin(); err != nil {
			return err
		}
		return c.Each(func(m *Member[int]) error { count[m.Work]++; return nil })
	})
	done := make(chan error)
	for i := range goroutines {
		go func() {
			var errs []error
			for j := range each {
				ctx, cancel := context.WithCancel(t.Context())
				if j%5 == 0 {
					go cancel()
				}
				err := g.Do(ctx, 1, i*each+j)
				if j%5 != 0 || !errors.Is(err, context.Canceled) {
					errs = append(errs, err)
				}
				cancel()
			}
			done <- errors.Join(errs...)
		}()
	}
	for range goroutines {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for n, c := range count {
		if c != 1 {
			t.Errorf("call %d was committed %d times", n, c)
		}
	}
	if len(count) < goroutines*each*4/5 {
		t.Errorf("%d calls were committed", len(count))
	}
}
