package persistence_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence"
)

// besideURL is the URL of the store that copyBeside copies from, in the directory of the other one.
func besideURL(path string) string { return "sqlite:" + filepath.Join(filepath.Dir(path), "source.db") }

// copyBeside copies the store beside s to s, and says after each batch that it is done.
func copyBeside(ctx context.Context, s *persistence.Store) error {
	src, err := persistence.MakeStore(ctx, besideURL(s.URL().Path()), nil)
	if err != nil {
		return err
	}
	defer src.Close()
	_, err = persistence.Copy(ctx, s, src, &persistence.CopyOptions{Progress: func(int64, int64) { fmt.Println("batch") }})
	return err
}

func TestCopyThatIsKilledIsFinished(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"sqlite", "fs"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			url := storeURL(t, backend)
			scheme, path, _ := strings.Cut(url, ":")
			src := open(t, besideURL(path), &persistence.Options{ExtraFields: jsonFields})
			fill(t, src, false)
			moments, tasks, thirds := 2, make([]any, 1500), 1
			switch {
			case long():
				moments, tasks, thirds = 20, make([]any, 6000), 0
			case testing.Short():
				moments, tasks = 1, make([]any, 1000)
			}
			for i := range tasks {
				tasks[i] = &Task{Name: strings.Repeat("x", 1000), Prio: i}
			}
			must[[]persistence.ID](t)(src.SaveAll(ctx, tasks...))
			want := int64(len(tasks) + 120)

			began := time.Now()
			cmd, lines := start(t, "copy", url)
			for range lines {
			}
			check(t, cmd.Wait())
			whole := time.Since(began)

			cut := 0
			for i := range moments {
				url := fmt.Sprintf("%s:%s-%d", scheme, path, i)
				earliest := time.Duration(thirds) * whole / 3 // a new process has written nothing before
				moment := earliest + time.Duration(rand.Int64N(int64(whole-earliest)))
				cmd, lines := start(t, "copy", url)
				time.Sleep(moment)
				_ = cmd.Process.Kill() // it may have ended
				for range lines {
				}
				_ = cmd.Wait()
				dst := open(t, url, nil)
				before := must[int64](t)(dst.Count(ctx, nil))
				if before > 0 && before < want {
					cut++
				}
				got, err := persistence.Copy(ctx, dst, src, nil)
				if err != nil || got.Same != before || got.Copied+got.Same != want {
					t.Errorf("killed after %v of %v, with %d records there: %+v, %v", moment, whole, before, got, err)
				}
				if d := differences(t, src, dst, nil); d != nil {
					t.Errorf("the copy differs: %v", d)
				}
				for f, err := range dst.Check(ctx, persistence.CheckOptions{}) {
					t.Errorf("in the copy: %+v, %v", f, err)
				}
				if n := len(keysOf(t, dst)); n != 5 {
					t.Errorf("%d pairs", n)
				}
				if id := must[persistence.ID](t)(dst.Save(ctx, &Task{Name: "new"})); id == "1" {
					t.Error("an ID was given out again")
				}
			}
			t.Logf("%d of %d copies were cut off with some of the records written", cut, moments)
			if cut == 0 && long() {
				t.Error("no copy was cut off in the middle")
			}
		})
	}
}

const (
	bankAccounts = 40
	bankSum      = 100 * bankAccounts
)

// transfer moves money between two accounts, in one save.
func transfer(ctx context.Context, s *persistence.Store, ids []persistence.ID) error {
	i, j := rand.IntN(len(ids)), rand.IntN(len(ids)-1)
	if j >= i {
		j++
	}
	objs, err := s.LoadAll(ctx, ids[i], ids[j])
	if err != nil {
		return err
	}
	objs[0].(*Task).Prio--
	objs[1].(*Task).Prio++
	_, err = s.SaveAll(ctx, objs...)
	return err
}

func TestSnapshotIsOneState(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		src := open(t, url, nil)
		accounts := make([]any, bankAccounts)
		for i := range accounts {
			accounts[i] = &Task{Name: fmt.Sprint(i), Prio: 100}
		}
		ids := must[[]persistence.ID](t)(src.SaveAll(ctx, accounts...))
		filler := make([]any, 800) // so that there are several pages
		for i := range filler {
			filler[i] = &File{Path: fmt.Sprint(i)}
		}
		must[[]persistence.ID](t)(src.SaveAll(ctx, filler...))
		last := make([]any, bankAccounts) // and accounts on the first and on the last one
		for i := range last {
			last[i] = &Task{Name: fmt.Sprint("last ", i), Prio: 100}
		}
		ids = append(ids, must[[]persistence.ID](t)(src.SaveAll(ctx, last...))...)
		var writers sync.WaitGroup
		for range 8 {
			writers.Go(func() {
				for ctx.Err() == nil {
					err := transfer(ctx, src, ids)
					if err != nil && ctx.Err() == nil && !wraps(err, persistence.ErrConflict) {
						t.Errorf("a transfer: %v", err)
						return
					}
				}
			})
		}
		for range 3 {
			dst := open(t, "mem:", nil)
			got, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Snapshot: true})
			if err != nil || got.Changed != 0 || got.Copied != int64(len(ids)+len(filler)) {
				t.Errorf("%+v, %v", got, err)
			}
			sum := 0
			for task, err := range persistence.All[Task](ctx, dst, nil) {
				check(t, err)
				sum += task.Prio
			}
			if sum != 2*bankSum {
				t.Errorf("the accounts of the copy have %d in all, not %d", sum, 2*bankSum)
			}
		}
		dst := open(t, "mem:", nil)
		got, err := persistence.Copy(ctx, dst, src, &persistence.CopyOptions{Progress: func(int64, int64) {
			if err := transfer(ctx, src, ids); err != nil && !wraps(err, persistence.ErrConflict) {
				t.Errorf("a transfer: %v", err)
			}
		}})
		if err != nil || got.Changed == 0 {
			t.Errorf("beside writers, without a snapshot: %+v, %v", got, err)
		}
		cancel()
		writers.Wait()
	})
}
