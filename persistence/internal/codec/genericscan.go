package codec

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// scan looks at the whole body before anything is made of it. It checks that it is one value, all
// there and not too deep, and finds out where back-references lead and which maps are not just of
// different strings.
func (g *genericDecoder) scan() error {
	if err := g.walk(); err != nil {
		return err
	}
	slices.Sort(g.targets)
	g.targets = slices.Compact(g.targets)
	for _, off := range g.targets {
		if readToken(g.d.buf[off:]).fam == famStr {
			// It may be a key: then its map must have keys that can be shared.
			g.mixed = g.mixed[:0]
			if err := g.walk(); err != nil {
				return err
			}
			break
		}
	}
	slices.Sort(g.mixed)
	return nil
}

// openValue is an array or map that the walk is inside of.
type openValue struct {
	off   int
	left  uint64 // values to come
	isMap bool
	mixed bool
	key   []byte // that came last, with its head
}

// walk is the one pass of scan. It does not recurse.
func (g *genericDecoder) walk() error {
	b := g.d.buf
	first := g.targets == nil
	var targets []uint32
	var open []openValue
	total, pos := uint64(0), 0
	for once := true; once || len(open) > 0; once = false {
		t, end, err := g.whole(pos)
		if err != nil {
			return err
		}
		if k := len(open); k > 0 {
			g.within(&open[k-1], t, pos, end)
			total--
		}
		if t.fam == famExt && t.ext == extBackref && first {
			targets = append(targets, backrefOffset(b[pos:], t))
		}
		if t.fam == famArray || t.fam == famMap {
			in := openValue{off: pos, left: t.n, isMap: t.fam == famMap}
			if in.isMap {
				in.left *= 2
			}
			open = append(open, in)
			total += in.left
		}
		if len(open) > g.d.maxDepth {
			return relocate(g.d.fail(driver.ErrTooLarge, "nested deeper than the limit"), g.h.Type)
		}
		if pos = end; total > uint64(len(b)-pos) {
			return g.corrupt("%d values in %d bytes", total, len(b)-pos)
		}
		for len(open) > 0 && open[len(open)-1].left == 0 {
			open = open[:len(open)-1]
		}
	}
	if pos != len(b) {
		return g.corrupt("%d bytes left over", len(b)-pos)
	}
	if first {
		g.targets = targets
	}
	return nil
}

// whole reads the head at pos and returns where the content after it ends.
func (g *genericDecoder) whole(pos int) (t token, end int, err error) {
	b := g.d.buf
	t = readToken(b[pos:])
	if t.fam == famInvalid || t.payload() > uint64(len(b)-pos-t.head) {
		return t, 0, g.corrupt("byte %d of the body is no msgpack value, or it is cut off", pos)
	}
	if t.fam == famExt && t.ext == extBackref && (t.n != 4 || int64(backrefOffset(b[pos:], t)) >= int64(pos)) {
		return t, 0, g.corrupt("a back-reference at byte %d that does not lead back", pos)
	}
	return t, pos + t.head + int(t.payload()), nil
}

// within is told of a value of an array or map.
func (g *genericDecoder) within(in *openValue, t token, pos, end int) {
	if in.isMap && in.left%2 == 0 {
		g.mapKey(in, t, pos, end)
	}
	in.left--
}

// mapKey is told of a key of a map.
func (g *genericDecoder) mapKey(in *openValue, t token, pos, end int) {
	key := g.d.buf[pos:end]
	if !in.mixed && (t.fam != famStr || bytes.Equal(key, in.key) || g.isTarget(pos)) {
		in.mixed = true
		g.mixed = append(g.mixed, uint32(in.off))
	}
	in.key = key
}

// backrefOffset returns where a back-reference leads to.
func backrefOffset(b []byte, t token) uint32 { return binary.BigEndian.Uint32(b[t.head:]) }
