package driver

import (
	"context"
	"fmt"
	"time"
)

// A Claim says who works on a record, and until when nobody else may claim it. The zero Claim: nobody does.
type Claim struct {
	Owner string    // never "" of a record that is claimed
	Until time.Time // UTC, microseconds, by the clock of the backend: that of the database server, if there is one
	Token int64     // the revision that claiming gave the record: it grows from claim to claim
}

// Columns of claims that a query may name where the Backend is a [Claimer]. They are NULL where nobody has claimed the record.
const (
	ColClaimOwner = "claim_owner" // Text
	ColClaimUntil = "claim_until" // Time
	ColClaimToken = "claim_token" // Int
)

// Claiming says how to claim.
type Claiming struct {
	Owner string        // not ""
	Lease time.Duration // at least a microsecond
	Limit int           // at least 1
	Parts Parts         // what the records come with, besides Info and Claim
	// Edit, if not nil, is called inside the transaction with each record about to be claimed, with all its parts. What it makes of
	// Type, State, Data, Modified and Fields is stored together with the claim. A record for which it returns an error is left as
	// it is and unclaimed, and another one may take its place. It may be called again for one that it has seen, where a transaction has
	// to be repeated.
	Edit func(*Record) error
}

// Check returns an error where c does not say how to claim.
func (c *Claiming) Check() error {
	switch {
	case c.Owner == "":
		return fmt.Errorf("a claim without an owner")
	case c.Lease < time.Microsecond:
		return fmt.Errorf("a claim for %v: want a microsecond or more", c.Lease)
	case c.Limit < 1:
		return fmt.Errorf("%d claims: want one or more", c.Limit)
	}
	return nil
}

// A Claimer is a Backend that lends out records. It keeps the claims with the records, in columns of its own that Create leaves empty
// and Update, Put and SetFields leave alone; what a Mutation does about them stands there.
type Claimer interface {
	// Claim claims up to c.Limit records that match q and that nobody has claimed, or whose claim has lapsed (Until is not behind now). It
	// takes the first ones in the order of q, but may pass over those that another call is just about to claim or write. Claiming raises
	// the revision by one, which is also the token; all else stays as it is, but for c.Edit. The records come in the order
	// of q, with Info, Claim and c.Parts, as they are then. No record is ever claimed by two calls at once, of whatever process. Of q, After and Limit do not count.
	//
	// It is one atomic step, as an Apply is, durable when it returns.
	Claim(ctx context.Context, q *Query, c Claiming) ([]Record, error)

	// Extend makes a claim last for lease from now on, and returns until when: ErrConflict in a RecordError unless the record is claimed
	// under this token. That it has lapsed does not matter.
	Extend(ctx context.Context, id ID, token int64, lease time.Duration) (time.Time, error)

	// ReleaseExpired ends the claims that have lapsed and returns their number. Revisions stay.
	ReleaseExpired(ctx context.Context) (int64, error)
}
