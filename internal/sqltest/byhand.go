package sqltest

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

// RowsByHand are the rows of a table "jobs" that a user has made, with the columns id, data, state
// and note, in that order.
const RowsByHand = `INSERT INTO jobs VALUES (7, x'0102', 'NEW', 'keep'), (8, NULL, NULL, 'keep'), (9, x'', 'DONE', NULL)`

// FieldsByHand is the schema of a store whose field has no column in that table.
var FieldsByHand = driver.Schema{IntegerIDs: true, Fields: []driver.Column{{Name: "host", Kind: driver.Text, Indexed: true}}}

// TableByHand opens that table with NoCreate and reads and writes rows. It leaves the IDs -3, 7 and
// 8. The backend is closed when t ends.
func TableByHand(t testing.TB, open Opener, rawURL string) (driver.Backend, driver.Meta) {
	t.Helper()
	b, meta := open.Store(t, rawURL, FieldsByHand, driver.OpenOptions{Table: "jobs", NoCreate: true})
	missing := []string{"type", "revision", "size", "created", "modified", "claim_owner", "claim_until", "claim_token", "host"}
	if !slices.Equal(meta.Missing, missing) || !meta.NoCounter || meta.Identity == "" {
		t.Errorf("meta %+v, want missing %v", meta, missing)
	}
	want := map[driver.ID]driver.Record{
		"7": {ID: "7", State: "NEW", Data: []byte{1, 2}, Size: 2, Fields: []any{nil}},
		"8": {ID: "8", Data: []byte{}, Fields: []any{nil}},
		"9": {ID: "9", State: "DONE", Data: []byte{}, Fields: []any{nil}},
	}
	if d := cmp.Diff(want, Get(t, b, Everything, "7", "8", "9")); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
	for range 2 { // last writer wins: there is no revision; the second time nothing changes
		m := driver.Mutation{Op: driver.Update, Rec: Record("7", "new", "h"), IfRev: 99}
		put := driver.Mutation{Op: driver.Put, Rec: Record("8", "put", "h")}
		check := driver.Mutation{Op: driver.Check, Rec: Record("9", "", nil), IfRev: 3}
		if revs := Apply(t, b, m, put, check); !slices.Equal(revs, []int64{0, 0, 0}) {
			t.Errorf("revisions %v", revs)
		}
		Apply(t, b, m)
	}
	Apply(t, b, Create("-4", "made", "h"))
	Apply(t, b, driver.Mutation{Op: driver.Put, Rec: Record("-3", "made", "h")})
	if _, err := b.Apply(t.Context(), []driver.Mutation{Create("7", "x", nil)}); !errors.Is(err, driver.ErrExists) {
		t.Errorf("creating what is there: %v", err)
	}
	for _, id := range []driver.ID{"9", "-4"} {
		Apply(t, b, driver.Mutation{Op: driver.Delete, Rec: driver.Record{ID: id}, IfRev: 5})
	}
	if ids := Scan(t, b, &driver.Query{}); !slices.Equal(ids, []driver.ID{"-3", "7", "8"}) {
		t.Errorf("IDs %v", ids)
	}
	return b, meta
}
