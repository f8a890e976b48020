package driver

import "fmt"

// Op is what a Mutation does.
type Op uint8

// The operations.
const (
	// Create stores a record that is not there: else ErrExists. Its revision is
	// Rec.Revision, or 1 where that is 0.
	Create Op = iota + 1
	// Update overwrites a record that is there: else ErrNotFound, or ErrConflict
	// where IfRev is not 0. The revision rises by one, Created stays, and so do columns that the
	// Schema does not know.
	Update
	// Put is Update where the record is there, else Create.
	Put
	// Delete removes a record that is there: else ErrNotFound, or ErrConflict
	// where IfRev is not 0.
	Delete
	// Check writes nothing, but for Release: the record must be there, else ErrConflict.
	Check
	// SetFields overwrites the Fields alone of a record that is there, and leaves
	// all else as it is, the revision and Modified too: else ErrConflict.
	SetFields
)

var opNames = [...]string{
	Create: "create", Update: "update", Put: "put", Delete: "delete", Check: "check", SetFields: "set fields",
}

// String returns the name of the operation in lower case.
func (op Op) String() string {
	if op == 0 || int(op) >= len(opNames) {
		return fmt.Sprintf("invalid operation %d", uint8(op))
	}
	return opNames[op]
}

// A Mutation is one change of one record.
type Mutation struct {
	Op        Op
	Namespace Namespace // of the record; the zero value: the objects
	// Rec is the record. Of Delete and Check only the ID counts, of SetFields the Fields too.
	// Rec.Fields has the length of Schema.Fields.
	Rec Record
	// IfRev is the revision that the record must have, else ErrConflict; 0: any.
	// It is for Update, Delete, Check and SetFields, and ignored where there is no revision column.
	IfRev int64
	// Token is that of the claim that the record must have, else ErrConflict; 0: any claim, or none.
	// It is for Update, Delete and Check of objects, of a [Claimer].
	Token int64
	// Release ends the claim of the record. It goes with a Token, for Update and Check.
	Release bool
	// NewRefs are IDs of objects that must all exist after the batch, else ErrDangling with
	// Rec.ID and the absent ID. No lock is taken on them.
	NewRefs []ID
}

// Check returns the error of a mutation where found is the record that is there, nil: none. It reads
// the Revision and the Claim of found, which a table may lack: revision 0 matches every IfRev.
// References are not its concern.
func (m *Mutation) Check(found *Record) error {
	if err := m.check(found); err != nil {
		return &RecordError{ID: m.Rec.ID, Err: err}
	}
	return nil
}

func (m *Mutation) check(found *Record) error {
	switch m.Op {
	case Create:
		if found != nil {
			return ErrExists
		}
		return nil
	case Put:
		return nil
	case Update, Delete, Check, SetFields:
	default:
		return fmt.Errorf("%v", m.Op)
	}
	unconditional := m.IfRev == 0 && m.Token == 0 && (m.Op == Update || m.Op == Delete)
	switch {
	case found == nil && unconditional:
		return ErrNotFound
	case found == nil,
		m.IfRev != 0 && found.Revision != 0 && m.IfRev != found.Revision,
		m.Token != 0 && m.Token != found.Claim.Token:
		return ErrConflict
	}
	return nil
}
