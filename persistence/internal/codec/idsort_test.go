package codec

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/brine-go/brine/persistence/driver"
)

func TestSortingIDsAgreesWithComparison(t *testing.T) {
	t.Parallel()
	var s idSorter // with memory of the lists before
	rapid.Check(t, func(t *rapid.T) {
		short := rapid.StringMatching(`[a\x00\xff]{0,10}|[0-9]{1,12}|Task\.[0-9]{1,3}`)
		ids := rapid.SliceOfN(rapid.Map(short, func(s string) driver.ID { return driver.ID(s) }), radixFrom, 3*radixFrom).Draw(t, "ids")
		want := slices.Sorted(slices.Values(ids))
		s.sort(ids)
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Fatal(diff)
		}
	})
}
