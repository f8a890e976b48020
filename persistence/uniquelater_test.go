package persistence_test

import (
	"errors"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
)

func TestClaimsMeetAUniqueIndexThatWasMadeLater(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{rowField()}}))
		running, first, second := &Seat{State: "RUNNING", Row: 1}, &Seat{State: "NEW", Row: 1}, &Seat{State: "NEW", Row: 2}
		_, err := s.SaveAll(ctx, running, first, second)
		check(t, err)
		must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{rowField()}, Indexes: []persistence.Index{byPlace}}))
		claims, err := s.Claim(ctx, &persistence.Query{State: []string{"NEW"}}, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 5, State: "RUNNING"})
		if len(claims) != 1 || claims[0].ID() != second.PersistentID() {
			t.Errorf("%d claims", len(claims))
		}
		wantUnique(t, err, running.PersistentID(), driver.ColState, "row")
	})
}

func TestAUniqueIndexIsDroppedElsewhere(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		both := &persistence.Options{ExtraFields: []extrafields.Field{codeField().Unique(), rowField().Unique()}}
		s := must[*persistence.Store](t)(open(both))
		a := &Seat{Code: "a", Row: 1}
		_, err := s.Save(ctx, a)
		check(t, err)
		rows := must[*persistence.Store](t)(open(&persistence.Options{ExtraFields: []extrafields.Field{rowField()}}))
		check(t, s.DropField(ctx, "code"))
		_, err = rows.Save(ctx, &Seat{Row: 1})
		wantUnique(t, err, a.PersistentID(), "row")
		if _, err := s.Save(ctx, &Seat{Code: "b", Row: 3}); err == nil || errors.Is(err, persistence.ErrUnique) {
			t.Errorf("the field was dropped: %v", err)
		}
		check(t, rows.DropIndex(ctx, persistence.Index{Columns: []string{"row"}, Unique: true}))
		if _, err := rows.Save(ctx, &Seat{Row: 1}); err != nil {
			t.Errorf("nothing is unique any more: %v", err)
		}
	})
}
