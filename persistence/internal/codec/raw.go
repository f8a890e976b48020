package codec

import (
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// A rawValue is a value of a body that no type of this program describes. It does not depend on its
// offset: bytes stand as they were, but for references and back-references.
type rawValue struct {
	parts []part
	zoned bool // it may hold times with names of locations
}

// A part is some of the bytes of a rawValue, or a reference in their place.
type part struct {
	lit []byte  // bytes; of a reference, the ID
	ext byte    // 0 for bytes; else extEager, extLazy or extBackref
	to  *target // of a back-reference
	def *target // the target that begins here, nil if none does
}

// A target is what a back-reference leads to: parts of a rawValue, or a pointer or map of the
// object.
type target struct {
	raw      *rawValue
	from, to int // the parts

	slot unsafe.Pointer // not nil: a variable that holds the pointer or map
	pl   *plan          // of that variable
}

// rawTag is the ident of targets that are parts of a rawValue.
var rawTag byte

// keptValue appends v, which is from the store of the given identity.
func (e *Encoder) keptValue(v *rawValue, store string) error {
	if v.zoned {
		e.version = max(e.version, versionZones)
	}
	return e.keptParts(v, 0, len(v.parts), store)
}

func (e *Encoder) keptParts(v *rawValue, from, to int, store string) error {
	for i := from; i < to; i++ {
		pt := &v.parts[i]
		if t := pt.def; t != nil {
			if t.slot != nil || e.seenTarget(t) {
				if err := e.keptTarget(t, store); err != nil {
					return err
				}
				i = t.to - 1
				continue
			}
			e.seen.add(unsafe.Pointer(t), &rawTag, e.offset())
		}
		var err error
		switch pt.ext {
		case 0:
			if err = e.room(len(pt.lit)); err == nil {
				e.buf = append(e.buf, pt.lit...)
			}
		case extBackref:
			err = e.keptTarget(pt.to, store)
		default:
			err = e.keptReference(pt.ext, driver.ID(pt.lit), store)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Encoder) seenTarget(t *target) bool {
	_, ok := e.seen.find(unsafe.Pointer(t), &rawTag)
	return ok
}

// keptTarget appends a back-reference to t or, if t was not written yet, t itself.
func (e *Encoder) keptTarget(t *target, store string) error {
	if t.slot != nil {
		// What is kept of the entries of a map is found by the map.
		outer := e.region
		e.region = region{at: t.slot, depth: len(e.path)}
		err := t.pl.enc(e, t.pl, t.slot)
		e.region = outer
		return err
	}
	if off, ok := e.seen.find(unsafe.Pointer(t), &rawTag); ok {
		e.buf = appendBackref(e.buf, off)
		return nil
	}
	if t.raw.zoned {
		e.version = max(e.version, versionZones)
	}
	return e.keptParts(t.raw, t.from, t.to, store)
}

func (e *Encoder) keptReference(ext byte, id driver.ID, store string) error {
	if e.r == nil {
		return e.fail(driver.ErrUnstorable, "a reference, where none are allowed")
	}
	if err := e.r.Kept(id, store); err != nil {
		return err
	}
	if ext == extEager {
		e.eager.add(id)
	} else {
		e.lazy.add(id)
	}
	return e.appendID(ext, id)
}
