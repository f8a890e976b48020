package codec

import (
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/brine-go/brine/persistence/driver"
)

// A Codec turns objects into records and back. It compiles one plan per type and keeps it.
// It is safe for concurrent use.
type Codec struct {
	identity reflect.Type
	plans    sync.Map // reflect.Type -> *plan, only complete ones
	compile  sync.Mutex
	names    names
	decoders sync.Pool // of *decoder
	encoders sync.Pool // of *Encoder
	gen      atomic.Uint64
}

// New returns a Codec. identity is the struct type whose embedding by value makes a struct type
// persistable. It panics if identity is not a struct type.
func New(identity reflect.Type) *Codec {
	if identity == nil || identity.Kind() != reflect.Struct {
		panic("codec: identity is not a struct type")
	}
	c := &Codec{identity: identity}
	c.names.init()
	return c
}

// Limits bound one record. Both must be above 0. What Encode accepts under some limits, Parse and
// Decode accept under the same.
type Limits struct {
	MaxBytes int64 // of the whole record
	MaxDepth int   // of structs, slices, arrays, maps and plain pointers inside one another, inside one record
}

// A Resolver tells the IDs of references while an object is encoded. It may be asked several
// times for the same reference, and gives the same answer.
type Resolver interface {
	// Ref returns the ID of obj, a non-nil pointer to a persistable struct met by a plain pointer
	// or behind an interface.
	Ref(obj any) (driver.ID, error)
	// Lazy returns the ID of a lazy reference that is not zero. l is valid during the call only.
	Lazy(l *Link) (driver.ID, error)
}

// Link is what a lazy reference holds. A struct type whose first field is of type Link is a lazy
// reference: the codec reads and writes that field in place, exported or not, and stores nothing else of
// the struct.
type Link struct {
	ID    driver.ID // "": nothing
	Obj   any       // pointer to a persistable object; nil in a loaded reference
	Store string    // identity of the store that ID belongs to
}

// Encoded is the result of [Encoder.Encode]. Data and both slices are valid until the
// next Encode of that Encoder; the strings stay valid.
type Encoded struct {
	Type string
	Data []byte // the whole record
	// IDs of what the object refers to, by plain pointers and by lazy references: sorted by their bytes, distinct.
	Eager, Lazy []driver.ID
}

// Header is what stands before the body of a record. It refers to the bytes it was parsed from.
type Header struct {
	Type        string
	Version     int // of the record; 0 for types without versions
	Eager, Lazy []driver.ID
	body        []byte
}

// DecodeOptions are what Decode needs besides the record.
type DecodeOptions struct {
	Limits Limits
	// Target returns the object, possibly still empty, that an eager reference points to: a pointer to a
	// struct. Its error is passed up. It is required where there are eager references.
	Target func(id driver.ID) (any, error)
	// Lazy is called for each lazy reference that is not zero, after l.ID was set; l is valid during
	// the call only. It may be nil.
	Lazy func(l *Link)
	// Unknown is told the path of each field that the type does not have and that was skipped. It may be nil.
	Unknown func(path string)
}
