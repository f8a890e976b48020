package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/brine-go/brine/persistence"
)

// A bank is a program that writes all the time: it moves money between accounts, adds accounts
// that are empty, and removes such. The sum of all accounts stays.
type bank struct {
	s    *persistence.Store
	stop func()
}

const (
	bankAccounts = 600
	bankSum      = 100 * bankAccounts
)

// openBank starts the program on a store.
func openBank(t *testing.T, url string) *bank {
	t.Helper()
	b := &bank{s: open(t, url, &persistence.Options{ExtraFields: demoFields})}
	if n, err := b.s.Count(t.Context(), nil); err != nil || n == 0 {
		check(t, err)
		accounts := make([]any, bankAccounts)
		for i := range accounts {
			accounts[i] = &task{Name: fmt.Sprint("account ", i), State: "OPEN", Priority: 100}
		}
		_, err := b.s.SaveAll(t.Context(), accounts...)
		check(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			for ctx.Err() == nil {
				err := b.work(ctx)
				if err != nil && ctx.Err() == nil && !errors.Is(err, persistence.ErrConflict) {
					t.Errorf("the program: %v", err)
					return
				}
			}
		})
	}
	b.stop = func() {
		cancel()
		writers.Wait()
		check(t, b.s.Close())
	}
	return b
}

// work does a little of what the program does.
func (b *bank) work(ctx context.Context) error {
	empty, err := b.s.Save(ctx, &task{Name: fmt.Sprint("empty ", rand.Uint64()), State: "EMPTY"})
	if err != nil {
		return err
	}
	if rand.IntN(2) == 0 {
		if err := b.s.Remove(ctx, empty); err != nil {
			return err
		}
	}
	from, to := 1+rand.IntN(bankAccounts), 1+rand.IntN(bankAccounts)
	if from == to {
		return nil
	}
	objs, err := b.s.LoadAll(ctx, persistence.ID(fmt.Sprint(from)), persistence.ID(fmt.Sprint(to)))
	if err != nil {
		return err
	}
	objs[0].(*task).Priority--
	objs[1].(*task).Priority++
	if _, err = b.s.SaveAll(ctx, objs...); err != nil {
		return err
	}
	return b.s.KV().Set(ctx, "last", fmt.Sprint(from, " to ", to))
}

func sumOf(t *testing.T, url string) (sum int) {
	t.Helper()
	s := open(t, url, &persistence.Options{ReadOnly: true})
	defer s.Close()
	for tk, err := range persistence.All[task](t.Context(), s, nil) {
		check(t, err)
		sum += tk.Priority
	}
	return sum
}

// The recipe of the guide, section "Outgrowing one machine": from SQLite to a server while the
// program goes on, and back.
func TestAStoreIsMovedWhileTheProgramGoesOn(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"postgres", "mariadb"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			from, to, back := place(t, "sqlite"), place(t, server), place(t, "sqlite")
			for _, way := range [][2]string{{from, to}, {to, back}} {
				program := openBank(t, way[0])
				o := brine(t, "cp", way[0], way[1])
				if o.code != exitDone || !strings.Contains(o.out, "copied ") {
					t.Fatalf("the first copy: %+v", o)
				}
				o = brine(t, "cp", way[0], way[1], "--existing", "overwrite")
				if o.code != exitDone || !strings.Contains(o.out, "replaced in the destination") {
					t.Fatalf("the second copy: %+v", o)
				}
				program.stop()
				if out := done(t, "cp", way[0], way[1], "--existing", "overwrite"); strings.Contains(out, "meanwhile") {
					t.Errorf("the last copy: %s", out)
				}
				removeWhatIsOnlyInB(t, way[0], way[1])
				if out := done(t, "diff", way[0], way[1]); out != "" {
					t.Errorf("the stores differ:\n%s", out)
				}
				if sum := sumOf(t, way[1]); sum != bankSum {
					t.Errorf("the accounts have %d, want %d", sum, bankSum)
				}
				program = openBank(t, way[1]) // goes on there
				program.stop()
				if sum := sumOf(t, way[1]); sum != bankSum {
					t.Errorf("after the program went on, the accounts have %d, want %d", sum, bankSum)
				}
			}
		})
	}
}

// removeWhatIsOnlyInB removes from B what the program has removed from A between the copies.
func removeWhatIsOnlyInB(t *testing.T, a, b string) {
	t.Helper()
	o := brine(t, "diff", a, b, "--json")
	var ids []string
	for line := range strings.Lines(o.out) {
		var d diffJSON
		check(t, json.Unmarshal([]byte(line), &d))
		if d.Kind != onlyInB || d.ID == "" {
			t.Fatalf("after the last copy: %s", line)
		}
		ids = append(ids, string(d.ID))
	}
	if want := map[bool]int{true: exitFound, false: exitDone}[len(ids) > 0]; o.code != want {
		t.Fatalf("diff: %+v", o)
	}
	if len(ids) > 0 {
		o := brineWith(t, strings.Join(ids, "\n")+"\n", func(*app) {}, "rm", b, "-", "--yes")
		if o.code != exitDone {
			t.Fatalf("rm: %+v", o)
		}
	}
}
