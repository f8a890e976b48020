package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

func init() { children["crowd"] = crowdChild }

// crowdChild saves single records and pairs in eight goroutines and says of each when it is done.
// It goes on until it is killed.
func crowdChild() int {
	b, err := openInChild(childArgs()[0])
	if err != nil {
		return fail(err)
	}
	failed := make(chan error)
	for g := range 8 {
		go func() {
			for n := g; ; n++ {
				first, err := b.NextIDs(context.Background(), 2)
				if err != nil {
					failed <- err
					return
				}
				one, two := driver.ID(strconv.FormatInt(first, 10)), driver.ID(strconv.FormatInt(first+1, 10))
				ms := []driver.Mutation{create(one, "single")}
				if n%4 == 0 {
					ms = []driver.Mutation{create(one, "pair"), create(two, "pair")}
					ms[0].NewRefs, ms[1].NewRefs = []driver.ID{two}, []driver.ID{one}
				}
				if _, err := b.Apply(context.Background(), ms); err != nil {
					failed <- err
					return
				}
				fmt.Println(len(ms), first)
			}
		}()
	}
	return fail(<-failed)
}

// kill -9 at any moment of many writers: what was acknowledged is there, nothing is half there.
func TestKilledCrowdLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	rounds := 10
	switch {
	case os.Getenv("BRINE_LONG") != "":
		rounds = 50
	case testing.Short():
		rounds = 2
	}
	path := file(t)
	acknowledged := map[driver.ID]string{}
	for round := range rounds {
		cmd, out := child(t, "crowd", path)
		said := 0
		for ; ; said++ {
			line, err := out.ReadString('\n')
			if err != nil {
				break
			}
			var n, first int
			if _, err := fmt.Sscan(line, &n, &first); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			for i := range n {
				acknowledged[driver.ID(strconv.Itoa(first+i))] = []string{"single", "pair"}[n-1]
			}
			if said == 37*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || said == 0 {
			t.Fatalf("round %d: the child ended with %v after %d words", round, err, said)
		}
		b, _ := open(t, fileURL(path), integers, driver.OpenOptions{})
		got := get(t, b, driver.Data, scan(t, b, &driver.Query{})...)
		pairs := 0
		for id, rec := range got {
			if data := string(rec.Data); data == "pair" {
				pairs++
			} else if data != "single" {
				t.Errorf("round %d: record %q holds %q", round, id, data)
			}
		}
		if pairs%2 != 0 {
			t.Errorf("round %d: half a pair", round)
		}
		for id, want := range acknowledged {
			if rec, ok := got[id]; !ok || string(rec.Data) != want {
				t.Errorf("round %d: record %q was acknowledged and is %q, want %q", round, id, rec.Data, want)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
