package sql_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

func TestAnAnnexSharesConnectionsAndNothingElse(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		b, ctx := db.open(t, jobs, driver.OpenOptions{}), t.Context()
		a := must[driver.Backend](t)(b.(driver.Annexer).Annex("kv"))
		if _, err := a.Init(ctx, driver.Schema{}); err != nil {
			t.Fatal(err)
		}
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{job(1, "A", 0, 0)}))
		must[[]int64](t)(a.Apply(ctx, []driver.Mutation{{Op: driver.Create, Rec: driver.Record{ID: "key", Data: []byte("value")}}}))
		count := func(b driver.Backend) (n int64, err error) {
			err = b.View(ctx, func(r driver.Reader) error {
				n, err = r.Count(ctx, &driver.Query{})
				return err
			})
			return n, err
		}
		before := b.(driver.Statser).Stats()
		if after := a.(driver.Statser).Stats(); after != before || before.Opened == 0 {
			t.Errorf("stats %+v and %+v", before, after)
		}
		s := a.(driver.Suspender)
		for _, f := range []func() error{s.Suspend, s.Resume, b.(driver.Suspender).Suspend} {
			if err := f(); err != nil {
				t.Error(err)
			}
		}
		for _, b := range []driver.Backend{a, b} {
			if n := must[int64](t)(count(b)); n != 1 {
				t.Errorf("%d records", n)
			}
		}
		// The parent waits for the calls of its annex.
		inside, outside := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			err := a.View(ctx, func(r driver.Reader) error {
				close(inside)
				<-outside
				_, err := r.Count(ctx, &driver.Query{})
				return err
			})
			if err != nil {
				t.Errorf("a View of the annex while the parent lets go: %v", err)
			}
		})
		<-inside
		wg.Go(func() {
			if err := b.(driver.Suspender).Suspend(); err != nil {
				t.Error(err)
			}
		})
		close(outside)
		wg.Wait()
		for range 2 {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := count(a); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if err := s.Suspend(); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if n := must[int64](t)(count(b)); n != 1 {
			t.Errorf("%d records", n)
		}
	})
}

func TestAnAnnexNeedsATableOfItsOwn(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		ctx := t.Context()
		long := db.make(t, driver.OpenOptions{Table: strings.Repeat("x", 61)})
		for _, name := range []string{"kv", "", "a b", `x"; --`} {
			if _, err := long.(driver.Annexer).Annex(name); err == nil || !strings.Contains(err.Error(), "63") {
				t.Errorf("annex %q: %v", name, err)
			}
		}
		stores := must[driver.Backend](t)(db.make(t, driver.OpenOptions{Table: "brine"}).(driver.Annexer).Annex("stores"))
		if _, err := stores.Init(ctx, driver.Schema{}); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("the engine's own table as an annex: %v", err)
		}
		db.open(t, jobs, driver.OpenOptions{Table: "store_kv"})
		b := db.open(t, jobs, driver.OpenOptions{})
		kv := must[driver.Backend](t)(b.(driver.Annexer).Annex("kv"))
		if _, err := kv.Init(ctx, driver.Schema{}); err == nil || !strings.Contains(err.Error(), "text IDs do not fit") {
			t.Errorf("an annex on a table of integer IDs: %v", err)
		}
		none := must[driver.Backend](t)(db.open(t, jobs, driver.OpenOptions{NoCreate: true}).(driver.Annexer).Annex("none"))
		if _, err := none.Init(ctx, driver.Schema{}); err == nil || !strings.Contains(err.Error(), "store_none") {
			t.Errorf("an annex that must not be created: %v", err)
		}
	})
}

func TestATableWithoutClaimColumnsServesButForClaims(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		raw, ctx := db.raw(t), t.Context()
		blob := "BLOB"
		if db.name == "postgres" {
			blob = "BYTEA"
		}
		if _, err := raw.ExecContext(ctx, "CREATE TABLE store (id INTEGER PRIMARY KEY, data "+blob+", state VARCHAR(128) NOT NULL, revision INTEGER NOT NULL)"); err != nil {
			t.Fatal(err)
		}
		b := db.open(t, driver.Schema{IntegerIDs: true}, driver.OpenOptions{NoCreate: true})
		c := b.(driver.Claimer)
		m := driver.Mutation{Op: driver.Create, Rec: driver.Record{ID: "1", State: "A", Data: []byte("x")}}
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{m}))
		m.Op, m.IfRev = driver.Update, 1
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{m}))
		if rec := look(t, b, "1"); rec.Revision != 2 || rec.Claim != (driver.Claim{}) {
			t.Errorf("record %+v", rec)
		}
		m.IfRev, m.Token = 0, 3
		_, claimed := c.Claim(ctx, &driver.Query{}, driver.Claiming{Owner: "me", Lease: 1e9, Limit: 1})
		_, renewed := c.Extend(ctx, "1", 3, 1e9)
		_, reaped := c.ReleaseExpired(ctx)
		_, saved := b.Apply(ctx, []driver.Mutation{m})
		for _, err := range []error{claimed, renewed, reaped, saved} {
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), driver.ColClaimOwner) {
				t.Errorf("error %v, want one that names the column", err)
			}
		}

		// Without NoCreate they are added, and what is there can be claimed.
		b = db.open(t, driver.Schema{IntegerIDs: true}, driver.OpenOptions{})
		if recs := must[[]driver.Record](t)(b.(driver.Claimer).Claim(ctx, &driver.Query{Where: state("A")}, driver.Claiming{Owner: "me", Lease: 1e9, Limit: 1})); len(recs) != 1 || recs[0].Claim.Token != 3 {
			t.Errorf("claimed %+v", recs)
		}
	})
}
