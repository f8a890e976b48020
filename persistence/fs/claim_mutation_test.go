package fs

import (
	"fmt"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

func TestMutationsAndClaims(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		m    driver.Mutation
		ok   bool
		want string // of the record, afterwards
	}{
		{"an update by another", of(driver.Update, "1", "new"), true, "rev 3 new, claimed"},
		{"a put by another", of(driver.Put, "1", "new"), true, "rev 3 new, claimed"},
		{"new fields by another", of(driver.SetFields, "1", ""), true, "rev 2 old, claimed"},
		{"an update by the holder", token(of(driver.Update, "1", "new"), 2, false), true, "rev 3 new, claimed"},
		{"an update that releases", token(of(driver.Update, "1", "new"), 2, true), true, "rev 3 new"},
		{"a check by the holder", token(of(driver.Check, "1", ""), 2, false), true, "rev 2 old, claimed"},
		{"a check that releases", token(of(driver.Check, "1", ""), 2, true), true, "rev 2 old"},
		{"a release of the right revision", ifRev(token(of(driver.Check, "1", ""), 2, true), 2), true, "rev 2 old"},
		{"a release of a wrong revision", ifRev(token(of(driver.Check, "1", ""), 2, true), 1), false, "rev 2 old, claimed"},
		{"a removal by the holder", token(of(driver.Delete, "1", ""), 2, false), true, ""},
		{"an update by an earlier holder", token(of(driver.Update, "1", "new"), 1, false), false, "rev 2 old, claimed"},
		{"a release by an earlier holder", token(of(driver.Check, "1", ""), 1, true), false, "rev 2 old, claimed"},
		{"a removal by an earlier holder", token(of(driver.Delete, "1", ""), 1, false), false, "rev 2 old, claimed"},
		{"an update of what nobody claimed", token(of(driver.Update, "2", "new"), 1, false), false, "rev 2 old, claimed"},
		{"an update of what is gone", token(of(driver.Update, "3", "new"), 1, false), false, "rev 2 old, claimed"},
		{"a removal of what is gone", token(of(driver.Delete, "3", "new"), 1, false), false, "rev 2 old, claimed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, inGroup := range []bool{false, true} {
				b := open(t, scratch(t), intSchema)
				apply(t, b, of(driver.Create, "1", "old"), of(driver.Create, "2", "old"))
				lend(t, b, where(driver.ColID, driver.Eq, driver.ID("1")), driver.Claiming{Limit: 9})
				var err error
				if inGroup {
					_, errs, _ := together(b, nil, []driver.Mutation{of(driver.Create, "7", "")}, []driver.Mutation{c.m}, []driver.Mutation{of(driver.Check, "1", "")})
					err = errs[1]
				} else {
					_, err = b.Apply(t.Context(), []driver.Mutation{c.m})
				}
				if c.ok && err != nil {
					t.Error(err)
				} else if !c.ok {
					wantConflict(t, c.m.Rec.ID, err)
				}
				got := ""
				for _, r := range get(t, b, whole, "1") {
					got = fmt.Sprintf("rev %d %s", r.Revision, r.Data)
					if (r.Claim != driver.Claim{}) {
						got += ", claimed"
					}
					if (r.Claim != driver.Claim{}) && r.Claim.Token != 2 {
						t.Errorf("claim is %+v", r.Claim)
					}
				}
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				agree(t, b)
			}
		})
	}
}

// In one group commit each member sees the claim as those before it left it.
func TestClaimsInAGroup(t *testing.T) {
	t.Parallel()
	b := open(t, scratch(t), intSchema)
	apply(t, b, create("1")...)
	lend(t, b, driver.Query{}, driver.Claiming{Limit: 1})
	_, errs, byThemselves := together(b, nil,
		[]driver.Mutation{of(driver.Update, "1", "a")},
		[]driver.Mutation{token(of(driver.Update, "1", "b"), 2, true)},
		[]driver.Mutation{token(of(driver.Update, "1", "c"), 2, false)},
	)
	if errs[0] != nil || errs[1] != nil || byThemselves > 0 {
		t.Error(errs, byThemselves)
	}
	wantConflict(t, "1", errs[2])
	r := get(t, b, whole, "1")[0]
	if (r.Claim != driver.Claim{}) || r.Revision != 4 || string(r.Data) != "b" {
		t.Errorf("got %+v", r)
	}
}
