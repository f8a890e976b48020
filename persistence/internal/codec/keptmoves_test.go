package codec

import (
	"bytes"
	"strings"
	"testing"
)

type (
	movesA struct {
		X, Y, Z spotA
		M       map[string]spotA
		L       []spotA
		P, Q    movesNumA
		N       map[string]movesNumA
		F       int
	}
	movesB struct {
		X, Y, Z spotB
		M       map[string]spotB
		L       []spotB
		P, Q    movesNumB
		N       map[string]movesNumB
		F       int
	}
	movesNumA struct{ N, Note int }
	movesNumB struct{ N int }
)

// A struct that was moved by value to another place leaves behind what is kept of it. That is told,
// and told of nothing else.
func TestStructsThatMoveByValue(t *testing.T) {
	t.Parallel()
	name := func(s string) string { return string(bytes.Clone([]byte(s))) } // with an address of its own
	for what, tt := range map[string]struct {
		change func(*movesB)
		moved  string // where to
	}{
		"nothing":                        {func(*movesB) {}, ""},
		"a field of a struct":            {func(b *movesB) { b.X.Name = name("y") }, ""},
		"equal texts exchanged":          {func(b *movesB) { b.X.Name, b.Y.Name = name("yy"), name("xx") }, ""},
		"two fields exchanged":           {func(b *movesB) { b.X, b.Y = b.Y, b.X }, ".X"},
		"three fields exchanged":         {func(b *movesB) { b.X, b.Y, b.Z = b.Z, b.X, b.Y }, ".X"},
		"a field moved to one that kept": {func(b *movesB) { b.X, b.Y = b.Y, spotB{} }, ".X"},
		"a field moved to a new entry":   {func(b *movesB) { b.M["new"], b.X = b.X, spotB{} }, `.M["new"]`},
		"a field moved to a list":        {func(b *movesB) { b.L, b.X = append(b.L, b.X), spotB{name("new")} }, ".L[0]"},
		"a field copied to a list":       {func(b *movesB) { b.L = append(b.L, b.X) }, ""},
		"a field copied to another":      {func(b *movesB) { b.X = b.Y }, ""},
		"entries exchanged":              {func(b *movesB) { b.M["a"], b.M["b"] = b.M["b"], b.M["a"] }, `.M["a"]`},
		"the key of an entry changed":    {func(b *movesB) { b.M["c"] = b.M["a"]; delete(b.M, "a") }, `.M["c"]`},
		"an entry deleted":               {func(b *movesB) { delete(b.M, "a") }, ""},
		"an entry copied":                {func(b *movesB) { b.M["c"] = b.M["a"] }, ""},
		"numbers exchanged":              {func(b *movesB) { b.P, b.Q = b.Q, b.P }, ".P"},
		"a number moved":                 {func(b *movesB) { b.P, b.Q = b.Q, movesNumB{7} }, ""},
		"numbers of entries exchanged":   {func(b *movesB) { b.N["a"], b.N["b"] = b.N["b"], b.N["a"] }, ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			a, b := otherVersions(t)
			in := &movesA{X: spotA{"xx", "1"}, Y: spotA{"yy", "2"}, Z: spotA{"zz", "3"}, M: map[string]spotA{"a": {"aa", "4"}, "b": {"bb", "5"}},
				P: movesNumA{1, 10}, Q: movesNumA{2, 20}, N: map[string]movesNumA{"a": {3, 30}, "b": {4, 40}}}
			obj := new(movesB)
			out := there(t, b, newWorld(), encode(t, a, nil, in), obj)
			tt.change(obj)
			e := b.NewEncoder(testLimits, nil)
			enc, err := e.Encode(obj, out.Kept)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(enc.Moved, tt.moved) || (enc.Moved == "") != (tt.moved == "") {
				t.Fatalf("got %q, want %q", enc.Moved, tt.moved)
			}
			// Once it is written, that is where everything is.
			if enc, err = e.Encode(obj, enc.Kept); err != nil || enc.Moved != "" {
				t.Errorf("the next time: %q, %v", enc.Moved, err)
			}
		})
	}
}

// What was kept of an entry or of the value of an interface is gone with it once that is written.
func TestKeptFieldsOfWhatIsGone(t *testing.T) {
	t.Parallel()
	type (
		holdsA struct {
			M, Other map[string]spotA
			Any      any
			P        *spotA
		}
		holdsB struct {
			M, Other map[string]spotB
			Any      any
			P        *spotB
		}
	)
	a, b := otherVersions(t)
	in := &holdsA{M: map[string]spotA{"a": {"a", "1"}, "b": {"b", "2"}}, Other: map[string]spotA{"c": {"c", "5"}}, Any: spotA{"any", "3"}, P: &spotA{"p", "4"}}
	obj := new(holdsB)
	out := there(t, b, newWorld(), encode(t, a, nil, in), obj)
	p, other := obj.P, obj.Other
	encodeB := func(kept *Kept) (*Kept, *holdsA) {
		t.Helper()
		enc, err := b.NewEncoder(testLimits, nil).Encode(obj, kept)
		if err != nil {
			t.Fatal(err)
		}
		got := new(holdsA)
		there(t, a, newWorld(), bytes.Clone(enc.Data), got)
		return enc.Kept, got
	}
	delete(obj.M, "a")
	obj.Any, obj.P, obj.Other = nil, nil, nil
	kept, _ := encodeB(out.Kept)
	obj.M["a"], obj.Any, obj.P, obj.Other = spotB{"new"}, spotB{"newer"}, p, other
	_, got := encodeB(kept)
	if got.M["a"].Note != "" || got.Any.(spotA).Note != "" {
		t.Errorf("what was gone came back: %+v", got)
	}
	if got.M["b"].Note != "2" || got.P.Note != "4" || got.Other["c"].Note != "5" {
		t.Errorf("what was not gone is: %+v, %+v", got, got.P)
	}
	if _, got := encodeB(out.Kept); got.M["a"].Note != "1" || got.Any.(spotA).Note != "3" {
		t.Errorf("what is kept until then must not change: %+v", got)
	}
}
