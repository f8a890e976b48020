package codec

// skip returns the position after the value at b[pos:], and false if that value is invalid or cut
// off. It neither recurses nor allocates, whatever the value claims.
func skip(b []byte, pos int) (int, bool) {
	for left := uint64(1); left > 0; left-- {
		t := readToken(b[pos:])
		rest := uint64(len(b) - pos - t.head)
		if t.fam == famInvalid || t.payload() > rest {
			return pos, false
		}
		switch t.fam {
		case famArray:
			left += t.n
		case famMap:
			left += 2 * t.n
		}
		pos += t.head + int(t.payload())
		if left-1 > uint64(len(b)-pos) { // every value takes at least one byte
			return pos, false
		}
	}
	return pos, true
}

// wellFormed reports whether b is a sequence of whole msgpack values nested at most maxDepth deep.
func wellFormed(b []byte, maxDepth int) bool {
	var open []uint64 // values still to come in each array and map that is open
	total := uint64(0)
	for pos := 0; pos < len(b); {
		t := readToken(b[pos:])
		if t.fam == famInvalid || t.payload() > uint64(len(b)-pos-t.head) {
			return false
		}
		pos += t.head + int(t.payload())
		n := uint64(0)
		switch t.fam {
		case famArray:
			n = t.n
		case famMap:
			n = 2 * t.n
		}
		if k := len(open); k > 0 {
			open[k-1]--
			total--
		}
		if n > 0 {
			open = append(open, n)
			total += n
		}
		if len(open) > maxDepth || total > uint64(len(b)-pos) {
			return false
		}
		for len(open) > 0 && open[len(open)-1] == 0 {
			open = open[:len(open)-1]
		}
	}
	return len(open) == 0
}
