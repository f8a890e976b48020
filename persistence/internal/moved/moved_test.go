package moved

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

func TestTheFirstReasonStays(t *testing.T) {
	t.Parallel()
	var w Watch
	if err := w.Err(); err != nil {
		t.Fatalf("a new Watch: %v", err)
	}
	first := w.Set(fs.ErrNotExist)
	if second := w.Set(errors.New("another")); !errors.Is(second, first) || !errors.Is(w.Err(), first) {
		t.Errorf("Set returned %v, then %v, and Err is %v", first, second, w.Err())
	}
	if _, ok := errors.AsType[*Error](first); !ok || !errors.Is(first, fs.ErrNotExist) || first.Error() != fs.ErrNotExist.Error() {
		t.Errorf("%#v is no Error with what Set was given", first)
	}
}

func TestReadsCheckNowAndThen(t *testing.T) {
	t.Parallel()
	var w Watch
	if !w.Due() {
		t.Error("the first read does not check")
	}
	w.checked.Store(int64(time.Since(epoch) + time.Hour))
	if w.Due() {
		t.Error("a read checks right after another one")
	}
	w.checked.Store(int64(time.Since(epoch) - interval))
	var checks atomic.Int32
	var reads sync.WaitGroup
	for range 8 {
		reads.Go(func() {
			if w.Due() {
				checks.Add(1)
				w.checked.Add(int64(time.Hour)) // however slow the others are
			}
		})
	}
	reads.Wait()
	if n := checks.Load(); n != 1 {
		t.Errorf("%d of 8 reads check after the interval, want one", n)
	}
}

func TestTheOutcomeOfACommit(t *testing.T) {
	t.Parallel()
	failed, away := errors.New("failed"), NewError(errors.New("away"))
	uncertain := errors.Join(driver.ErrUncertain, failed)
	for name, tt := range map[string]struct {
		err, moved error
		want       []error // all of them
		text       string
	}{
		"a commit that is found":             {nil, nil, nil, ""},
		"a failure where the file is":        {failed, nil, []error{failed}, "failed"},
		"a commit into a file that is away":  {nil, away, []error{driver.ErrUncertain, away}, driver.ErrUncertain.Error() + ": away"},
		"an uncertain one likewise":          {uncertain, away, []error{driver.ErrUncertain, away}, driver.ErrUncertain.Error() + ": away"},
		"a failure where the file is away":   {failed, away, []error{away}, "away"},
		"an uncertain one where the file is": {uncertain, nil, []error{driver.ErrUncertain, failed}, uncertain.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Outcome(tt.err, tt.moved)
			if tt.want == nil && got != nil || tt.want != nil && got == nil {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for _, want := range tt.want {
				if !errors.Is(got, want) {
					t.Errorf("%v is no %v", got, want)
				}
			}
			if got != nil && got.Error() != tt.text {
				t.Errorf("got the text %q, want %q", got, tt.text)
			}
		})
	}
}
