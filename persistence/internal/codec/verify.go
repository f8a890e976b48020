package codec

import (
	"bytes"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// Verify checks the body of a record as far as that can be done without its types. Its error is
// that of [Codec.Generic], nil if Generic can read the body.
func (c *Codec) Verify(h Header, lim Limits, forms *GenericForms) error {
	v := verifier{genericDecoder: genericDecoder{
		d: decoder{c: c, buf: h.body, maxDepth: genericDepth(lim), version: h.format, root: anyType},
		h: &h,
	}}
	if v.plain() {
		return nil
	}
	_, err := c.Generic(h, lim, forms, nil)
	return err
}

// A verifier makes one pass over a body, and nothing of it.
type verifier struct {
	genericDecoder
	at time.Time // of no interest
}

// A container is an array or map that the pass is inside of.
type container struct {
	left  uint64 // values to come
	isMap bool
	key   []byte // that came last, with its head; nil: none yet
}

// plain reports whether the body is one that Generic surely reads: whole, not too deep, without
// back-references, and all its maps have different texts as keys, in order. Most bodies are. The
// pass does not recurse.
func (v *verifier) plain() bool {
	d := &v.d
	b := d.buf
	var room [24]container
	open := room[:0]
	for once := true; once || len(open) > 0; once = false {
		t, end := v.head()
		if end < 0 {
			return false
		}
		if k := len(open); k > 0 && !open[k-1].next(t, b[d.pos:end]) {
			return false
		}
		switch t.fam {
		case famExt:
			if !v.extension(t, b[d.pos+t.head:end]) {
				return false
			}
		case famArray, famMap:
			if len(open) >= d.maxDepth || t.n > uint64(len(b)-end) {
				return false
			}
			if !v.zonedTime(t, end) {
				open = append(open, contained(t))
			} else if end = v.timeEnd(); end < 0 {
				return false
			}
		}
		d.pos = end
		for len(open) > 0 && open[len(open)-1].left == 0 {
			open = open[:len(open)-1]
		}
	}
	return d.pos == len(b)
}

func contained(t token) container {
	in := container{left: t.n, isMap: t.fam == famMap}
	if in.isMap {
		in.left *= 2
	}
	return in
}

// zonedTime reports whether a container, whose first element is at first, is a time with an offset.
func (v *verifier) zonedTime(t token, first int) bool {
	return t.fam == famArray && v.inBounds(first) && v.isTime(t)
}

// timeEnd returns the end of the time at the position, or -1 if it is malformed.
func (v *verifier) timeEnd() int {
	at := v.d.pos
	err := decTime(&v.d, nil, unsafe.Pointer(&v.at))
	end := v.d.pos
	if v.d.pos = at; err != nil {
		return -1
	}
	return end
}

// inBounds reports whether the value at a position is there as far as its head says, as isTime
// takes for granted of the first element of an array.
func (v *verifier) inBounds(pos int) bool {
	t := readToken(v.d.buf[pos:])
	return t.payload() <= uint64(len(v.d.buf)-pos-t.head)
}

// head returns the token at the position, and the end of the value, or of its head if it holds
// others; -1: it is not there as a whole. It is readToken, but for texts that are short.
func (v *verifier) head() (token, int) {
	b := v.d.buf[v.d.pos:]
	if len(b) > 0 && b[0]&0xe0 == codeFixStr {
		if n := int(b[0] & 0x1f); n < len(b) {
			return token{tokenKind{fam: famStr, code: b[0]}, uint64(n), 1}, v.d.pos + 1 + n
		}
		return token{}, -1
	}
	t := readToken(b)
	if t.fam == famInvalid || t.payload() > uint64(len(b)-t.head) {
		return token{}, -1
	}
	return t, v.d.pos + t.head + int(t.payload())
}

// next is told of a value in the array or map. It reports false for a key that is no text or does
// not stand after the last one.
func (in *container) next(t token, value []byte) bool {
	if in.isMap && in.left%2 == 0 {
		if t.fam != famStr || in.key != nil && bytes.Compare(in.key, value) >= 0 {
			return false
		}
		in.key = value
	}
	in.left--
	return true
}

// extension reports whether an extension is a reference that the header names, or a time.
func (v *verifier) extension(t token, content []byte) bool {
	among := v.h.Eager
	switch t.ext {
	case extLazy:
		among = v.h.Lazy
	case extEager:
	case extTime:
		return v.timeEnd() >= 0
	default:
		return false
	}
	_, ok := slices.BinarySearchFunc(among, content, func(id driver.ID, b []byte) int {
		return strings.Compare(string(id), unsafe.String(unsafe.SliceData(b), len(b)))
	})
	return ok
}
