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
	v := verifier{genericDecoder{
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
type verifier struct{ genericDecoder }

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
		t := readToken(b[d.pos:])
		if t.fam == famInvalid || t.payload() > uint64(len(b)-d.pos-t.head) {
			return false
		}
		end := d.pos + t.head + int(t.payload())
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
			after, ok := v.time(t, end)
			switch {
			case !ok:
				return false
			case after > 0:
				end = after
			default:
				open = append(open, containerOf(t))
			}
		}
		d.pos = end
		for len(open) > 0 && open[len(open)-1].left == 0 {
			open = open[:len(open)-1]
		}
	}
	return d.pos == len(b)
}

// time returns the end of the time that the array t begins, 0 if it begins none. It reports false
// for one that is malformed.
func (v *verifier) time(t token, content int) (end int, ok bool) {
	if t.fam != famArray || !v.inBounds(content) || !v.isTime(t) {
		return 0, true
	}
	if decTime(&v.d, unsafe.Pointer(new(time.Time))) != nil {
		return 0, false
	}
	return v.d.pos, true
}

func containerOf(t token) container {
	if t.fam == famMap {
		return container{left: 2 * t.n, isMap: true}
	}
	return container{left: t.n}
}

// inBounds reports whether the value at a position is there as far as its head says, as isTime
// takes for granted of the first element of an array.
func (v *verifier) inBounds(pos int) bool {
	t := readToken(v.d.buf[pos:])
	return t.payload() <= uint64(len(v.d.buf)-pos-t.head)
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
		at := v.d.pos
		err := decTime(&v.d, unsafe.Pointer(new(time.Time)))
		v.d.pos = at
		return err == nil
	default:
		return false
	}
	_, ok := slices.BinarySearchFunc(among, content, func(id driver.ID, b []byte) int {
		return strings.Compare(string(id), unsafe.String(unsafe.SliceData(b), len(b)))
	})
	return ok
}
