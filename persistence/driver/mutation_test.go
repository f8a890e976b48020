package driver_test

import (
	"errors"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

func TestMutationCheck(t *testing.T) {
	t.Parallel()
	there := &driver.Record{ID: "1", Revision: 3, Claim: driver.Claim{Owner: "ann", Token: 2}}
	bare := &driver.Record{ID: "1"} // in a table without a revision column
	for _, tt := range []struct {
		name  string
		m     driver.Mutation
		found *driver.Record
		want  error
	}{
		{"create where there is none", driver.Mutation{Op: driver.Create}, nil, nil},
		{"create what is there", driver.Mutation{Op: driver.Create}, there, driver.ErrExists},
		{"put where there is none", driver.Mutation{Op: driver.Put}, nil, nil},
		{"put what is there", driver.Mutation{Op: driver.Put}, there, nil},
		{"update any revision", driver.Mutation{Op: driver.Update}, there, nil},
		{"update the revision found", driver.Mutation{Op: driver.Update, IfRev: 3}, there, nil},
		{"update another revision", driver.Mutation{Op: driver.Update, IfRev: 2}, there, driver.ErrConflict},
		{"update where there is none", driver.Mutation{Op: driver.Update}, nil, driver.ErrNotFound},
		{"update a revision of what is gone", driver.Mutation{Op: driver.Update, IfRev: 3}, nil, driver.ErrConflict},
		{"update without a revision column", driver.Mutation{Op: driver.Update, IfRev: 3}, bare, nil},
		{"update under the claim", driver.Mutation{Op: driver.Update, Token: 2}, there, nil},
		{"update under a lost claim", driver.Mutation{Op: driver.Update, Token: 1}, there, driver.ErrConflict},
		{"update under a claim of what is gone", driver.Mutation{Op: driver.Update, Token: 1}, nil, driver.ErrConflict},
		{"delete any revision", driver.Mutation{Op: driver.Delete}, there, nil},
		{"delete another revision", driver.Mutation{Op: driver.Delete, IfRev: 4}, there, driver.ErrConflict},
		{"delete where there is none", driver.Mutation{Op: driver.Delete}, nil, driver.ErrNotFound},
		{"delete a revision of what is gone", driver.Mutation{Op: driver.Delete, IfRev: 4}, nil, driver.ErrConflict},
		{"check what is there", driver.Mutation{Op: driver.Check}, there, nil},
		{"check where there is none", driver.Mutation{Op: driver.Check}, nil, driver.ErrConflict},
		{"check another revision", driver.Mutation{Op: driver.Check, IfRev: 1}, there, driver.ErrConflict},
		{"import where there is none", driver.Mutation{Op: driver.Import}, nil, nil},
		{"import what is there", driver.Mutation{Op: driver.Import}, there, driver.ErrExists},
		{"import over the revision found", driver.Mutation{Op: driver.Import, IfRev: 3}, there, nil},
		{"import over another revision", driver.Mutation{Op: driver.Import, IfRev: 2}, there, driver.ErrConflict},
		{"import over what is gone", driver.Mutation{Op: driver.Import, IfRev: 3}, nil, driver.ErrConflict},
		{"set fields of what is there", driver.Mutation{Op: driver.SetFields, IfRev: 3}, there, nil},
		{"set fields where there is none", driver.Mutation{Op: driver.SetFields}, nil, driver.ErrConflict},
		{"set fields of another revision", driver.Mutation{Op: driver.SetFields, IfRev: 2}, there, driver.ErrConflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.m.Rec.ID = "1"
			err := tt.m.Check(tt.found)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			re, ok := errors.AsType[*driver.RecordError](err)
			if tt.want != nil && (!ok || re.ID != "1") {
				t.Errorf("%v must name record 1", err)
			}
		})
	}
	for _, op := range []driver.Op{0, driver.Import + 1} {
		if err := (&driver.Mutation{Op: op}).Check(nil); err == nil {
			t.Errorf("%v must be refused", op)
		}
	}
}

func TestNamesOfOperations(t *testing.T) {
	t.Parallel()
	for op, want := range map[driver.Op]string{
		0: "invalid operation 0", driver.Create: "create", driver.Update: "update", driver.Put: "put",
		driver.Delete: "delete", driver.Check: "check", driver.SetFields: "set fields",
		driver.Withdraw: "withdraw", driver.Restore: "restore",
		driver.Import: "import", driver.Import + 1: "invalid operation 10",
	} {
		if got := op.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for op, want := range map[driver.CmpOp]string{
		0: "invalid comparison 0", driver.Eq: "=", driver.Ne: "!=", driver.Lt: "<", driver.Le: "<=", driver.Gt: ">",
		driver.Ge: ">=", driver.IsNull: "is null", driver.NotNull: "is not null", driver.HasPrefix: "has prefix",
		driver.In: "in", driver.NotIn: "not in", driver.Contains: "contains",
		driver.HasSuffix: "has suffix", driver.Or: "or", driver.Or + 1: "invalid comparison 15",
	} {
		if got := op.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
