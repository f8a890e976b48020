package persistence

import "unsafe"

// Unknown keeps the fields of a stored struct that the struct's type lacks: those that an older or
// a newer program stored. A struct that embeds it, by value, is stored with them again:
//
//	type Step struct {
//		persistence.Unknown
//		Name string
//	}
//
// They travel with copies of the struct. Objects keep such fields without Unknown, and so do the
// structs that an object holds by value, in a map or behind pointers. It is needed in structs that
// are elements of slices and arrays, since elements move, and in those that a program moves to
// another field or key: a save that would drop what was stored of them, or mix it up, is refused.
// See [Options.DropUnknown].
//
// The zero value keeps nothing. A struct stays comparable: of two copies of what was loaded, both
// keep the same; of two values loaded apart, each keeps its own, and they differ.
type Unknown struct {
	fields unsafe.Pointer //nolint:unused // the codec sets and reads it
}
