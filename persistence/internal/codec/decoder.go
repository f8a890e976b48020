package codec

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// A decoder reads the body of one record.
type decoder struct {
	c    *Codec
	typ  unsafe.Pointer // a pointer type, that of what Decode filled last; nil at first
	plan *plan          // of what it points to

	buf      []byte
	pos      int
	maxDepth int
	opts     DecodeOptions
	eager    []driver.ID
	hint     int      // where in eager the next ID is likely to be
	version  byte     // of the record's format
	noZone   int      // names of locations that could not be loaded
	unknown  bool     // there are fields that the types of the program lack
	differs  bool     // see Outcome
	old      bool     // see Outcome
	keep     *keeper  // nil in the first pass
	boxed    int      // where the target of a pointer begins that stands in an array of one; 0: none
	keys     []string // a stack: of each open map with string keys, the present key

	root    reflect.Type
	path    steps
	made    []made // in the order of their offsets
	skipped []span // values of unknown fields, in the order of their offsets
	late    *late  // nil until something known refers to a part of a skipped value
}

// made is a pointer or map made for the value at an offset.
type made struct {
	ptr unsafe.Pointer
	id  ident
	off uint32
}

type span struct{ from, to int }

// DecodeOptions are what Decode needs besides the record.
type DecodeOptions struct {
	Limits Limits
	// Target returns the object, possibly still empty, that an eager reference points to: a
	// pointer to a struct. Its error is passed up. It is required where there are eager
	// references.
	Target func(id driver.ID) (any, error)
	// Alone: eager references are left nil, and Target is not called.
	Alone bool
	// Lazy is called for each lazy reference that is not zero, after l.ID was set; l is valid
	// during the call only. It may be nil.
	Lazy func(l *Link)
	// Store is the identity of the store that the record is from.
	Store string
}

// Decode fills dst, a non-nil pointer to a zero value of the type of the record. Bytes that no
// Encode makes are driver.ErrCorrupt; a type in an interface that is not known is
// driver.ErrUnknownType; a value that does not convert exactly to the type of the program, or a
// reference whose target does not fit, is driver.ErrType; what exceeds the limits is
// driver.ErrTooLarge. All name the path. After an error dst holds what was decoded until then.
func (c *Codec) Decode(h Header, dst any, opts DecodeOptions) (Outcome, error) {
	typ, p := (*eface)(unsafe.Pointer(&dst)).typ, (*eface)(unsafe.Pointer(&dst)).data
	d, _ := c.decoders.Get().(*decoder)
	if d == nil {
		d = &decoder{c: c}
	}
	if typ != d.typ || p == nil {
		t := reflect.TypeOf(dst)
		if t == nil || t.Kind() != reflect.Pointer || p == nil {
			return Outcome{}, fmt.Errorf("decode into %T: want a pointer that is not nil", dst)
		}
		d.typ, d.plan = typ, c.planOf(t.Elem())
	}
	pl := d.plan
	if h.Version < pl.version {
		var err error
		if h, err = c.upgrade(h, pl, opts.Limits); err != nil {
			return Outcome{}, err
		}
		d.old = true
	}
	d.buf, d.root, d.opts, d.eager, d.maxDepth = h.body, pl.typ, opts, h.Eager, opts.Limits.MaxDepth
	d.version = h.format
	defer d.release()
	if err := d.body(pl, p); err != nil {
		return Outcome{}, err
	}
	newer := 0
	if h.Version > pl.version {
		newer, d.differs = h.Version, true
	}
	if !d.unknown && newer == 0 {
		return Outcome{Differs: d.differs || d.old, Old: d.old}, nil
	}
	d.keep = newKeeper(p)
	if d.unknown {
		reflect.NewAt(pl.typ, p).Elem().SetZero()
		d.again()
		if err := d.body(pl, p); err != nil {
			return Outcome{}, err
		}
	}
	kept, err := d.collect(newer)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Kept: kept, Unknown: d.keep.out, Old: d.old}
	out.Differs = d.differs || d.old || kept.Lost() != "" || kept.Split() != ""
	return out, nil
}

// body reads the whole body into the value at p.
func (d *decoder) body(pl *plan, p unsafe.Pointer) error {
	if !pl.persistable && pl.kind == kindStruct && pl.size > 0 {
		d.made = append(d.made, made{ptr: p, id: &pl.ptrTag})
	}
	if err := pl.body.dec(d, pl.body, p); err != nil {
		return err
	}
	if d.pos != len(d.buf) {
		return d.corrupt("%d bytes left over", len(d.buf)-d.pos)
	}
	return nil
}

// again makes the decoder ready to read the same record once more.
func (d *decoder) again() {
	clear(d.path)
	clear(d.made)
	d.path, d.keys, d.made, d.skipped, d.late = d.path[:0], d.keys[:0], d.made[:0], d.skipped[:0], nil
	d.pos, d.hint, d.noZone, d.boxed = 0, 0, 0, 0
}

// release makes the decoder ready for the next record.
func (d *decoder) release() {
	clear(d.path)
	clear(d.made)
	clear(d.keys)
	*d = decoder{c: d.c, typ: d.typ, plan: d.plan, path: d.path[:0], keys: d.keys[:0], made: d.made[:0], skipped: d.skipped[:0]}
	if cap(d.path) <= 1<<12 && cap(d.keys) <= 1<<12 && cap(d.made) <= 1<<16 && cap(d.skipped) <= 1<<12 {
		d.c.decoders.Put(d)
	}
}

func (d *decoder) enter(pl *plan) error {
	if len(d.path) >= d.maxDepth {
		return d.tooDeep()
	}
	d.path.push(pl)
	return nil
}

func (d *decoder) tooDeep() error {
	return d.fail(driver.ErrTooLarge, "nested deeper than the limit of %d", d.maxDepth)
}

func (d *decoder) leave() { d.path.pop() }

// nilNext consumes a nil if one comes next.
func (d *decoder) nilNext() bool {
	if d.pos < len(d.buf) && d.buf[d.pos] == codeNil {
		d.pos++
		return true
	}
	return false
}

func (d *decoder) left() int { return len(d.buf) - d.pos }

// arrayLen reads the head of an array. Its elements are certain to have a byte each.
func (d *decoder) arrayLen() (int, error) {
	if d.pos < len(d.buf) {
		if c := d.buf[d.pos]; c&0xf0 == codeFixArray && int(c&0x0f) < d.left() {
			d.pos++
			return int(c & 0x0f), nil
		}
	}
	t := readToken(d.buf[d.pos:])
	if t.fam != famArray {
		return 0, d.mismatch("an array")
	}
	if t.n > uint64(d.left()-t.head) {
		return 0, d.corrupt("an array of %d elements in %d bytes", t.n, d.left()-t.head)
	}
	d.pos += t.head
	return int(t.n), nil
}

// mapLen reads the head of a map. Its keys and values are certain to have a byte each.
func (d *decoder) mapLen() (int, error) {
	if d.pos < len(d.buf) {
		if c := d.buf[d.pos]; c&0xf0 == codeFixMap && int(c&0x0f)*2 < d.left() {
			d.pos++
			return int(c & 0x0f), nil
		}
	}
	t := readToken(d.buf[d.pos:])
	if t.fam != famMap {
		return 0, d.mismatch("a map")
	}
	if t.n > uint64(d.left()-t.head)/2 {
		return 0, d.corrupt("a map of %d entries in %d bytes", t.n, d.left()-t.head)
	}
	d.pos += t.head
	return int(t.n), nil
}

// content reads a string, bytes or extension and returns its content where it lies.
func (d *decoder) content(fam family, ext byte, want string) ([]byte, error) {
	t := readToken(d.buf[d.pos:])
	if t.fam == famArray && fam != famBin && d.unwrap() {
		t = readToken(d.buf[d.pos:])
	}
	if t.fam != fam || fam == famExt && t.ext != ext {
		return nil, d.mismatch(want)
	}
	if t.n > uint64(d.left()-t.head) {
		return nil, d.corrupt("%s of %d bytes in %d", want, t.n, d.left()-t.head)
	}
	start := d.pos + t.head
	d.pos = start + int(t.n)
	return d.buf[start:d.pos], nil
}

// shortString reads a string of less than 32 bytes into p. It reports false where none comes next.
func (d *decoder) shortString(p *string) bool {
	if b := d.buf[d.pos:]; len(b) > 0 {
		if n := int(b[0]) - codeFixStr; 0 <= n && n < min(32, len(b)) {
			*p = string(b[1 : 1+n])
			d.pos += 1 + n
			return true
		}
	}
	return false
}

// string reads a string into p.
func (d *decoder) string(p *string) error {
	if d.shortString(p) {
		return nil
	}
	s, err := d.str()
	if err != nil {
		return err
	}
	*p = string(s)
	return nil
}

// str reads a string and returns its content where it lies.
func (d *decoder) str() ([]byte, error) {
	if d.pos < len(d.buf) {
		c, start := d.buf[d.pos], d.pos+1
		n := int(c & 0x1f)
		if c == codeStr8 && start < len(d.buf) {
			n = int(d.buf[start])
			start++
		} else if c&0xe0 != codeFixStr {
			return d.content(famStr, 0, "a string")
		}
		if n <= len(d.buf)-start {
			d.pos = start + n
			return d.buf[start:d.pos], nil
		}
	}
	return d.content(famStr, 0, "a string")
}
