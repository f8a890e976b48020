package codec

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// late is what was decoded out of values that had been skipped as unknown fields, because
// something known refers back to them.
type late struct {
	made   map[lateKey]*lateMade
	active int // late decodes that are under way
	from   int // where the bytes of the present one not yet counted in cost begin
	cost   int // bytes decoded late
}

type lateKey struct {
	off uint32
	id  ident
}

type lateMade struct {
	ptr unsafe.Pointer
	end int // of the value; 0 while it is being decoded
}

// record remembers what was made for the value that begins at off.
func (d *decoder) record(p unsafe.Pointer, id ident, off int) {
	if d.late != nil && d.late.active > 0 {
		d.late.made[lateKey{uint32(off), id}] = &lateMade{ptr: p}
		return
	}
	d.made = append(d.made, made{ptr: p, id: id, off: uint32(off)})
}

// recorded is told that the value remembered for off is complete.
func (d *decoder) recorded(id ident, off int) {
	if d.late != nil && d.late.active > 0 {
		d.late.made[lateKey{uint32(off), id}].end = d.pos
	}
}

// shared consumes what comes next if it was made before: a back-reference, or a value that a late
// decode has come to already. pl is the plan to decode it with, and id what it must be.
func (d *decoder) shared(pl *plan, id ident) (unsafe.Pointer, error) {
	if d.pos+6 <= len(d.buf) && d.buf[d.pos] == codeFixExt4 && d.buf[d.pos+1] == extBackref {
		return d.backref(pl, id)
	}
	l := d.late
	if l == nil || l.active == 0 {
		return nil, nil
	}
	m, ok := l.made[lateKey{uint32(d.pos), id}]
	if !ok {
		return nil, nil
	}
	if m.end == 0 {
		return nil, d.corrupt("a value inside itself")
	}
	l.cost += d.pos - l.from
	d.pos, l.from = m.end, m.end
	return m.ptr, nil
}

// refersTo reports whether a back-reference comes next to what was made as id and as nothing else.
func (d *decoder) refersTo(id ident) bool {
	if d.pos+6 > len(d.buf) || d.buf[d.pos] != codeFixExt4 || d.buf[d.pos+1] != extBackref {
		return false
	}
	off := binary.BigEndian.Uint32(d.buf[d.pos+2:])
	i, _ := slices.BinarySearchFunc(d.made, off, func(m made, off uint32) int { return cmp.Compare(m.off, off) })
	return i < len(d.made) && d.made[i].off == off && d.made[i].id == id
}

func (d *decoder) backref(pl *plan, id ident) (unsafe.Pointer, error) {
	off := binary.BigEndian.Uint32(d.buf[d.pos+2:])
	d.pos += 6
	i, _ := slices.BinarySearchFunc(d.made, off, func(m made, off uint32) int { return cmp.Compare(m.off, off) })
	for ; i < len(d.made) && d.made[i].off == off; i++ {
		if d.made[i].id == id {
			return d.made[i].ptr, nil
		}
	}
	if d.late != nil {
		if m, ok := d.late.made[lateKey{off, id}]; ok {
			return m.ptr, nil
		}
	}
	at := readOffset(d.buf[d.pos-4:])
	if !d.wasSkipped(at) {
		if at < d.pos-6 && readToken(d.buf[at:]).fam != famInvalid {
			return nil, d.fail(driver.ErrType, "a pointer shared with another of a type that is not %v", pl.typ)
		}
		return nil, d.corrupt("refers back to byte %d, where there is no %v", off, pl.typ)
	}
	return d.decodeLate(pl, at)
}

// wasSkipped reports whether the value at off is in that of an unknown field.
func (d *decoder) wasSkipped(off int) bool {
	i, _ := slices.BinarySearchFunc(d.skipped, off, func(s span, off int) int { return cmp.Compare(s.to, off+1) })
	return i < len(d.skipped) && off >= d.skipped[i].from
}

// readOffset reads the offset of a back-reference. One that an int of 32 bits cannot hold leads
// beyond the end of every record, as what is returned for it does.
func readOffset(b []byte) int {
	return int(min(uint64(binary.BigEndian.Uint32(b)), math.MaxInt-1))
}

// decodeLate decodes the value at off, inside a value that was skipped, and returns what was made
// for it.
//
// No byte of an honest record is decoded late more than once. A dishonest one is stopped when it
// has cost as much as the whole body, and cannot use few bytes to make many objects.
func (d *decoder) decodeLate(pl *plan, off int) (unsafe.Pointer, error) {
	if d.late == nil {
		d.late = &late{made: map[lateKey]*lateMade{}}
	}
	l, back := d.late, d.pos
	if l.active > 0 {
		l.cost += d.pos - l.from
	}
	if l.cost > len(d.buf) {
		return nil, d.corrupt("refers back too often to what was skipped")
	}
	if t := readToken(d.buf[off:]); t.fam == famNil || t.fam == famInvalid || t.fam == famExt && t.ext == extBackref {
		return nil, d.corrupt("refers back to byte %d, where there is no %v", off, pl.typ)
	}
	d.pos, l.from = off, off
	l.active++
	p, err := d.lateValue(pl)
	l.active--
	if err != nil {
		return nil, err
	}
	l.cost += d.pos - l.from
	d.pos, l.from = back, back
	if p == nil {
		return nil, d.corrupt("refers back to byte %d, where there is no %v", off, pl.typ)
	}
	return p, nil
}

// lateValue reads a value of pl, which is of pointers or maps: one word.
func (d *decoder) lateValue(pl *plan) (unsafe.Pointer, error) {
	p := new(unsafe.Pointer)
	if d.keep == nil {
		err := pl.dec(d, pl, unsafe.Pointer(p))
		return *p, err
	}
	err := d.inRegion(pl, unsafe.Pointer(p))
	return *p, err
}

// inRegion reads a value of pl into the variable at p, which is a region of its own. d.keep is not
// nil.
func (d *decoder) inRegion(pl *plan, p unsafe.Pointer) error {
	outer := d.keep.region
	d.keep.region = region{at: p, depth: len(d.path)}
	err := pl.dec(d, pl, p)
	d.keep.region = outer
	return err
}
