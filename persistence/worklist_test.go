package persistence

import "testing"

func TestOverlappingSavesKeepTheirItemsApart(t *testing.T) {
	t.Parallel()
	var p, other Persistable
	a, b := &saver{}, &saver{}
	first := a.add(nil, p.identity())
	second := b.add(nil, p.identity())
	alone := b.add(nil, other.identity())
	check := func(who string, sv *saver, ident *identity, want *item) {
		t.Helper()
		if got := sv.reached(ident); got != want {
			t.Errorf("%s: the save finds item %p of the object, want %p", who, got, want)
		}
	}
	check("the first save", a, p.identity(), first)
	check("the second save", b, p.identity(), second)
	check("the first save, an object that only the second one reached", a, other.identity(), nil)
	a.forgetReached()
	check("the second save after the first one's end", b, p.identity(), second)
	check("the second save after the first one's end", b, other.identity(), alone)
	b.forgetReached()
	for _, ident := range []*identity{p.identity(), other.identity()} {
		if ident.reached != nil {
			t.Error("an object still refers to the item of a save that is over")
		}
	}
}
