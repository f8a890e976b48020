package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// An Encoder turns objects into records, one after the other. It is for one goroutine.
type Encoder struct {
	c        *Codec
	r        Resolver
	typ      unsafe.Pointer // a type of pointers to structs, that of what was encoded last; nil at first
	plan     *plan          // of the struct
	maxBytes int
	maxDepth int

	buf     []byte // room for the header, then the body
	base    int    // where the body begins
	limit   int    // what len(buf) may not exceed
	version byte   // of the format: the least that has all that was encoded
	need    int    // the length that broke the limit

	root     reflect.Type
	path     steps
	seen     seen
	isolated bool // a key of a map is being encoded only for sorting
	eager    ids
	lazy     ids
	sorter   idSorter
	kept     *Kept      // nil: nothing is kept for the object
	region   region     // where the encoder is, if something is kept
	visits   *visits    // not nil if something is kept
	keys     []string   // a stack: of each open map of strings to scalars, the keys
	pairs    []anyEntry // the same of strings to anything: the entries
	arena    []byte     // memory for the next entryWriter, as entries is; nil while it is in use
	entries  []entry
	head     []byte
}

const (
	minHeadRoom = 128
	maxHeadRoom = 1 << 20
	keepBuffer  = 16 << 20 // a buffer over this is not kept for the next object
	keepIDs     = 1 << 20  // nor are lists of IDs over this
	bigString   = 4096     // from here on, room is checked before a string is appended
)

// maxRecord bounds every record, whatever the limits: msgpack and back-references count in 32 bits.
const maxRecord = min(math.MaxUint32, math.MaxInt-2*maxHeadRoom)

// Encoded is the result of [Encoder.Encode]. Data and both slices are valid until the
// next Encode of that Encoder; the strings stay valid.
type Encoded struct {
	Type string
	Data []byte // the whole record
	// IDs of what the object refers to, by plain pointers and by lazy references: sorted by their
	// bytes, distinct.
	Eager, Lazy []driver.ID
	// Kept is what is kept for the object once the record is written. Moved is the path of a struct
	// that was in another place of the object, and what is kept of it is not where it is now; "" if
	// there is none.
	Kept  *Kept
	Moved string
}

// A Resolver tells the IDs of references while an object is encoded. It may be asked several
// times for the same reference, and gives the same answer.
type Resolver interface {
	// Ref returns the ID of obj, a non-nil pointer to a persistable struct reached by a plain
	// pointer or in an interface.
	Ref(obj any) (driver.ID, error)
	// Lazy returns the ID of a lazy reference that is not zero. l is valid during the call only.
	Lazy(l *Link) (driver.ID, error)
	// Kept is asked whether id, a reference in a field that the types of this program lack, may be
	// written. It was read from the store of the given identity.
	Kept(id driver.ID, store string) error
}

// NewEncoder returns an Encoder that asks r about references; r may be nil where there are none.
func (c *Codec) NewEncoder(lim Limits, r Resolver) *Encoder {
	e, _ := c.encoders.Get().(*Encoder)
	if e == nil {
		e = &Encoder{c: c, base: minHeadRoom}
	}
	e.r, e.maxBytes, e.maxDepth = r, int(min(lim.MaxBytes, maxRecord)), lim.MaxDepth
	return e
}

// Free gives the memory of e to Encoders to come, and with it what Encode returned last.
func (e *Encoder) Free() {
	e.r, e.root = nil, nil
	if cap(e.eager.list) > keepIDs || cap(e.lazy.list) > keepIDs {
		e.eager, e.lazy, e.sorter = ids{}, ids{}, idSorter{}
	}
	clear(e.eager.list[:cap(e.eager.list)])
	clear(e.lazy.list[:cap(e.lazy.list)])
	clear(e.sorter.ids[:cap(e.sorter.ids)])
	e.c.encoders.Put(e)
}

// Encode makes the record of obj: a pointer to a struct, a struct, or any other storable value. A
// struct and a pointer to it give the same record. What cannot be stored is driver.ErrUnstorable,
// with the path; what is over the limits is driver.ErrTooLarge. Errors of the Resolver are passed
// up as they are. kept is what Decode gave for obj, or nil.
func (e *Encoder) Encode(obj any, kept *Kept) (Encoded, error) {
	pl, p, err := e.target(obj)
	if err != nil {
		return Encoded{}, err
	}
	name, err := e.c.nameOf(pl)
	if err != nil {
		return Encoded{}, err
	}
	if pl.versionErr != nil {
		return Encoded{}, pl.versionErr.under(pl.typ)
	}
	defer e.reset()
	e.root = pl.typ
	e.start()
	if kept != nil && len(kept.at) > 0 {
		e.kept, e.region = kept, region{at: p}
		e.visits = &visits{used: map[place]bool{}, held: map[unsafe.Pointer]bool{}}
	}
	if !pl.persistable && pl.kind == kindStruct && pl.size > 0 {
		e.seen.add(p, &pl.ptrTag, 0)
	}
	err = pl.body.enc(e, pl.body, p)
	if err == nil && len(e.buf) > e.limit {
		err = e.tooBig(0)
	}
	if err == nil {
		var data []byte
		if data, err = e.assemble(name, pl.version); err == nil {
			enc := Encoded{Type: name, Data: data, Eager: e.eager.list, Lazy: e.lazy.list, Kept: kept}
			if e.visits != nil {
				enc.Kept, enc.Moved = kept.after(e.visits), e.visits.moved(kept)
			}
			return enc, nil
		}
	}
	if errors.Is(err, errSize) {
		err = e.explainSize(pl, p)
	}
	return Encoded{}, err
}

// target returns the plan of obj's record, and where in memory the value is.
func (e *Encoder) target(obj any) (*plan, unsafe.Pointer, error) {
	typ, p := (*eface)(unsafe.Pointer(&obj)).typ, (*eface)(unsafe.Pointer(&obj)).data
	if obj == nil {
		return nil, nil, fmt.Errorf("nil: %w", driver.ErrUnstorable)
	}
	if typ == e.typ && p != nil {
		return e.plan, p, nil
	}
	t := reflect.TypeOf(obj)
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		if p == nil {
			return nil, nil, fmt.Errorf("nil %v: %w", t, driver.ErrUnstorable)
		}
		e.typ, e.plan = typ, e.c.planOf(t.Elem())
		return e.plan, p, nil
	}
	pl := e.c.planOf(t)
	if pl.persistable {
		return nil, nil, pl.never.under(t)
	}
	v := reflect.New(t)
	v.Elem().Set(reflect.ValueOf(obj))
	return pl, v.UnsafePointer(), nil
}

func (e *Encoder) start() {
	if cap(e.buf) < e.base {
		e.buf = make([]byte, e.base, e.base+1024)
	}
	e.buf = e.buf[:e.base]
	e.limit = e.base + e.maxBytes
	e.version = versionFirst
	e.eager.reset()
	e.lazy.reset()
}

// reset lets go of all that points into the object.
func (e *Encoder) reset() {
	clear(e.path) // only after an error there is something in it, and in keys
	e.path = e.path[:0]
	clear(e.keys)
	clear(e.pairs)
	e.keys, e.pairs = e.keys[:0], e.pairs[:0]
	e.seen.reset()
	e.isolated = false
	e.kept, e.region, e.visits = nil, region{}, nil
	if cap(e.path) > 1<<12 {
		e.path = nil
	}
	if cap(e.buf) > keepBuffer {
		e.buf = nil
	}
}

// assemble puts the header before the body and the checksum after it.
func (e *Encoder) assemble(name string, version int) ([]byte, error) {
	e.eager.sort(&e.sorter)
	e.lazy.sort(&e.sorter)
	h := append(append(e.head[:0], headStart...), e.version)
	h = appendStr(h, name)
	h = appendUint(h, uint64(version))
	h = e.eager.append(h)
	h = e.lazy.append(h)
	e.head = h
	if size := len(h) + len(e.buf) - e.base + sumLen; size > e.maxBytes {
		return nil, e.tooBig(size - len(e.buf) + e.base)
	}
	if len(h) > e.base {
		body := e.buf[e.base:]
		buf := make([]byte, len(h), len(h)+len(body)+sumLen)
		e.buf = append(buf, body...)
		e.base = len(h)
	}
	start := e.base - len(h)
	copy(e.buf[start:], h)
	sum := crc32.Checksum(e.buf[start:], castagnoli)
	e.buf = binary.BigEndian.AppendUint32(append(e.buf, codeUint32), sum)
	data := e.buf[start:]
	// The next header is likely of the same size.
	if e.base = max(minHeadRoom, len(h)+len(h)/8); e.base > maxHeadRoom {
		e.base = minHeadRoom
	}
	return data, nil
}

// enter takes a step of depth into a value of pl; leave takes it back. After an error nobody
// leaves: the path tells where it came from.
func (e *Encoder) enter(pl *plan) error {
	if len(e.path) >= e.maxDepth {
		return e.fail(driver.ErrTooLarge, "nested deeper than the limit of %d", e.maxDepth)
	}
	e.path.push(pl)
	return nil
}

func (e *Encoder) leave() { e.path.pop() }

// offset is where in the body the next value goes.
func (e *Encoder) offset() uint32 { return uint32(len(e.buf) - e.base) }
