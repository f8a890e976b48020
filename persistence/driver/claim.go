package driver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A Claim says who works on a record, and until when nobody else may claim it. The zero Claim
// means that nobody does.
type Claim struct {
	Owner string // never "" if the record is claimed
	// UTC, microseconds, by the clock of the backend: the database server's if there is one.
	Until time.Time
	Token int64 // the revision that claiming gave the record: it increases from claim to claim
}

// Columns of claims that a query may name if the Backend is a [Claimer]. They are NULL in a
// record that nobody has claimed.
const (
	ColClaimOwner = "claim_owner" // Text
	ColClaimUntil = "claim_until" // Time
	ColClaimToken = "claim_token" // Int
)

// Claiming holds the parameters of a claim.
type Claiming struct {
	Owner string        // 1 to MaxOwnerLen characters, valid UTF-8 without NUL
	Lease time.Duration // at least a microsecond
	Limit int           // at least 1
	Parts Parts         // what the records have besides Info and Claim
	// Edit, if not nil, is called inside the transaction with each record about to be claimed, with
	// all its parts. Its changes to Type, State, Data, Modified and Fields are stored together with
	// the claim. If it returns an error the record is left unchanged and unclaimed, and another one
	// may take its place. It may be called more than once for a record, if a transaction has to be
	// repeated.
	Edit func(*Record) error
	// Refused, if not nil, is called with the ID of a record that is left alone after Edit, for a
	// unique index allows its new values once, and with the [*UniqueError].
	Refused func(ID, error)
}

// Check returns an error if the parameters are invalid.
func (c *Claiming) Check() error {
	switch {
	case c.Owner == "":
		return errors.New("a claim without an owner: set Owner")
	case utf8.RuneCountInString(c.Owner) > MaxOwnerLen:
		return fmt.Errorf("the owner of the claim has %d characters, at most %d: %w", utf8.RuneCountInString(c.Owner), MaxOwnerLen, ErrTooLarge)
	case !utf8.ValidString(c.Owner) || strings.IndexByte(c.Owner, 0) >= 0:
		return fmt.Errorf("the owner %q of the claim is not UTF-8 text without NUL: %w", c.Owner, ErrUnstorable)
	case c.Lease < time.Microsecond:
		return fmt.Errorf("a claim for %v: want a microsecond or more", c.Lease)
	case c.Limit < 1:
		return fmt.Errorf("%d claims: want one or more", c.Limit)
	}
	return nil
}

// A Claimer is a Backend that supports claims. It keeps the claims with the records, in columns
// of its own. Create leaves these empty; Update, Put and SetFields do not change them. See
// [Mutation] for what it does about claims.
type Claimer interface {
	// Claim claims up to c.Limit records that match q and that nobody has claimed or whose claim
	// has lapsed (Until is not after now). It takes the first ones in the order of q, but may pass
	// over records that another call is about to claim or write. Claiming raises the revision by
	// one; the new revision is also the token. Nothing else changes except by c.Edit. The records
	// are returned in the order of q, as they are after the claim, with Info, Claim and c.Parts.
	// Two calls, of whatever processes, never claim the same record at once. After and Limit of q
	// are ignored.
	//
	// Claim is one atomic step, like Apply, and durable when it returns.
	Claim(ctx context.Context, q *Query, c Claiming) ([]Record, error)

	// Extend makes a claim last for lease from now on, even if it has lapsed, and returns its new
	// end. It returns ErrConflict in a RecordError unless the record is claimed with this token.
	Extend(ctx context.Context, id ID, token int64, lease time.Duration) (time.Time, error)

	// ReleaseExpired ends the claims that have lapsed and returns their number. It does not change
	// revisions.
	ReleaseExpired(ctx context.Context) (int64, error)
}
