package codec

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// Resolve returns the type that has the name. registered is true where the name is
// registered or known from birth: the built-in kinds, time.Time, time.Duration, and slices,
// arrays, maps and pointers composed of those or of registered types; it is false where a type
// was only found as the type of a field or element. Any other name is driver.ErrUnknownType.
func (c *Codec) Resolve(name string) (t reflect.Type, registered bool, err error) {
	if len(name) > maxComposedName {
		return nil, false, fmt.Errorf("type %q: the name is longer than %d bytes: %w", shorten(name), maxComposedName, driver.ErrUnknownType)
	}
	n := &c.names
	n.mu.Lock()
	defer n.mu.Unlock()
	p := nameParser{n: n, registered: true}
	t, err = p.parse(name, 0)
	if err != nil {
		return nil, false, fmt.Errorf("type %q: %w: %w", shorten(name), err, driver.ErrUnknownType)
	}
	return t, p.registered, nil
}

// wirePlan returns the plan for a name in an interface.
func (c *Codec) wirePlan(name []byte) (*plan, error) {
	if pl, ok := (*c.names.wire.Load())[string(name)]; ok {
		return pl, nil
	}
	t, registered, err := c.Resolve(string(name))
	if err != nil {
		return nil, err
	}
	if !registered {
		return nil, fmt.Errorf("type %q behind an interface is not registered: %w", shorten(string(name)), driver.ErrUnknownType)
	}
	pl := c.planOf(t)
	c.names.mu.Lock()
	defer c.names.mu.Unlock()
	known := maps.Clone(*c.names.wire.Load())
	known[string(name)] = pl
	c.names.wire.Store(&known)
	return pl, nil
}

// nameParser reads the name of a composed type.
type nameParser struct {
	n          *names
	registered bool
}

func (p *nameParser) parse(name string, depth int) (reflect.Type, error) {
	if t, ok := p.n.byName[name]; ok {
		return t, nil
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("composed of more than %d", maxNesting)
	}
	switch {
	case strings.HasPrefix(name, "*"):
		elem, err := p.parse(name[1:], depth+1)
		if err != nil {
			return nil, err
		}
		return p.make(name, func() reflect.Type { return reflect.PointerTo(elem) })
	case strings.HasPrefix(name, "[]"):
		elem, err := p.parse(name[2:], depth+1)
		if err != nil {
			return nil, err
		}
		return p.make(name, func() reflect.Type { return reflect.SliceOf(elem) })
	case strings.HasPrefix(name, "["):
		return p.array(name, depth)
	case strings.HasPrefix(name, "map["):
		return p.mapping(name, depth)
	}
	if t := p.n.inUse[name]; t != nil {
		p.registered = false
		return t, nil
	} else if _, ok := p.n.inUse[name]; ok {
		return nil, fmt.Errorf("several types have the name %q", shorten(name))
	}
	return nil, fmt.Errorf("no type is registered under it: Register[T](%q), or RegisterAlias, names the T that it is loaded as", shorten(name))
}

func (p *nameParser) array(name string, depth int) (reflect.Type, error) {
	length, rest, ok := strings.Cut(name[1:], "]")
	size, err := strconv.Atoi(length)
	if !ok || err != nil || size < 0 || strconv.Itoa(size) != length {
		return nil, fmt.Errorf("%q is not the length of an array", shorten(length))
	}
	elem, err := p.parse(rest, depth+1)
	if err != nil {
		return nil, err
	}
	if size > maxArray || uintptr(size)*elem.Size() > maxArray {
		return nil, fmt.Errorf("an array of over %d bytes", maxArray)
	}
	return p.make(name, func() reflect.Type { return reflect.ArrayOf(size, elem) })
}

func (p *nameParser) mapping(name string, depth int) (reflect.Type, error) {
	end, open := len("map["), 1
	for ; end < len(name) && open > 0; end++ {
		switch name[end] {
		case '[':
			open++
		case ']':
			open--
		}
	}
	if open > 0 {
		return nil, errors.New("brackets that do not match")
	}
	key, err := p.parse(name[len("map["):end-1], depth+1)
	if err != nil {
		return nil, err
	}
	elem, err := p.parse(name[end:], depth+1)
	if err != nil {
		return nil, err
	}
	if !key.Comparable() {
		return nil, fmt.Errorf("%v cannot be the key of a map", key)
	}
	return p.make(name, func() reflect.Type { return reflect.MapOf(key, elem) })
}

// make makes a composed type. Types are never given back, so that bytes may name a limited number
// only.
func (p *nameParser) make(name string, t func() reflect.Type) (reflect.Type, error) {
	if !p.n.made[name] {
		if len(p.n.made) >= maxComposed {
			return nil, fmt.Errorf("over %d types composed for names", maxComposed)
		}
		p.n.made[name] = true
	}
	return t(), nil
}
