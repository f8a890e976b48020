package persistence

import (
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/brine-go/brine/persistence/internal/codec"
)

// records is the codec of all stores in the process: types are compiled and registered once.
var records = codec.New(codec.Config{Identity: reflect.TypeFor[Persistable](), Unknown: reflect.TypeFor[Unknown](), Forms: genericForms})

// Persistable gives a struct that embeds it, by value, an identity of its own. The object then
// has one record in each store it is saved in, however many objects refer to it, and is loaded
// as one object.
//
//	type Task struct {
//		persistence.Persistable
//		Name string
//		Deps []*Task
//	}
//
// The zero value is an object that was never saved. A Persistable remembers its address: a copy
// of an object is a new object without an ID. Its methods are safe for concurrent use with each
// other and with saves. (GC3Pie's Persistable, with an identity per store.)
type Persistable struct {
	ident unsafe.Pointer // *identity; accessed atomically; in a copy, that of the original
}

// Object is a pointer to a struct that embeds [Persistable]. No other type implements it.
type Object interface {
	// PersistentID returns the object's ID in the store used last, or "" if it was never saved.
	PersistentID() ID
	persistable() *Persistable
}

// PersistentID returns the ID under which the object was last saved or loaded, in any store, or
// "" if it never was. It may be called at any time.
func (p *Persistable) PersistentID() ID {
	if ident := p.known(); ident != nil {
		ident.mu.Lock()
		defer ident.mu.Unlock()
		if b := ident.last; b != nil {
			return b.id
		}
	}
	return ""
}

func (p *Persistable) persistable() *Persistable { return p }

// known returns the identity of the object, or nil if it has none yet.
func (p *Persistable) known() *identity {
	ident := (*identity)(atomic.LoadPointer(&p.ident))
	if ident == nil || ident.owner != p {
		return nil
	}
	return ident
}

// identity returns the identity of the object, and makes one if it has none.
func (p *Persistable) identity() *identity {
	for {
		old := atomic.LoadPointer(&p.ident)
		if ident := (*identity)(old); ident != nil && ident.owner == p {
			return ident
		}
		ident := &identity{owner: p}
		if atomic.CompareAndSwapPointer(&p.ident, old, unsafe.Pointer(ident)) {
			return ident
		}
	}
}

// Same reports whether a and b are one object: the same pointer, or the same ID in the same
// store. Objects that were never saved are the same only if the pointers are equal. nil is the
// same only as nil.
func Same(a, b Object) bool {
	if isNil(a) || isNil(b) {
		return isNil(a) && isNil(b)
	}
	if a == b {
		return true
	}
	ai, bi := a.persistable().known(), b.persistable().known()
	if ai == nil || bi == nil {
		return false
	}
	for _, x := range ai.saved() {
		for _, y := range bi.saved() {
			if x == y {
				return true
			}
		}
	}
	return false
}

func isNil(o Object) bool { return o == nil || reflect.ValueOf(o).IsNil() }

// Register sets the name under which records of type T are stored. The name is part of the
// stored data and must never change. Without Register, a struct is stored under the name that
// Go prints for it (engine.Task), and can be loaded only where the program names the type: as
// the T of [Load], or as the type of a field. A registered type can be the value of an
// interface and can be loaded by [Store.Load].
//
// Records that were stored under another name, such as engine.Task before there was a Register, are
// found only if that is an alias: see [RegisterAlias].
//
// T is a struct (not a pointer to one) or any other named type. Register is meant for package
// variables and init functions, before the first save or load. It panics if the name or the
// type is already registered, like gob.Register.
func Register[T any](name string) {
	if err := records.Register(name, reflect.TypeFor[T]()); err != nil {
		panic("persistence: Register: " + err.Error())
	}
}

// RegisterAlias makes names further names of type T: records that older programs stored under them
// are loaded as T, also in interfaces, and a [Query] for T finds them. What is saved has T's own
// name. T may have one name by [Register] or none; the rules for names are those of Register.
// RegisterAlias panics if a name belongs to another type.
//
//	func init() { persistence.RegisterAlias[Job]("main.Task") } // Job was Task, and not registered
func RegisterAlias[T any](names ...string) {
	for _, name := range names {
		if err := records.RegisterAlias(name, reflect.TypeFor[T]()); err != nil {
			panic("persistence: RegisterAlias: " + err.Error())
		}
	}
}

// TypeName returns the name under which records of type T are stored, for [Query.Type]: the
// registered one or, without [Register], the one that Go prints. It panics if T can have none: an
// interface, or a type whose name another type has taken.
func TypeName[T any]() string {
	name, err := records.TypeName(reflect.TypeFor[T]())
	if err != nil {
		panic("persistence: TypeName: " + err.Error())
	}
	return name
}
