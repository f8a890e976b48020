package codec

import (
	"cmp"
	"maps"
	"slices"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// A keeper is what a decoder gathers of unknown fields. There is none at first: a record that turns
// out to have such fields is decoded a second time, with one.
type keeper struct {
	holders
	region region
	found  []foundField
	out    []UnknownField
	inside map[place]bool
	owners map[place]int // where the fields of the struct of a place begin
	byHead map[int]place // the places of structs that are no target of a pointer, by where their fields begin
	images images
	last   foundStruct
}

func newKeeper(p unsafe.Pointer) *keeper {
	return &keeper{
		holders: holders{known: map[unsafe.Pointer]bool{}, in: map[place]unsafe.Pointer{}},
		region:  region{at: p}, inside: map[place]bool{}, owners: map[place]int{}, byHead: map[int]place{},
	}
}

// A foundField is an unknown field that a decoder came to.
type foundField struct {
	place  place
	inside *keptFields // not nil: what the struct itself holds
	key    string
	span   span
	path   string // "" beyond maxUnknownPaths of them
}

// A foundStruct is a struct with unknown fields.
type foundStruct struct {
	pl    *plan
	first int // where its fields begin
	place place
	ok    bool // its fields can be kept by the place
}

// find notes the unknown field with the encoded name key and the value at s, of the struct at p
// whose fields begin at first.
func (k *keeper) find(d *decoder, pl *plan, p unsafe.Pointer, first int, key, name string, s span) {
	f := foundField{key: key, span: s}
	where := Aside
	if pl.unknown != nil {
		// The struct may be copied before the values are made, so it gets its fields now.
		to := (**keptFields)(pl.unknown.at(p))
		if *to == nil {
			*to = &keptFields{store: d.opts.Store}
		}
		f.inside, where = *to, Inside
	} else {
		if k.last.first != first || k.last.pl != pl {
			k.last = k.foundStruct(d, pl, first)
		}
		if f.place = k.last.place; !k.last.ok {
			where = Lost
		}
	}
	if len(k.out) < maxUnknownPaths {
		f.path = d.where() + "." + shorten(name)
		k.out = append(k.out, UnknownField{Path: f.path, Place: where})
	} else if where == Lost && k.lost() == "" {
		k.out[maxUnknownPaths-1] = UnknownField{Path: d.where() + "." + shorten(name), Place: where}
	}
	if where != Lost {
		k.found = append(k.found, f)
	}
}

// foundStruct returns the place of the struct of pl that the decoder is in. A map that is in an
// element of a slice has one only as long as the program keeps that map.
func (k *keeper) foundStruct(d *decoder, pl *plan, first int) foundStruct {
	s := foundStruct{pl: pl, first: first}
	var ok bool
	if s.place, ok = d.c.placeOf(&k.region, d.path[:len(d.path)-1], pl); !ok || k.region.elem {
		return s
	}
	if owner, taken := k.owners[s.place]; taken && owner != first {
		return s // it cannot be told from another one
	}
	k.owners[s.place], s.ok = first, true
	if len(d.path)-1 > k.region.depth && pl.size > 0 {
		k.byHead[first] = s.place
	}
	for i := k.region.depth; i < len(d.path); i++ {
		if d.path[i].pl.kind == kindStruct {
			at, _ := d.c.placeOf(&k.region, d.path[:i], d.path[i].pl)
			k.inside[at] = true
		}
	}
	return s
}

// end is told of the end of the struct of pl at p, whose fields began at first.
func (k *keeper) end(pl *plan, p unsafe.Pointer, first int) {
	if at, ok := k.byHead[first]; ok && at.pl == pl {
		k.images.add(pl, p, at)
	}
}

func (k *keeper) lost() string {
	o := Outcome{Unknown: k.out}
	return o.lostField()
}

// collect makes the values of all unknown fields, and puts them where they are kept: into their
// structs, or into the result. newer is the version of a record that is newer than the program.
func (d *decoder) collect(newer int) (*Kept, error) {
	k := d.keep
	kept := &Kept{version: newer, store: d.opts.Store, lost: k.lost(), at: map[place]*keptFields{}, inside: k.inside, holders: k.holders, images: k.images}
	rc := newRawCollector(d)
	for i := range k.found {
		rc.regions = append(rc.regions, k.found[i].span)
	}
	if err := rc.findTargets(); err != nil {
		return nil, err
	}
	if rc.split >= 0 {
		kept.split = cmp.Or(k.found[rc.split].path, rootName(d.root))
	}
	for i := range k.found {
		f := &k.found[i]
		v, err := rc.raw(f.span)
		if err != nil {
			return nil, err
		}
		field := keptField{key: f.key, value: *v}
		to := f.inside
		if to == nil {
			to = kept.at[f.place]
		}
		if to == nil {
			to = &keptFields{store: kept.store}
			kept.at[f.place] = to
		}
		to.fields = append(to.fields, field)
	}
	if err := rc.finish(); err != nil {
		return nil, err
	}
	if len(kept.at) == 0 && kept.lost == "" && kept.split == "" && newer == 0 {
		return nil, nil
	}
	return kept, nil
}

// A rawCollector makes the values of one record.
type rawCollector struct {
	d       *decoder
	regions []span          // the unknown fields, and what they refer to that is no variable
	labels  map[int]*target // by offset: what back-references in regions lead to
	late    map[int]lateAt  // by offset: variables made for values inside regions
	starts  bitset          // where the values in the regions searched so far begin
	cost    int             // bytes of regions that are no unknown fields, and of other targets
	split   int             // index of a region that shares something with a field that is no pointer here; -1: none
}

// A bitset is a set of small numbers.
type bitset []uint64

func (b *bitset) add(n int) {
	if need := n/64 + 1; need > len(*b) {
		*b = append(*b, make(bitset, need-len(*b))...)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bitset) has(n int) bool { return n/64 < len(b) && b[n/64]&(1<<(n%64)) != 0 }

// lateAt is a pointer or map of the object that was made for a value inside a skipped one.
type lateAt struct {
	made *lateMade
	id   ident
}

func newRawCollector(d *decoder) *rawCollector {
	rc := &rawCollector{d: d, labels: map[int]*target{}, split: -1}
	if d.late != nil {
		rc.late = make(map[int]lateAt, len(d.late.made))
		for key, m := range d.late.made {
			if m.end > 0 {
				rc.late[int(key.off)] = lateAt{m, key.id}
			}
		}
	}
	return rc
}

// findTargets finds what is referred back to from inside the regions. What is neither a variable
// of the object nor inside of a region becomes a region itself.
func (rc *rawCollector) findTargets() error {
	from := map[int]int{} // by offset: the region that refers to it first
	for done := 0; done < len(rc.regions); {
		var offsets []int // of targets not met before
		for ; done < len(rc.regions); done++ {
			n := len(offsets)
			if err := rc.scan(rc.regions[done], func(t token, pos int) (int, error) { return rc.target(t, pos, &offsets), nil }, nil); err != nil {
				return err
			}
			for _, off := range offsets[n:] {
				from[off] = done
			}
		}
		slices.Sort(offsets)
		added := 0 // the end of the last region added
		for _, off := range offsets {
			if rc.labels[off].slot != nil || rc.starts.has(off) || off < added {
				continue
			}
			end, err := rc.skipTarget(off)
			if err != nil {
				return err
			}
			if i := from[off]; rc.split < 0 && i < len(rc.d.keep.found) && !rc.d.wasSkipped(off) {
				rc.split = i
			}
			rc.regions = append(rc.regions, span{off, end})
			added = end
		}
	}
	return nil
}

// target notes the target of the back-reference at pos, if that is one. It returns the end of what
// is left out.
func (rc *rawCollector) target(t token, pos int, offsets *[]int) int {
	rc.starts.add(pos)
	if l, ok := rc.late[pos]; ok {
		return l.made.end
	}
	if t.fam == famExt && t.ext == extBackref && t.n == 4 {
		off := readOffset(rc.d.buf[pos+t.head:])
		if rc.labels[off] == nil {
			rc.labels[off] = rc.variable(off)
			*offsets = append(*offsets, off)
		}
	}
	return 0
}

// skipTarget returns the end of the value at off, which is no unknown field. Each byte of an honest
// record is in few of those: one region, and one target that no region holds.
func (rc *rawCollector) skipTarget(off int) (end int, err error) {
	d := rc.d
	ok := false
	if off < len(d.buf) {
		end, ok = skip(d.buf, off)
		rc.cost += end - off
	}
	if !ok || rc.cost > 4*len(d.buf) {
		return 0, d.corrupt("refers back to byte %d, where there is no value, or too often", off)
	}
	return end, nil
}

// variable returns the target at off: one with a slot if the object has a pointer or map for it.
func (rc *rawCollector) variable(off int) *target {
	d := rc.d
	i, ok := slices.BinarySearchFunc(d.made, uint32(off), func(m made, off uint32) int { return cmp.Compare(m.off, off) })
	if ok {
		if t := d.c.variable(d.made[i].id, d.made[i].ptr); t != nil {
			return t
		}
	}
	if l, ok := rc.late[off]; ok {
		if t := d.c.variable(l.id, l.made.ptr); t != nil {
			return t
		}
	}
	return &target{}
}

// variable returns a target that holds the pointer or map ptr, whose target is id.
func (c *Codec) variable(id ident, ptr unsafe.Pointer) *target {
	var found *plan
	c.plans.Range(func(_, v any) bool {
		for _, pl := range []*plan{v.(*plan), v.(*plan).body} {
			switch id {
			case &pl.ptrTag:
				found = &plan{typ: pl.typ, kind: kindPointer, elem: pl, counts: !structural(pl.typ.Kind())}
			case &pl.mapTag:
				found = pl
			}
		}
		return found == nil
	})
	if found == nil {
		return nil
	}
	if found.kind == kindPointer {
		buildPointer(found)
	}
	slot := new(unsafe.Pointer)
	*slot = ptr
	return &target{slot: unsafe.Pointer(slot), pl: found}
}

// raw makes the rawValue of the value at s.
func (rc *rawCollector) raw(s span) (*rawValue, error) {
	b := rawBuilder{rc: rc, v: &rawValue{}, lit: s.from}
	if err := rc.scan(s, b.begin, b.end); err != nil {
		return nil, err
	}
	b.flush(s.to)
	return b.v, nil
}

// A rawBuilder makes one rawValue.
type rawBuilder struct {
	rc  *rawCollector
	v   *rawValue
	lit int     // where the bytes begin that are in no part yet
	def *target // it begins with the next part
}

// flush makes a part of the bytes before to that are in none yet.
func (b *rawBuilder) flush(to int) {
	if to > b.lit {
		b.v.parts = append(b.v.parts, part{lit: slices.Clone(b.rc.d.buf[b.lit:to])})
	}
	b.lit = to
}

// add adds a part for the bytes before end.
func (b *rawBuilder) add(p part, end int) {
	p.def, b.def = b.def, nil
	b.v.parts = append(b.v.parts, p)
	b.lit = end
}

// begin is told of each value, and returns the end of one that the object has a variable for.
func (b *rawBuilder) begin(t token, pos int) (int, error) {
	rc := b.rc
	if t.fam == famArray && t.n == 3 {
		b.v.zoned = b.v.zoned || rc.d.version >= versionZones && rc.isTime(pos+t.head)
	}
	if end := b.variable(pos); end > 0 {
		return end, nil
	}
	if l := rc.labels[pos]; l != nil && l.slot == nil && l.raw == nil {
		b.flush(pos)
		l.raw, l.from = b.v, len(b.v.parts)
		b.def = l
	}
	head := pos + t.head + int(t.payload())
	switch {
	case t.fam == famExt && (t.ext == extEager || t.ext == extLazy || t.ext == extBackref):
		b.flush(pos)
		p, err := rc.reference(t, rc.d.buf[pos+t.head:head])
		if err != nil {
			return 0, err
		}
		b.add(p, head)
	case b.def != nil:
		// The head is a part of its own, so that a part has the definition.
		b.add(part{lit: slices.Clone(rc.d.buf[pos:head])}, head)
	}
	return 0, nil
}

// end is told of the end of each value.
func (b *rawBuilder) end(from, to int) {
	if l := b.rc.labels[from]; l != nil && l.raw == b.v && l.to == 0 {
		b.flush(to)
		l.to = len(b.v.parts)
	}
}

// variable adds the variable that the object has for the value at pos, and returns the value's end;
// 0 if there is none.
func (b *rawBuilder) variable(pos int) int {
	l, ok := b.rc.late[pos]
	if !ok {
		return 0
	}
	t := b.rc.d.c.variable(l.id, l.made.ptr)
	if t == nil {
		return 0
	}
	b.flush(pos)
	t.to = len(b.v.parts) + 1
	b.v.parts = append(b.v.parts, part{def: t})
	b.lit = l.made.end
	return l.made.end
}

// reference returns the part for a reference or back-reference.
func (rc *rawCollector) reference(t token, content []byte) (part, error) {
	d := rc.d
	if t.ext == extBackref {
		if len(content) != 4 {
			return part{}, d.corrupt("a back-reference of %d bytes", len(content))
		}
		return part{ext: extBackref, to: rc.labels[readOffset(content)]}, nil
	}
	if len(content) == 0 || len(content) > driver.MaxIDLen {
		return part{}, d.corrupt("refers to an ID of %d bytes", len(content))
	}
	if _, named := slices.BinarySearch(d.eager, driver.ID(content)); t.ext == extEager && !named {
		return part{}, d.corrupt("refers to %q, which the header does not name", shorten(string(content)))
	}
	return part{ext: t.ext, lit: slices.Clone(content)}, nil
}

// isTime reports whether a timestamp is at pos.
func (rc *rawCollector) isTime(pos int) bool {
	t := readToken(rc.d.buf[pos:])
	return t.fam == famExt && t.ext == extTime
}

// finish makes the values of regions that are no unknown fields, and sees that each target is
// there.
func (rc *rawCollector) finish() error {
	for _, off := range slices.Sorted(maps.Keys(rc.labels)) {
		if t := rc.labels[off]; t.slot != nil || t.raw != nil {
			continue
		}
		end, err := rc.skipTarget(off)
		if err != nil {
			return err
		}
		if _, err := rc.raw(span{off, end}); err != nil {
			return err
		}
	}
	return nil
}

// scan calls begin for each value in s, nested ones after those that hold them, and end after it.
// begin returns 0, or the end of the value if what is in it is left out.
func (rc *rawCollector) scan(s span, begin func(t token, pos int) (int, error), end func(from, to int)) error {
	type open struct {
		from int
		left uint64
	}
	var stack []open
	b := rc.d.buf
	for pos := s.from; pos < s.to; {
		t := readToken(b[pos:])
		if t.fam == famInvalid || t.payload() > uint64(s.to-pos-t.head) {
			return rc.d.corrupt("an unknown field is malformed")
		}
		next, err := begin(t, pos)
		if err != nil {
			return err
		}
		n := uint64(0)
		if next == 0 {
			switch next = pos + t.head + int(t.payload()); t.fam {
			case famArray:
				n = t.n
			case famMap:
				n = 2 * t.n
			}
		}
		stack = append(stack, open{pos, n})
		pos = next
		for len(stack) > 0 && stack[len(stack)-1].left == 0 {
			if end != nil {
				end(stack[len(stack)-1].from, pos)
			}
			if stack = stack[:len(stack)-1]; len(stack) > 0 {
				stack[len(stack)-1].left--
			}
		}
	}
	return nil
}
