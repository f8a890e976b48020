package persistence

import "fmt"

// A Finding is what [Store.Vet] or [Store.Check] has to say of a record or pair.
type Finding struct {
	Kind   FindingKind
	ID     ID     // of the record; "" where it concerns a pair or a stray
	Ref    ID     // the other record that it concerns, or ""
	Key    string // of the pair, or of a stray file or row; or ""
	Detail string // for people: what was found
	Err    error  // the cause, or nil
}

// A FindingKind is the kind of a [Finding].
type FindingKind uint8

// The kinds of findings of Vet.
const (
	// Unloadable: this program cannot load the record: its type is not known, a value does not
	// convert to the type of its field, its UpgradeRecord fails, or the bytes are damaged. Err says
	// which.
	Unloadable FindingKind = iota + 1
	// UnknownFields: the record holds fields that this program's types lack, or is of a newer
	// version. Detail names the fields, and those that a save would drop.
	UnknownFields
	// OldForm: the record is of an older version, or has names that are aliases now or values that
	// were converted. [Store.Migrate] rewrites it.
	OldForm
	// StaleColumn: the state or an extra column differs from what this program computes of the
	// object. Detail names the column.
	StaleColumn
)

// String returns the name of the kind as in Go.
func (k FindingKind) String() string {
	switch k {
	case Unloadable:
		return "Unloadable"
	case UnknownFields:
		return "UnknownFields"
	case OldForm:
		return "OldForm"
	case StaleColumn:
		return "StaleColumn"
	case Corrupt:
		return "Corrupt"
	case Dangling:
		return "Dangling"
	case Mismatch:
		return "Mismatch"
	case ExpiredClaim:
		return "ExpiredClaim"
	case Stray:
		return "Stray"
	}
	return fmt.Sprintf("FindingKind(%d)", uint8(k))
}
