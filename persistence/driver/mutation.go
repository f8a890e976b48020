package driver

import "fmt"

// Op is the operation of a Mutation.
type Op uint8

// The operations.
const (
	// Create stores a new record, or fails with ErrExists. Its revision is Rec.Revision, or 1 if
	// that is 0.
	Create Op = iota + 1
	// Update overwrites an existing record. If it does not exist, the error is ErrNotFound, or
	// ErrConflict if IfRev is not 0. The revision increases by one. Created does not change, nor do
	// columns that the Schema does not contain.
	Update
	// Put is Update if the record exists, else Create.
	Put
	// Delete removes an existing record. If it does not exist, the error is ErrNotFound, or
	// ErrConflict if IfRev is not 0.
	Delete
	// Check verifies that the record exists, or fails with ErrConflict. It writes nothing except
	// for Release.
	Check
	// SetFields overwrites only the Fields of an existing record, or fails with ErrConflict.
	// Nothing else changes, not even the revision and Modified.
	SetFields
	// Withdraw removes the record, or the stray, whose stored form is Rec.Data, readable or not, or
	// fails with ErrConflict if it has another form or is gone. It is for a [Salvager].
	Withdraw
	// Restore stores a record or stray in the form Rec.Data, which Withdraw has removed, with all
	// that was stored of it, or fails with ErrExists. It is for a [Salvager].
	Restore
	// Import stores a record as another store has it: with the revision, the times and the number
	// of the set of columns ([Record.ColumnSet]) that Rec has. If IfRev is 0 the record must not
	// exist, else the error is ErrExists. Otherwise it must exist with that revision, else the
	// error is ErrConflict, and it keeps its claim and the columns that the Schema does not have.
	Import
)

var opNames = [...]string{
	Create: "create", Update: "update", Put: "put", Delete: "delete", Check: "check", SetFields: "set fields",
	Withdraw: "withdraw", Restore: "restore", Import: "import",
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
	Namespace Namespace // of the record; the zero value is the namespace of the objects
	// Rec is the record. Delete and Check use only its ID, SetFields the ID and the Fields.
	// Rec.Fields has the length of Schema.Fields. Withdraw and Restore use the ID and Data.
	Rec Record
	// Stray is for Withdraw and Restore: the key of a stray. Rec.ID is then "".
	Stray string
	// IfRev is the revision that the record must have, else ErrConflict; 0 means any. It applies to
	// Update, Delete, Check and SetFields, and is ignored if there is no revision column. Import
	// has its own meaning of it.
	IfRev int64
	// Token is the token of the claim that the record must have, else ErrConflict; 0 means any
	// claim or none. It applies to Update, Delete and Check of objects, in a [Claimer].
	Token int64
	// Release ends the claim of the record. It requires a Token, and applies to Update and Check.
	Release bool
	// ColumnSet is for SetFields in a [Cataloger]: the number that the record gets of the set of
	// columns that are then filled; 0: it keeps its number.
	ColumnSet int64
	// NewRefs are IDs of objects that must exist after the batch, else ErrDangling with Rec.ID and
	// the absent ID. They are not locked.
	NewRefs []ID
}

// Check returns the error of a mutation, where found is the existing record or nil if there is
// none. It uses the Revision and the Claim of found, which a table may lack: revision 0 matches
// every IfRev. It does not check references.
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
	case Import:
		switch {
		case m.IfRev == 0 && found != nil:
			return ErrExists
		case m.IfRev == 0:
			return nil
		case found == nil:
			return ErrRemoved
		case found.Revision != 0 && m.IfRev != found.Revision:
			return m.changed(found)
		}
		return nil
	case Restore:
		if found != nil {
			return ErrExists
		}
		return nil
	case Withdraw:
		if found == nil {
			return ErrConflict
		}
		return nil
	case Update, Delete, Check, SetFields:
	default:
		return fmt.Errorf("%v", m.Op)
	}
	unconditional := m.IfRev == 0 && m.Token == 0 && (m.Op == Update || m.Op == Delete)
	switch {
	case found == nil && unconditional:
		return ErrNotFound
	case found == nil:
		return ErrRemoved
	case m.Token != 0 && m.Token != found.Claim.Token:
		return ErrClaimLost
	case m.IfRev != 0 && found.Revision != 0 && m.IfRev != found.Revision:
		return m.changed(found)
	}
	return nil
}

// changed is the error for a record that has another revision than IfRev.
func (m *Mutation) changed(found *Record) error {
	return &conflict{fmt.Sprintf("record was changed since it was read: revision %d was expected, and it has revision %d", m.IfRev, found.Revision)}
}

// A conflict is an ErrConflict that says what is in conflict.
type conflict struct{ text string }

func (c *conflict) Error() string { return c.text }

func (c *conflict) Unwrap() error { return ErrConflict }

// ErrRemoved is the ErrConflict of a record that is no longer there.
var ErrRemoved error = &conflict{"record was removed since it was read"}

// ErrClaimLost is the ErrConflict of a claim that is not the one that the record has.
var ErrClaimLost error = &conflict{"the claim is over: it was released, or its lease ended and the record was claimed again"}
