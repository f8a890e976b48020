package sql_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

// kv is what the namespace "kv" of a backend keeps.
const kv driver.Namespace = "kv"

func pair(op driver.Op, key, value string) driver.Mutation {
	return driver.Mutation{Op: op, Namespace: kv, Rec: driver.Record{ID: driver.ID(key), Data: []byte(value)}}
}

// counts returns how many objects and how many pairs one View sees.
func counts(t *testing.T, b driver.Backend) (objects, pairs int64) {
	t.Helper()
	err := b.View(t.Context(), func(r driver.Reader) error {
		side, err := driver.InNamespace(r, kv)
		if err != nil {
			return err
		}
		var errs [2]error
		objects, errs[0] = r.Count(t.Context(), &driver.Query{})
		pairs, errs[1] = side.Count(t.Context(), &driver.Query{})
		return errors.Join(errs[:]...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects, pairs
}

func TestANamespaceSharesConnectionsAndTransactions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		b, ctx := db.open(t, jobs, driver.OpenOptions{}), t.Context()
		if err := driver.InitNamespace(ctx, b, kv, driver.Schema{}); err != nil {
			t.Fatal(err)
		}
		opened := b.(driver.Statser).Stats().Opened
		revs := must[[]int64](t)(b.Apply(ctx, []driver.Mutation{pair(driver.Create, "b", ""), job(2, "A", 0, 0), pair(driver.Put, "a", ""), job(1, "A", 0, 0)}))
		if want := []int64{1, 1, 1, 1}; !slices.Equal(revs, want) {
			t.Errorf("revisions %v, want %v", revs, want)
		}
		if now := b.(driver.Statser).Stats().Opened; now > opened+1 {
			t.Errorf("%d connections for a second table", now-opened)
		}
		// The first failure in the caller's order is told, whatever the order of the writes, and
		// nothing is written.
		for want, ms := range map[string][]driver.Mutation{
			`record "a": record exists already`:            {pair(driver.Create, "a", ""), job(1, "B", 0, 0), job(3, "A", 0, 0)},
			`record "1": record exists already`:            {job(3, "A", 0, 0), job(1, "B", 0, 0), pair(driver.Create, "a", "")},
			`record "c": record not found`:                 {job(3, "A", 0, 0), pair(driver.Update, "c", "")},
			`record "d" refers to "9": dangling reference`: {refs(pair(driver.Create, "d", ""), "1", "9"), job(3, "A", 0, 0)},
			`record "d" refers to "a": dangling reference`: {refs(pair(driver.Create, "d", ""), "a")},
		} {
			if _, err := b.Apply(ctx, ms); err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
		}
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{refs(pair(driver.Create, "d", ""), "1", "3"), job(3, "A", 0, 0)}))
		if err := b.(driver.Suspender).Suspend(); err != nil {
			t.Error(err)
		}
		if objects, pairs := counts(t, b); objects != 3 || pairs != 3 {
			t.Errorf("%d objects and %d pairs, want 3 of each", objects, pairs)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := driver.InitNamespace(ctx, b, kv, driver.Schema{}); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestAnIDOfAnotherNamespaceSettlesNoReference(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		b, ctx := db.open(t, driver.Schema{}, driver.OpenOptions{}), t.Context()
		if err := driver.InitNamespace(ctx, b, kv, driver.Schema{}); err != nil {
			t.Fatal(err)
		}
		object := driver.Mutation{Op: driver.Create, Rec: driver.Record{ID: "o"}}
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{object, pair(driver.Create, "o", "")}))
		object.Rec.ID = "p"
		// The object "o" stays, although the pair "o" goes; the pair "q" is no object.
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{refs(object, "o"), pair(driver.Delete, "o", "")}))
		object.Rec.ID = "r"
		_, err := b.Apply(ctx, []driver.Mutation{refs(object, "q"), pair(driver.Create, "q", "")})
		if re, ok := errors.AsType[*driver.RecordError](err); !ok || re.ID != "r" || re.Ref != "q" || !errors.Is(err, driver.ErrDangling) {
			t.Errorf("error %v", err)
		}
	})
}

func TestMembersOfAGroupWriteToNamespaces(t *testing.T) {
	t.Parallel()
	b, _ := newStore(t, jobs)
	if err := driver.InitNamespace(t.Context(), b, kv, driver.Schema{}); err != nil {
		t.Fatal(err)
	}
	revs, errs, _, alone := sql.Together(b, background(4), [][]driver.Mutation{
		{pair(driver.Put, "a", "1")},
		{job(1, "A", 0, 0), pair(driver.Put, "a", "2")},
		{job(2, "A", 0, 0), pair(driver.Create, "a", "3")},
		{refs(pair(driver.Put, "b", ""), "1")},
	})
	if alone != 0 || errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], driver.ErrExists) || errs[3] != nil || revs[1][1] != 2 {
		t.Errorf("%v, %v, %d by themselves", revs, errs, alone)
	}
	if objects, pairs := counts(t, b); objects != 1 || pairs != 2 {
		t.Errorf("%d objects and %d pairs, want 1 and 2", objects, pairs)
	}
}

func TestANamespaceNeedsATableOfItsOwn(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		ctx := t.Context()
		long := db.open(t, jobs, driver.OpenOptions{Table: strings.Repeat("x", 63)})
		if err := driver.InitNamespace(ctx, long, kv, driver.Schema{}); err != nil {
			t.Errorf("beside a table with the longest name: %v", err)
		}
		for _, ns := range []driver.Namespace{"", "a b", `x"; --`, driver.Namespace(strings.Repeat("n", 30))} {
			if err := driver.InitNamespace(ctx, long, ns, driver.Schema{}); err == nil || !strings.Contains(err.Error(), "63") {
				t.Errorf("namespace %q: %v", ns, err)
			}
		}
		stores := db.make(t, driver.OpenOptions{Table: "brine"})
		if err := driver.InitNamespace(ctx, stores, "stores", driver.Schema{}); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("the engine's own table as a namespace: %v", err)
		}
		db.open(t, jobs, driver.OpenOptions{Table: "store_kv"})
		b := db.open(t, jobs, driver.OpenOptions{})
		if err := driver.InitNamespace(ctx, b, kv, driver.Schema{}); err == nil || !strings.Contains(err.Error(), "text IDs do not fit") {
			t.Errorf("a namespace on a table of integer IDs: %v", err)
		}
		if _, err := b.Apply(ctx, []driver.Mutation{pair(driver.Put, "a", "")}); err == nil || !strings.Contains(err.Error(), "InitNamespace") {
			t.Errorf("a namespace that could not be prepared: %v", err)
		}
		none := db.open(t, jobs, driver.OpenOptions{NoCreate: true})
		if err := driver.InitNamespace(ctx, none, "none", driver.Schema{}); err == nil || !strings.Contains(err.Error(), "store_none") {
			t.Errorf("a namespace that must not be created: %v", err)
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
