package fs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

var running = where(driver.ColState, driver.Eq, "RUNNING")

// work claims running records and completes them until there are none, and says so of each.
func work(ctx context.Context, b *Backend, owner string, limit int, out io.Writer) error {
	for {
		recs, err := b.Claim(ctx, &running, driver.Claiming{Owner: owner, Lease: time.Hour, Limit: limit})
		if err != nil || len(recs) == 0 {
			return err
		}
		for _, r := range recs {
			if _, err := fmt.Fprintln(out, r.ID); err != nil {
				return err
			}
			done := of(driver.Update, r.ID, owner)
			done.Rec.State = "DONE"
			if _, err := b.Apply(ctx, []driver.Mutation{token(done, r.Claim.Token, true)}); err != nil {
				return err
			}
		}
	}
}

func init() {
	children["work"] = func(dir string, args []string) error {
		b, err := openWith(context.Background(), dir, intSchema, driver.OpenOptions{})
		if err != nil {
			return err
		}
		defer b.Close()
		limit, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return work(context.Background(), b, args[0], limit, os.Stdout)
	}
	// claims and gives back until it is killed, and says what it has.
	children["claims"] = func(dir string, args []string) error {
		b, err := openWith(context.Background(), dir, intSchema, driver.OpenOptions{})
		if err != nil {
			return err
		}
		for {
			recs, err := b.Claim(context.Background(), &driver.Query{}, driver.Claiming{Owner: args[0], Lease: time.Hour, Limit: 3})
			if err != nil {
				return err
			}
			if len(recs) == 0 {
				return errors.New("nothing left to claim")
			}
			for _, r := range recs {
				fmt.Println("claimed", r.ID, r.Claim.Token)
			}
			fmt.Println("releasing", recs[0].ID, recs[0].Claim.Token)
			if _, err := b.Apply(context.Background(), []driver.Mutation{token(of(driver.Update, recs[0].ID, ""), recs[0].Claim.Token, true)}); err != nil {
				return err
			}
		}
	}
}

// Many work on the same records, in one process and in four: each record is done once.
func TestEachRecordIsClaimedOnce(t *testing.T) {
	t.Parallel()
	records := 2000
	if testing.Short() {
		records = 300
	}
	limits := []int{1, 10}
	check := func(t *testing.T, b *Backend, outs []bytes.Buffer) {
		t.Helper()
		times := map[string]int{}
		for i := range outs {
			for id := range strings.FieldsSeq(outs[i].String()) {
				times[id]++
			}
		}
		for id, n := range times {
			if n != 1 {
				t.Errorf("%s was claimed %d times", id, n)
			}
		}
		if len(times) != records {
			t.Errorf("%d records were claimed", len(times))
		}
		q := where(driver.ColState, driver.Eq, "DONE")
		q.Where = append(q.Where, driver.Cond{Column: driver.ColRevision, Op: driver.Eq, Values: []any{int64(3)}},
			driver.Cond{Column: driver.ColClaimOwner, Op: driver.IsNull})
		if ids, bad := scan(t, b, q); len(ids) != records || bad != nil {
			t.Errorf("%d records are as they should be, %v", len(ids), bad)
		}
		if !agree(t, b) {
			t.Error("an index was made anew")
		}
	}
	t.Run("goroutines", func(t *testing.T) {
		t.Parallel()
		dir := scratch(t)
		backends := []*Backend{open(t, dir, intSchema), open(t, dir, intSchema)}
		apply(t, backends[0], create(numbers(1, records)...)...)
		agree(t, backends[0])
		var outs [8]bytes.Buffer
		var wg sync.WaitGroup
		for i := range outs {
			wg.Go(func() {
				if err := work(t.Context(), backends[i%2], strconv.Itoa(i), limits[i/2%2], &outs[i]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		check(t, backends[0], outs[:])
	})
	t.Run("processes", func(t *testing.T) {
		t.Parallel()
		dir := scratch(t)
		b := open(t, dir, intSchema)
		apply(t, b, create(numbers(1, records)...)...)
		agree(t, b)
		var outs [4]bytes.Buffer
		var wg sync.WaitGroup
		for i := range outs {
			cmd := child(t, "work", dir, strconv.Itoa(i), strconv.Itoa(limits[i%2]))
			cmd.Stdout, cmd.Stderr = &outs[i], os.Stderr
			wg.Go(func() {
				if err := cmd.Run(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		check(t, b, outs[:])
	})
}

// kill -9 at random moments: whatever a process has claimed it still has, and the indexes of the
// others learn of it.
func TestKilledClaimer(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	watcher := open(t, dir, intSchema)
	records, rounds := 3000, 5
	if testing.Short() {
		records, rounds = 1000, 2
	}
	apply(t, watcher, create(numbers(1, records)...)...)
	agree(t, watcher)
	seen := map[string]bool{}
	held := map[string]string{} // owner by ID and token
	claims := 0
	for round := range rounds {
		owner := strconv.Itoa(round)
		cmd := child(t, "claims", dir, owner)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			word, what, _ := strings.Cut(lines.Text(), " ")
			if word == "claimed" {
				if claims++; seen[what] {
					t.Errorf("%s claimed twice", what)
				}
				seen[what], held[what] = true, owner
			} else {
				delete(held, what)
			}
			if n == 0 { // once the child is at work
				time.AfterFunc(time.Duration(rand.IntN(30_000))*time.Microsecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		if !agree(t, watcher) {
			t.Errorf("round %d: the index was made anew", round)
		}
		stand := map[string]string{}
		for e := range watcher.index.All() {
			if e.Claim.Owner != "" {
				stand[fmt.Sprint(e.ID, " ", e.Claim.Token)] = e.Claim.Owner
			}
		}
		for what, owner := range held {
			if stand[what] != owner {
				t.Errorf("round %d: %s claimed by %s is held by %q", round, what, owner, stand[what])
			}
		}
		if unsaid := len(stand) - len(held); unsaid > 4*(round+1) { // three claimed and one not given back, of each round
			t.Errorf("round %d: %d claims that nobody knows of", round, unsaid)
		}
		if left := ownFiles(t, dir); len(left) > 0 {
			for _, name := range left {
				if !strings.HasPrefix(name, tempPrefix) && name != commitTemp { // which the next writer removes
					t.Errorf("round %d: left over %q", round, name)
				}
			}
		}
	}
	if claims == 0 {
		t.Error("nothing was ever claimed")
	}
}
