package codec

import (
	"slices"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// An embedded pointer that is not nil is seen in a record by the fields that are reached through
// it. Where all of those would be left out, one is written though it is empty.

// An embeddedPointer is an embedded pointer of a struct type whose fields may all be left out.
type embeddedPointer struct {
	via     []viaStep // that lead to what it points to
	fields  []int     // those reached through it, in plan.fields
	witness []int     // of these, those of the struct that it points to itself
}

// embeddedPointers returns the embedded pointers whose fields may all be left out, those that are
// reached through others before these.
func embeddedPointers(fields []field) []embeddedPointer {
	var found []embeddedPointer
	always := map[int]bool{} // by index in found: some field is never left out
	for i := range fields {
		f := &fields[i]
		for n := 1; n <= len(f.via); n++ {
			at := slices.IndexFunc(found, func(p embeddedPointer) bool { return slices.Equal(p.via, f.via[:n]) })
			if at < 0 {
				at = len(found)
				found = append(found, embeddedPointer{via: f.via[:n]})
			}
			found[at].fields = append(found[at].fields, i)
			if n == len(f.via) {
				found[at].witness = append(found[at].witness, i)
				always[at] = always[at] || !f.omit && !f.zero
			}
		}
	}
	var out []embeddedPointer
	for i, p := range found {
		if !always[i] {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b embeddedPointer) int { return len(b.via) - len(a.via) })
	return out
}

// witnesses returns the fields of the struct at p that are stored though they are empty, so that
// each embedded pointer that is not nil is seen.
func (e *Encoder) witnesses(pl *plan, p unsafe.Pointer) ([]int, error) {
	var forced []int
	for i := range pl.embedded {
		em := &pl.embedded[i]
		to := field{via: em.via}
		if to.at(p) == nil || slices.ContainsFunc(em.fields, func(i int) bool { return slices.Contains(forced, i) || pl.fields[i].isStored(p) }) {
			continue
		}
		at := slices.IndexFunc(em.witness, func(i int) bool { return pl.fields[i].pl.never == nil })
		if at < 0 {
			return nil, e.fail(driver.ErrUnstorable, `an embedded %v that is not nil, and that holds nothing to store: give the field a name by the tag msgpack:"name"`, em.via[len(em.via)-1].elem)
		}
		forced = append(forced, em.witness[at])
	}
	return forced, nil
}

func (f *field) isStored(p unsafe.Pointer) bool {
	_, ok := f.stored(p)
	return ok
}
