package persistence

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestCreatedSetIsASetOfIDs(t *testing.T) {
	t.Parallel()
	ids := rapid.Custom(func(t *rapid.T) ID {
		n := rapid.OneOf(rapid.Int64Range(-2, 2000), rapid.Int64()).Draw(t, "number")
		prefix := rapid.SampledFrom([]string{"", "Task.", "Job.", "Task.0", "0", "x"}).Draw(t, "prefix")
		return ID(fmt.Sprint(prefix, n))
	})
	rapid.Check(t, func(t *rapid.T) {
		var set createdSet
		model := map[ID]bool{}
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			id := ids.Draw(t, "ID")
			if set.has(id) != model[id] {
				t.Fatalf("has(%q) = %t, want %t", id, !model[id], model[id])
			}
			if rapid.Bool().Draw(t, "add") {
				set.add(id)
				model[id] = true
			}
		}
		for id := range model {
			if !set.has(id) {
				t.Fatalf("%q was added and is not in the set", id)
			}
		}
	})
}
