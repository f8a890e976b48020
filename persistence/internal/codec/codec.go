package codec

import (
	"reflect"
	"sync"
	"sync/atomic"
)

// A Codec turns objects into records and back. It compiles one plan per type and keeps it.
// It is safe for concurrent use.
type Codec struct {
	identity reflect.Type
	unknown  reflect.Type // nil: none
	forms    *GenericForms
	plans    sync.Map // reflect.Type -> *plan, only complete ones
	compile  sync.Mutex
	names    names
	decoders sync.Pool // of *decoder
	encoders sync.Pool // of *Encoder
	gen      atomic.Uint64
	lately   typeNames
	anyMaps  atomic.Pointer[plan] // see anyMap
}

// A Config tells a Codec the types of the package above.
type Config struct {
	// Identity is the struct type whose embedding by value makes a struct type persistable.
	Identity reflect.Type
	// Unknown is the struct type whose embedding by value keeps the fields that a struct type
	// lacks. It is one word, an unsafe.Pointer that the codec sets. nil: there is none.
	Unknown reflect.Type
	// Forms are those of generic values, which the methods that upgrade records are given.
	Forms *GenericForms
}

// New returns a Codec. It panics if a type is not as Config says.
func New(cfg Config) *Codec {
	if cfg.Identity == nil || cfg.Identity.Kind() != reflect.Struct {
		panic("codec: identity is not a struct type")
	}
	if cfg.Forms == nil {
		panic("codec: no forms of generic values")
	}
	if u := cfg.Unknown; u != nil && (u.Kind() != reflect.Struct || u.NumField() != 1 || u.Field(0).Type.Kind() != reflect.UnsafePointer) {
		panic("codec: unknown is not a struct of one unsafe.Pointer")
	}
	c := &Codec{identity: cfg.Identity, unknown: cfg.Unknown, forms: cfg.Forms}
	c.names.init()
	return c
}

// Limits bound one record. Both must be above 0. What Encode accepts under some limits, Parse and
// Decode accept under the same.
type Limits struct {
	MaxBytes int64 // of the whole record
	MaxDepth int   // of nested structs, slices, arrays, maps and plain pointers
}
