package codec

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
)

// names maps the names of types to types and back.
//
// Every type has a default name, the one that Go prints. It may serve as the type of a record;
// in an interface, where bytes alone would choose the type, only names that were registered
// count, those known from birth, and what is composed of both.
type names struct {
	mu      sync.RWMutex
	byName  map[string]reflect.Type // registered, or known from birth
	byType  map[reflect.Type]string
	aliases map[reflect.Type][]string  // further names, which are in byName too
	inUse   map[string]reflect.Type    // types in use, by default name; nil: several have it
	known   atomic.Pointer[knownNames] // a copy of byName, nil after a change
	wire    atomic.Pointer[map[string]*plan]
	aliased atomic.Bool     // there are aliases
	made    map[string]bool // composed types made because some bytes named them
}

// Limits on names that come from bytes. A type once made stays for the life of the process.
const (
	maxNameLen      = 255     // of a registered name
	maxComposedName = 4096    // of any name
	maxNesting      = 32      // of slices, arrays, maps and pointers composed
	maxArray        = 1 << 20 // elements and bytes of an array
	maxComposed     = 4096    // types made for names
)

// namedPlan is the answer of nameOf or wireName, valid for one state of the registry.
type namedPlan struct {
	gen          uint64
	record, wire string
	recordErr    error
	wireErr      error
}

var born = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[string](),
	reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](), anyType,
}

func (n *names) init() {
	n.byName = make(map[string]reflect.Type, len(born))
	n.byType = make(map[reflect.Type]string, len(born))
	n.aliases = map[reflect.Type][]string{}
	n.inUse = map[string]reflect.Type{}
	n.made = map[string]bool{}
	for _, t := range born {
		n.byName[t.String()], n.byType[t] = t, t.String()
	}
	n.wire.Store(&map[string]*plan{})
}

// Register gives type t a name of its own choice, under which it may be stored in interfaces. t
// is a struct or any other named type, not a pointer to it. A name or type that is registered
// differently, or known from birth, is an error; the same pair again is not.
func (c *Codec) Register(name string, t reflect.Type) error {
	if err := registrable(c, name, t); err != nil {
		return err
	}
	n := &c.names
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.free(name, t); err != nil {
		return err
	}
	if other, ok := n.byType[t]; ok && other != name {
		return fmt.Errorf("register %v as %q: it has the name %q already", t, name, other)
	}
	n.byName[name], n.byType[t] = t, name
	n.known.Store(nil)
	if n.inUse[t.String()] == t {
		delete(n.inUse, t.String())
	}
	c.gen.Add(1)
	return nil
}

// RegisterAlias makes name one more name that records of type t, and values of it in interfaces,
// may have. What is encoded has the type's own name. The rules are those of Register, but that a
// type may have several aliases, and needs no name of its own.
func (c *Codec) RegisterAlias(name string, t reflect.Type) error {
	if err := registrable(c, name, t); err != nil {
		return err
	}
	n := &c.names
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.free(name, t); err != nil {
		return err
	}
	n.byName[name] = t
	n.known.Store(nil)
	n.aliased.Store(true)
	if !slices.Contains(n.aliases[t], name) {
		n.aliases[t] = append(n.aliases[t], name)
	}
	c.gen.Add(1)
	return nil
}

// free returns an error if the name belongs to another type than t. The lock is held.
func (n *names) free(name string, t reflect.Type) error {
	if other, ok := n.byName[name]; ok && other != t {
		return fmt.Errorf("register %v as %q: the name belongs to %v", t, name, other)
	}
	return nil
}

// Names returns the names that records of type t may have: its own, then its aliases.
func (c *Codec) Names(t reflect.Type) ([]string, error) {
	own, err := c.TypeName(t)
	if err != nil {
		return nil, err
	}
	names := []string{own}
	n := &c.names
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, name := range n.aliases[t] {
		if name != own {
			names = append(names, name)
		}
	}
	return names, nil
}

// NamesLike returns all names of the type that has the name given, itself among them; only the name
// given where no type has it.
func (c *Codec) NamesLike(name string) []string {
	n := &c.names
	n.mu.RLock()
	t := n.byName[name]
	if t == nil {
		t = n.inUse[name]
	}
	aliased := t != nil && len(n.aliases[t]) > 0
	n.mu.RUnlock()
	if !aliased {
		return []string{name}
	}
	names, err := c.Names(t)
	if err != nil || !slices.Contains(names, name) {
		return []string{name}
	}
	return names
}

// registrable returns an error if t cannot be registered, or not under the name.
func registrable(c *Codec, name string, t reflect.Type) error {
	switch {
	case t == nil:
		return fmt.Errorf("register %q: no type", name)
	case t.Kind() == reflect.Interface:
		return fmt.Errorf("register %q: %v is an interface", name, t)
	case t == c.identity:
		return fmt.Errorf("register %q: %v can only be embedded", name, t)
	case t.Kind() == reflect.Uintptr || t.Kind() == reflect.UnsafePointer:
		return fmt.Errorf("register %q: %v values cannot be stored", name, t)
	case t.Name() == "" && t.Kind() != reflect.Struct:
		return fmt.Errorf("register %q: %v has no name of its own: register what it is made of", name, t)
	}
	if why := badName(name); why != "" {
		return fmt.Errorf("register %v as %q: the name %s", t, name, why)
	}
	return nil
}

// badName says what is wrong with a name, "" if nothing.
func badName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxNameLen:
		return fmt.Sprintf("is longer than %d bytes", maxNameLen)
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case name[0] == '*' || name[0] == '[' || strings.HasPrefix(name, "map["):
		return "looks like that of a pointer, slice or map"
	}
	depth := 0
	for _, r := range name {
		switch {
		case r < ' ' || r == 0x7f:
			return "holds a control character"
		case r == '[':
			depth++
		case r == ']':
			depth--
		}
		if depth < 0 {
			return "has brackets that do not match"
		}
	}
	if depth != 0 {
		return "has brackets that do not match"
	}
	return ""
}

// note keeps the default name of a type.
func (c *Codec) note(t reflect.Type) {
	n := &c.names
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.byType[t]; ok {
		return
	}
	name := t.String()
	switch other, ok := n.inUse[name]; {
	case !ok:
		n.inUse[name] = t
	case other != nil && other != t:
		n.inUse[name] = nil
		c.gen.Add(1)
	}
}

// TypeName returns the name for records of type t, which is a struct, not a pointer to it, or any
// other type; it compiles the plan of t, and so meets all types that it reaches statically. It is
// driver.ErrUnstorable if another type of the same default name is in use, which asks for
// Register, and for a type whose values cannot be stored.
func (c *Codec) TypeName(t reflect.Type) (string, error) {
	if t == nil {
		return "", fmt.Errorf("nil: %w", driver.ErrUnstorable)
	}
	return c.nameOf(c.planOf(t))
}

func (c *Codec) nameOf(pl *plan) (string, error) {
	n := c.named(pl)
	return n.record, n.recordErr
}

// wireName returns the name of a type in an interface.
func (c *Codec) wireName(pl *plan) (string, error) {
	n := c.named(pl)
	return n.wire, n.wireErr
}

func (c *Codec) named(pl *plan) *namedPlan {
	gen := c.gen.Load()
	if n := pl.named.Load(); n != nil && n.gen == gen {
		return n
	}
	// A type that only comes up in an interface or as a root has not been noted with its plan.
	if pl.typ.Name() == "" && !composed(pl.typ) {
		c.note(pl.typ)
	}
	c.names.mu.RLock()
	n := &namedPlan{gen: gen}
	n.record, n.recordErr = c.names.of(pl.typ, false, 0)
	n.wire, n.wireErr = c.names.of(pl.typ, true, 0)
	c.names.mu.RUnlock()
	if never := pl.body.never; never != nil {
		n.recordErr = never.under(pl.typ)
	}
	if len(n.record) > maxComposedName {
		n.recordErr = fmt.Errorf("%v: the name is longer than %d bytes: register a shorter one: %w", pl.typ, maxComposedName, driver.ErrUnstorable)
		if n.wireErr == nil {
			n.wireErr = n.recordErr
		}
	}
	pl.named.Store(n)
	return n
}

func composed(t reflect.Type) bool {
	if t.Name() != "" {
		return false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return true
	}
	return false
}

// of composes the name of t; registered: of registered types only. The lock is held.
func (n *names) of(t reflect.Type, registered bool, depth int) (string, error) {
	if name, ok := n.byType[t]; ok {
		return name, nil
	}
	if composed(t) {
		if depth >= maxNesting {
			return "", fmt.Errorf("%v: composed deeper than %d types need a named one, and Register: %w", t, maxNesting, driver.ErrUnstorable)
		}
		elem, err := n.of(t.Elem(), registered, depth+1)
		if err != nil {
			return "", err
		}
		switch t.Kind() {
		case reflect.Pointer:
			return "*" + elem, nil
		case reflect.Slice:
			return "[]" + elem, nil
		case reflect.Array:
			if t.Size() > maxArray || t.Len() > maxArray {
				return "", fmt.Errorf("%v: an array of over %d bytes needs a named type, and Register: %w", t, maxArray, driver.ErrUnstorable)
			}
			return "[" + strconv.Itoa(t.Len()) + "]" + elem, nil
		}
		key, err := n.of(t.Key(), registered, depth+1)
		if err != nil {
			return "", err
		}
		return "map[" + key + "]" + elem, nil
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr:
		if registered {
			return "", fmt.Errorf("a %v cannot be stored: leave it out, or tag the field msgpack:\"-\": %w", t, driver.ErrUnstorable)
		}
	}
	if registered {
		return "", fmt.Errorf("type %v behind an interface needs Register: %w", t, driver.ErrUnstorable)
	}
	name := t.String()
	if other, ok := n.byName[name]; ok && other != t {
		return "", fmt.Errorf("%v has the name of another type, %s, which is registered: use Register: %w", t, fullName(other), driver.ErrUnstorable)
	}
	if other, ok := n.inUse[name]; ok && other != t {
		return "", fmt.Errorf("%s has the name %q of another type as well: use Register: %w", fullName(t), name, driver.ErrUnstorable)
	}
	return name, nil
}

// fullName is the name of a type with the path of its package.
func fullName(t reflect.Type) string {
	if t.PkgPath() == "" || t.Name() == "" {
		return t.String()
	}
	return t.PkgPath() + "." + t.Name()
}
