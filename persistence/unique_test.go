package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/mem"
)

// A Seat has a place, which no other Seat may have.
type Seat struct {
	persistence.Persistable
	State string
	Code  string
	Row   int64
	Next  *Seat
}

func init() { persistence.Register[Seat]("unique_test.Seat") }

func codeField() extrafields.Field {
	return extrafields.Func("code", extrafields.Text, func(obj any) (any, error) {
		s := obj.(*Seat)
		switch s.Code {
		case "":
			return nil, nil
		case "broken":
			return nil, errors.New("no code")
		}
		return s.Code, nil
	})
}

func rowField() extrafields.Field {
	return extrafields.Of("row", func(s *Seat) int64 { return s.Row })
}

var byPlace = persistence.Index{Columns: []string{driver.ColState, "row"}, Unique: true}

// wantUnique checks the error of a write that another record is in the way of.
func wantUnique(t *testing.T, err error, holder persistence.ID, columns ...string) {
	t.Helper()
	ue, ok := errors.AsType[*persistence.UniqueError](err)
	e, wrapped := errors.AsType[*persistence.Error](err)
	switch {
	case !ok || !wrapped || !errors.Is(err, persistence.ErrUnique) || errors.Is(err, persistence.ErrExists):
		t.Errorf("got %v, want ErrUnique", err)
	case ue.Holder != holder || !slices.Equal(ue.Columns, columns) || e.ID == "" || e.ID == holder:
		t.Errorf("got %v of %q, want the columns %q and the holder %q", err, e.ID, columns, holder)
	}
}

func TestUniqueValues(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		opts := &persistence.Options{ExtraFields: []extrafields.Field{codeField().Unique(), rowField()}, Indexes: []persistence.Index{byPlace}}
		s, err := open(opts)
		if err != nil {
			t.Fatal(err)
		}
		a, b := &Seat{Code: "a", Row: 1}, &Seat{Code: "b", Row: 2}
		if _, err := s.SaveAll(ctx, a, b); err != nil {
			t.Fatal(err)
		}
		late := &Seat{Code: "a", Row: 3}
		_, err = s.Save(ctx, late)
		wantUnique(t, err, a.PersistentID(), "code")
		if late.PersistentID() != "" {
			t.Errorf("an object that was not saved has the ID %q", late.PersistentID())
		}
		_, err = s.SaveAll(ctx, &Seat{Code: "c", Row: 4}, &Seat{Code: "d", Row: 2})
		wantUnique(t, err, b.PersistentID(), driver.ColState, "row")
		_, err = s.Save(ctx, &Seat{Code: "c", Row: 5, Next: &Seat{Code: "b", Row: 6}})
		wantUnique(t, err, b.PersistentID(), "code")
		wantUnique(t, s.Insert(ctx, "70", &Seat{Code: "a", Row: 7}), a.PersistentID(), "code")
		wantUnique(t, s.Put(ctx, b.PersistentID(), &Seat{Code: "a", Row: 2}), a.PersistentID(), "code")
		wantUnique(t, s.Replace(ctx, b.PersistentID(), &Seat{Code: "b", Row: 1}), a.PersistentID(), driver.ColState, "row")
		if n, err := s.Count(ctx, nil); n != 2 || err != nil {
			t.Errorf("%d records, %v", n, err)
		}
		// The IDs that they tried are numbers of the counter, one for each: no save tries several.
		late.Code = ""
		if _, err := s.Save(ctx, late); err != nil {
			t.Fatal(err)
		}
		if n, _ := late.PersistentID().Seq(); n > 20 {
			t.Errorf("the saves that failed have used up %d numbers", n)
		}
		again := &Seat{Row: 9}
		if _, err := s.Save(ctx, again); err != nil {
			t.Errorf("NULL collides with nothing: %v", err)
		}

		a.Code, b.Code, a.Row, b.Row = b.Code, a.Code, b.Row, a.Row
		if _, err := s.SaveAll(ctx, a, b); err != nil {
			t.Errorf("values are exchanged in one save: %v", err)
		}
		a.Row = 100
		if _, err := s.Save(ctx, a); err != nil {
			t.Errorf("an object is saved after an exchange: %v", err)
		}
		n, err := persistence.Update(ctx, s, nil, func(x *Seat) error { x.Row = 1000 - x.Row; return nil })
		if n != 4 || err != nil {
			t.Errorf("Update: %d, %v", n, err)
		}
		_, err = persistence.Update(ctx, s, nil, func(x *Seat) error { x.Row = 5; return nil })
		if !errors.Is(err, persistence.ErrUnique) {
			t.Errorf("Update: %v", err)
		}

		claims, err := s.Claim(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("code", "b")}}, persistence.ClaimOptions{Owner: "me", Lease: time.Hour})
		if err != nil || len(claims) != 1 {
			t.Fatalf("%d claims, %v", len(claims), err)
		}
		mine, err := persistence.LoadClaimed[Seat](ctx, claims[0])
		if err != nil {
			t.Fatal(err)
		}
		mine.Code = "a"
		wantUnique(t, claims[0].Complete(ctx, mine), b.PersistentID(), "code")
		mine.Code = "free"
		if err := claims[0].Complete(ctx, mine); err != nil {
			t.Errorf("the claim is still there: %v", err)
		}

		other, err := open(&persistence.Options{}) // declares nothing
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Save(ctx, &Seat{Code: "a", Row: 1}); err != nil {
			t.Errorf("who does not declare the columns stores NULL: %v", err)
		}
		third, err := open(&persistence.Options{ExtraFields: []extrafields.Field{codeField(), rowField()}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = third.Save(ctx, &Seat{Code: "a", Row: 77})
		wantUnique(t, err, b.PersistentID(), "code")
		_, err = third.Save(ctx, &Seat{Code: "broken", Row: 78})
		if !errors.Is(err, persistence.ErrUnstorable) || !strings.Contains(err.Error(), "code") {
			t.Errorf("a failing extractor: %v", err)
		}
		_, err = third.Save(ctx, &Seat{Code: strings.Repeat("x", driver.MaxIndexedTextLen+1), Row: 78})
		if !errors.Is(err, persistence.ErrUnstorable) {
			t.Errorf("a text that is too long: %v", err)
		}
	})
}

func TestClaimsThatClashAreReported(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s, err := open(&persistence.Options{ExtraFields: []extrafields.Field{rowField()}, Indexes: []persistence.Index{byPlace}})
		if err != nil {
			t.Fatal(err)
		}
		running, first, second := &Seat{State: "RUNNING", Row: 1}, &Seat{State: "NEW", Row: 1}, &Seat{State: "NEW", Row: 2}
		if _, err := s.SaveAll(ctx, running, first, second); err != nil {
			t.Fatal(err)
		}
		claims, err := s.Claim(ctx, &persistence.Query{State: []string{"NEW"}}, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 5, State: "RUNNING"})
		if len(claims) != 1 || claims[0].ID() != second.PersistentID() {
			t.Errorf("%d claims", len(claims))
		}
		wantUnique(t, err, running.PersistentID(), driver.ColState, "row")
		if e, _ := errors.AsType[*persistence.Error](err); e.ID != first.PersistentID() {
			t.Errorf("the error is about %q", e.ID)
		}
	})
}

func TestUniqueIndexOverRecords(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s, err := open(&persistence.Options{})
		if err != nil {
			t.Fatal(err)
		}
		a, b := &Seat{Code: "a", Row: 1}, &Seat{Code: "a", Row: 2}
		if _, err := s.SaveAll(ctx, a, b); err != nil {
			t.Fatal(err)
		}
		refused := func(o *persistence.Options, words ...string) {
			t.Helper()
			_, err := open(o)
			if err == nil {
				t.Fatalf("opened, want an error with %q", words)
			}
			for _, word := range words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not say %q", err, word)
				}
			}
		}
		unique := []extrafields.Field{codeField().Unique()}
		refused(&persistence.Options{ExtraFields: unique}, `"code"`, "incomplete", "Reindex")
		refused(&persistence.Options{ExtraFields: unique, Reindex: true}, `"code"`, `"`+string(a.PersistentID())+`"`, `"`+string(b.PersistentID())+`"`)
		b.Code = "b"
		if _, err := s.Save(ctx, b); err != nil { // leaves the column incomplete again
			t.Fatal(err)
		}
		refused(&persistence.Options{ExtraFields: unique}, "incomplete", "Reindex")
		filled, err := open(&persistence.Options{ExtraFields: unique, Reindex: true})
		if err != nil {
			t.Fatal(err)
		}
		columns, err := filled.Columns(ctx)
		if err != nil || len(columns) != 1 || !columns[0].Unique || !columns[0].Indexed || !columns[0].Complete {
			t.Errorf("%+v, %v", columns, err)
		}
		_, err = filled.Save(ctx, &Seat{Code: "b"})
		wantUnique(t, err, b.PersistentID(), "code")

		// A program that does not declare the column writes past it, and what Reindex would fill in
		// clashes.
		past, err := open(&persistence.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := past.Save(ctx, &Seat{Code: "a"}); err != nil {
			t.Fatal(err)
		}
		err = filled.Reindex(ctx, nil)
		if !errors.Is(err, persistence.ErrUnique) || !strings.Contains(err.Error(), "1 of 1 ") {
			t.Errorf("Reindex: %v", err)
		}
		one := persistence.Index{Columns: []string{"code"}, Unique: true}
		if err := past.DropIndex(ctx, byPlace); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("DropIndex of none: %v", err)
		}
		if err := past.DropIndex(ctx, one); err != nil {
			t.Errorf("DropIndex: %v", err)
		}
		if err := filled.Reindex(ctx, nil); err != nil {
			t.Errorf("Reindex: %v", err)
		}
		if _, err := filled.Save(ctx, &Seat{Code: "b"}); err != nil {
			t.Errorf("saved without the index: %v", err)
		}
		refused(&persistence.Options{ExtraFields: unique}, `"code"`, "the same values")
	})
}

func TestUnquarantineOfAValueThatIsTaken(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		ctx := t.Context()
		s, err := open(&persistence.Options{ExtraFields: []extrafields.Field{codeField().Unique()}})
		if err != nil {
			t.Fatal(err)
		}
		a := &Seat{Code: "a"}
		id, err := s.Save(ctx, a)
		if err == nil {
			err = s.Quarantine(ctx, "test", id)
		}
		if err != nil {
			t.Fatal(err)
		}
		other := &Seat{Code: "a"}
		if _, err := s.Save(ctx, other); err != nil {
			t.Fatal(err)
		}
		wantUnique(t, s.Unquarantine(ctx, id), other.PersistentID(), "code")
		if err := s.Remove(ctx, other.PersistentID()); err != nil {
			t.Fatal(err)
		}
		if err := s.Unquarantine(ctx, id); err != nil {
			t.Errorf("the value is free: %v", err)
		}
	})
}

// What no store can have is refused before anything is opened, on every backend alike.
func TestLimitsOfIndexes(t *testing.T) {
	t.Parallel()
	var fields []extrafields.Field
	add := func(name string, kind extrafields.Kind) string {
		fields = append(fields, extrafields.Get(name, kind, "Name"))
		return name
	}
	texts, ints := []string{}, []string{}
	for i := range 3 {
		texts = append(texts, add(fmt.Sprint("text", i), extrafields.Text))
	}
	for i := range 60 {
		ints = append(ints, add(fmt.Sprint("int", i), extrafields.Int))
	}
	raw := add("raw", extrafields.Bytes)
	many := func(n int) (xs []persistence.Index) {
		for i := range n {
			xs = append(xs, persistence.Index{Columns: []string{driver.ColState, ints[i%20], ints[(i/20)+20]}})
		}
		return xs
	}
	for name, tt := range map[string]struct {
		indexes []persistence.Index
		want    string // "": it is taken
	}{
		"no column":             {[]persistence.Index{{}}, "without columns"},
		"an unknown column":     {[]persistence.Index{{Columns: []string{"nothing"}}}, `"nothing"`},
		"the ID":                {[]persistence.Index{{Columns: []string{driver.ColID}}}, `"id"`},
		"a column of claims":    {[]persistence.Index{{Columns: []string{driver.ColClaimOwner}}}, `"claim_owner"`},
		"a column twice":        {[]persistence.Index{{Columns: []string{driver.ColState, driver.ColState}}}, "twice"},
		"16 columns":            {[]persistence.Index{{Columns: ints[:16]}}, ""},
		"17 columns":            {[]persistence.Index{{Columns: ints[:17]}}, "17 columns"},
		"two texts and more":    {[]persistence.Index{{Columns: []string{texts[0], texts[1], driver.ColState, ints[0]}, Unique: true}}, ""},
		"three texts":           {[]persistence.Index{{Columns: texts}}, "3060 bytes"},
		"texts, bytes and more": {[]persistence.Index{{Columns: append([]string{texts[0], texts[1], raw, driver.ColCreated}, ints[:12]...)}}, ""},
		"a type and two texts":  {[]persistence.Index{{Columns: []string{driver.ColType, texts[0], texts[1]}}}, "2600"},
		"48 indexes":            {many(48), ""},
		"49 indexes":            {many(49), "49 indexes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := persistence.MakeStore(t.Context(), "mem:", &persistence.Options{ExtraFields: fields, Indexes: tt.indexes})
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if err == nil {
				s.Close()
			}
		})
	}
}

func TestTheLargestIndexes(t *testing.T) {
	reopened(t, func(t *testing.T, open func(*persistence.Options) (*persistence.Store, error)) {
		type row struct{ N int }
		wide := strings.Repeat("\U0001F600", driver.MaxIndexedTextLen)
		text := func(name string) extrafields.Field {
			return extrafields.Func(name, extrafields.Text, func(any) (any, error) { return wide, nil })
		}
		fields := []extrafields.Field{text("a"), text("b"), extrafields.Of("n", func(r *row) int { return r.N })}
		columns := []string{"a", "b", driver.ColState, "n", driver.ColCreated, driver.ColModified, driver.ColRevision}
		s, err := open(&persistence.Options{ExtraFields: fields,
			State:   func(any) string { return strings.Repeat("\U0001F600", driver.MaxStateLen) },
			Indexes: []persistence.Index{{Columns: columns}, {Columns: columns[:4], Unique: true}}})
		if err != nil {
			t.Fatal(err)
		}
		first, err := s.Save(t.Context(), row{1})
		if err == nil {
			_, err = s.Save(t.Context(), row{2})
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Save(t.Context(), row{1})
		wantUnique(t, err, first, columns[:4]...)
	})
}

// A plain backend keeps no indexes.
func TestUniqueOnABackendWithoutIndexes(t *testing.T) {
	t.Parallel()
	plain := struct{ driver.Backend }{mem.New(driver.OpenOptions{})}
	_, err := persistence.New(t.Context(), plain, &persistence.Options{ExtraFields: []extrafields.Field{codeField().Unique()}})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), `"code"`) {
		t.Errorf("a unique index: %v", err)
	}
	s, err := persistence.New(t.Context(), plain, &persistence.Options{ExtraFields: []extrafields.Field{rowField()}, Indexes: []persistence.Index{{Columns: []string{"row"}}}})
	if err != nil {
		t.Fatalf("an index: %v", err)
	}
	if err := s.DropIndex(context.Background(), persistence.Index{Columns: []string{"row"}}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("DropIndex: %v", err)
	}
	s.Close()
}
