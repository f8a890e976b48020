package codec

// Values of another type than the program's are taken where they convert exactly: integers and
// floats that fit, a pointer for what it points to and the reverse, and one value for a slice of
// one. What was converted is encoded as the program's type from then on.

// wrapped consumes the array of one in which the target of a pointer stands, if that can be nil. A
// pointer is taken alone too: then it was no target when it was written. Slices, maps, bytes and
// interfaces are not, since an array of one may be a slice as well.
func (d *decoder) wrapped(elem *plan) (alone bool, err error) {
	t := readToken(d.buf[d.pos:])
	if t.code == codeFixArray|1 {
		d.pos++
		d.boxed = d.pos
		return false, nil
	}
	if elem.kind != kindPointer && elem.kind != kindReference || t.fam == famArray || d.inBox() || d.inElements() || !elem.takes(t) {
		return false, d.mismatch("an array of one")
	}
	d.old = true
	return true, nil
}

// oneForSlice reports whether the value at pos stands for a slice or array of one elem. In a slice
// of slices none does.
func (d *decoder) oneForSlice(elem *plan) bool {
	if d.pos < len(d.buf) && d.buf[d.pos]&0xf0 == codeFixArray {
		return false
	}
	t := readToken(d.buf[d.pos:])
	return t.fam != famArray && !d.inBox() && !d.inElements() &&
		elem.kind != kindMap && elem.kind != kindBytes && elem.kind != kindInterface && elem.takes(t)
}

// inElements reports whether the next value is an element of a slice or array, or the target of a
// pointer that is one.
func (d *decoder) inElements() bool {
	n := len(d.path)
	for n > 0 && d.path[n-1].pl.kind == kindPointer {
		n--
	}
	return n > 0 && (d.path[n-1].pl.kind == kindSlice || d.path[n-1].pl.kind == kindArray)
}

// inBox reports whether the next value stands in the array of one for the target of a pointer. It
// is that target, and converts to no slice of one and from none.
func (d *decoder) inBox() bool { return d.boxed > 0 && d.pos == d.boxed }

// unwrap consumes the head of an array of one, if the value stands in one: it was the element of a
// slice, or the target of a pointer that can be nil, when it was written. It reports whether it
// did.
func (d *decoder) unwrap() bool {
	if d.inBox() || d.inElements() || d.left() < 2 || d.buf[d.pos] != codeFixArray|1 || familyOf(d.buf[d.pos+1]) == famArray || d.buf[d.pos+1] == codeNil {
		return false
	}
	d.pos++
	d.old = true
	return true
}

// takes reports whether a value of pl may begin with t.
func (pl *plan) takes(t token) bool {
	switch pl.kind {
	case kindScalar:
		switch pl.op {
		case opBool:
			return t.fam == famBool
		case opString:
			return t.fam == famStr
		case opComplex64, opComplex128:
			return t.fam == famArray && t.n == 2
		}
		return t.fam == famInt || t.fam == famFloat
	case kindStruct, kindMap:
		return t.fam == famMap || t.fam == famExt && t.ext == extBackref
	case kindSlice:
		return t.fam == famArray
	case kindArray:
		return t.fam == famArray && t.n == uint64(pl.typ.Len())
	case kindBytes, kindByteArray, kindCustom, kindBinary:
		return t.fam == famBin || pl.time != nil && takesTime(t)
	case kindText:
		return t.fam == famStr || pl.float != nil && t.fam == famBin
	case kindPointer:
		return pl.elem.nilable && t.fam == famArray && t.n == 1 || !pl.elem.nilable && (pl.elem.takes(t) || t.fam == famExt && t.ext == extBackref)
	case kindReference:
		return t.fam == famExt && t.ext == extEager
	case kindLazy:
		return t.fam == famExt && (t.ext == extLazy || t.ext == extEager)
	case kindTime:
		return takesTime(t)
	case kindInterface:
		return t.fam != famInvalid && (t.fam != famArray || t.n == 1 || t.n == 2)
	case kindStored:
		return pl.elem.takes(t)
	}
	return false
}

func takesTime(t token) bool {
	return t.fam == famExt && t.ext == extTime || t.fam == famArray && (t.n == 2 || t.n == 3)
}
