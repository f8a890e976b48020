package codec

import (
	"encoding"
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
)

// kind is the way a plan stores its type.
type kind uint8

const (
	kindNever   kind = iota // cannot be stored
	kindScalar              // see op
	kindNilOnly             // functions and channels: only nil
	kindStruct
	kindSlice
	kindBytes     // slices of bytes
	kindByteArray // arrays of bytes
	kindArray
	kindMap
	kindPointer
	kindReference // pointers to persistable structs
	kindInterface
	kindTime
	kindLazy   // structs that begin with a Link
	kindStored // types with StoredForm and SetStoredForm
	kindCustom // msgpack.CustomEncoder and CustomDecoder
	kindBinary // encoding.BinaryMarshaler and BinaryUnmarshaler
	kindText   // encoding.TextMarshaler and TextUnmarshaler
)

// op tells scalars apart, so that loops over fields and elements need no indirect call for them.
type op uint8

const (
	opNone op = iota
	opBool
	opInt8
	opInt16
	opInt32
	opInt64
	opUint8
	opUint16
	opUint32
	opUint64
	opFloat32
	opFloat64
	opComplex64
	opComplex128
	opString
)

// A plan knows how values of one type are stored. It is complete and read-only once it has left
// the compiler.
type plan struct {
	typ  reflect.Type
	kind kind
	op   op
	size uintptr

	// Both are called with the plan itself.
	enc func(*Encoder, *plan, unsafe.Pointer) error // the value at the pointer
	dec func(*decoder, *plan, unsafe.Pointer) error // into zeroed memory at the pointer

	nilable bool       // its encoding may be a plain nil
	counts  bool       // it takes one step of depth
	done    bool       // it has left the compiler
	text    bool       // it may be encoded as a text: see appendList
	shared  bool       // it may hold pointers or maps: its encoding depends on those before it
	never   *pathError // not nil: no value can be stored; the path begins after the type's name

	persistable bool  // a persistable struct: held by value it is unstorable
	body        *plan // of a record's body: another plan for a persistable struct, else itself

	elem, key  *plan
	fields     []field
	optional   bool              // some field may be left out
	version    int               // of records whose root has the type; see versions.go
	versionErr *pathError        // not nil: the type's methods for versions cannot be used
	aliases    []alias           // of kindStruct
	embedded   []embeddedPointer // of kindStruct: see witnesses
	unknown    *field            // of kindStruct: the variable that keeps fields which the type lacks, or nil
	base       *plan             // of a map type: the plan of the unnamed one
	decMap     mapDecoder        // of a map type
	keys, vals reflect.Type      // of a map type: slices of its keys and of its values
	form       *storedForm       // of kindStored
	time       *field            // of kindBinary: the time.Time whose methods encode the struct, or nil
	float      *field            // of kindText: the big.Float whose methods encode the type, or nil
	promoted   kind              // of the promoted marshaler that older records of the type used
	ptr        any               // a nil pointer to the type, to build interfaces from
	zero       any               // a value of the type, for the same; nil if that is large

	ptrTag, mapTag byte // their addresses name what a shared pointer points to

	named atomic.Pointer[namedPlan]
}

// ident tells what a shared pointer points to: the type of the target, and whether it is a plain
// variable or the inside of a map.
type ident = *byte

// eface is the layout of an interface without methods.
type eface struct {
	typ  unsafe.Pointer
	data unsafe.Pointer
}

// pack returns pointer p as an interface holding it with the pointer type of proto.
func pack(proto any, p unsafe.Pointer) any {
	(*eface)(unsafe.Pointer(&proto)).data = p
	return proto
}

// value returns the variable at p, which is of the plan's type. It is reflect.NewAt, but quicker.
func (pl *plan) value(p unsafe.Pointer) reflect.Value {
	return reflect.ValueOf(pack(pl.ptr, p)).Elem()
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	linkType   = reflect.TypeFor[Link]()
	anyType    = reflect.TypeFor[any]()
	errorType  = reflect.TypeFor[error]()
	anyMapType = reflect.TypeFor[map[string]any]()
	customEnc  = reflect.TypeFor[msgpack.CustomEncoder]()
	customDec  = reflect.TypeFor[msgpack.CustomDecoder]()
	binaryEnc  = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryDec  = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	textEnc    = reflect.TypeFor[encoding.TextMarshaler]()
	textDec    = reflect.TypeFor[encoding.TextUnmarshaler]()
)
