package persistence_test

import (
	"errors"
	"testing"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

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
