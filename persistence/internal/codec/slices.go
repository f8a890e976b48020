package codec

import (
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// Slices and arrays are msgpack arrays; a nil slice is nil.

// sliceHeader is the layout of a slice.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

func buildSlice(pl *plan) {
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error {
		s := (*sliceHeader)(p)
		if s.data == nil {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		return e.elements(pl, s.data, s.len)
	}
	pl.dec = (*decoder).slice
}

func buildArray(pl *plan) {
	n := pl.typ.Len()
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error { return e.elements(pl, p, n) }
	pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
		one := n == 1 && d.oneForSlice(pl.elem)
		if err := d.enter(pl); err != nil {
			return err
		}
		if one {
			// It was one value.
			d.old = true
			if err := d.elements(pl, p, 0, 1); err != nil {
				return err
			}
			d.leave()
			return nil
		}
		if err := d.listHead(pl.elem); err != nil {
			return err
		}
		m, err := d.arrayLen()
		if err != nil {
			return err
		}
		if m != n {
			return d.fail(driver.ErrType, "%d elements where %d are wanted", m, n)
		}
		if err := d.elements(pl, p, 0, n); err != nil {
			return err
		}
		d.leave()
		return nil
	}
}

func (e *Encoder) elements(pl *plan, p unsafe.Pointer, n int) error {
	if err := e.enter(pl); err != nil {
		return err
	}
	if err := e.room(n); err != nil { // each takes a byte at least
		return err
	}
	if err := e.appendList(pl, p, n); err != nil {
		return err
	}
	depth := len(e.path) - 1
	elem := pl.elem
	for i := range n {
		q := unsafe.Add(p, uintptr(i)*elem.size)
		if elem.op != opNone && elem.op.small(q) {
			e.buf = appendScalar(e.buf, elem.op, q)
		} else {
			e.path[depth].i = i
			if err := elem.enc(e, elem, q); err != nil {
				return err
			}
		}
		if len(e.buf) > e.limit {
			return e.tooBig(0)
		}
	}
	e.leave()
	return nil
}

// elements reads the elements from up to to of an array at p.
func (d *decoder) elements(pl *plan, p unsafe.Pointer, from, to int) error {
	depth := len(d.path) - 1
	elem := pl.elem
	for i := from; i < to; i++ {
		d.path[depth].i = i
		q := unsafe.Add(p, uintptr(i)*elem.size)
		var err error
		switch elem.op {
		case opNone:
			err = elem.dec(d, elem, q)
		case opString:
			if d.shortString((*string)(q)) {
				continue
			}
			err = d.string((*string)(q))
		default:
			err = d.scalar(elem.op, q)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) slice(pl *plan, p unsafe.Pointer) error {
	if d.nilNext() {
		return nil
	}
	one := d.oneForSlice(pl.elem)
	if err := d.enter(pl); err != nil {
		return err
	}
	if one {
		// It was one value.
		d.old = true
		grow(pl, p, 1)
		if err := d.elements(pl, (*sliceHeader)(p).data, 0, 1); err != nil {
			return err
		}
		d.leave()
		return nil
	}
	if err := d.listHead(pl.elem); err != nil {
		return err
	}
	n, err := d.arrayLen()
	if err != nil {
		return err
	}
	// Memory is taken at once where what is left of the record can well fill it; else it
	// grows as elements are really read.
	const generous = 16
	at := n
	if uintptr(n)*pl.elem.size > uintptr(max(512, generous*d.left())) {
		at = max(1, generous*d.left()/int(pl.elem.size))
	}
	s := (*sliceHeader)(p)
	for done := 0; ; {
		grow(pl, p, min(at, n))
		if err := d.elements(pl, s.data, done, s.len); err != nil {
			return err
		}
		if done = s.len; done == n {
			break
		}
		at *= 2
	}
	d.leave()
	return nil
}

// grow makes the slice at p, which is nil or not empty, n elements long; new ones are zero.
func grow(pl *plan, p unsafe.Pointer, n int) {
	switch pl.elem.op {
	case opString:
		if s := (*[]string)(p); *s == nil {
			*s = make([]string, n)
			return
		}
	case opInt64, opUint64, opFloat64:
		if s := (*[]uint64)(p); *s == nil {
			*s = make([]uint64, n)
			return
		}
	}
	if n == 0 {
		*(*[]struct{})(p) = []struct{}{}
		return
	}
	v := pl.value(p)
	first := v.IsNil()
	v.Grow(n - v.Len())
	v.SetLen(n)
	if first {
		v.SetCap(n)
	}
}
