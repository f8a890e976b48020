package versus

import "testing"

func TestTheIntervalHoldsTheMedian(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 20, 40, 101} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64((i*7919)%n) + 1 // 1 to n, in another order
		}
		low, high := interval(values)
		if m := Median(values); low > m || m > high || low < 1 || high > float64(n) {
			t.Errorf("of 1 to %d: [%v, %v], and the median is %v", n, low, high, m)
		}
		if n == 101 && (low != 41 || high != 62) { // 50.5 ± 9.85, as ranks from 0 on
			t.Errorf("[%v, %v], and not [41, 62]", low, high)
		}
	}
}
