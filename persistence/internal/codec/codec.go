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
	MaxDepth int   // of nested structs, slices, arrays, maps and plain pointers
}
