// Package codec turns Go objects into records and back, references, shared pointers and cycles
// included.
//
// A record is one msgpack array of eight: the marker "brine", the version of the format, the name
// of the type, the version of the record, the IDs that the object refers to by pointers and by
// lazy references (each sorted), the body, and a CRC-32C over all bytes before it.
//
// In the body, structs are maps of their field names; maps are sorted by their encoded keys, so
// that equal objects have equal bytes. A pointer to a persistable object is an extension that
// holds the ID; other pointers are what they point to. A pointer or map encoded a second time is an
// extension that holds the offset of the first. In an interface most types are an array
// of their name and the value.
//
// The version of the format is 1, or 2 for a record with a time whose location has a name: the name
// is the third element of the time. A record has the first version that has all that is in it.
//
// For each type one plan is compiled, once, and plans work on memory directly: a value is an
// unsafe.Pointer to a variable of exactly the plan's type. Neither way recurses from one
// persistable object to another, and within one the depth is bounded.
//
// Decoding trusts nothing: every length is held against the bytes that are left before memory is
// taken, every back-reference against the type of what it refers to.
package codec
