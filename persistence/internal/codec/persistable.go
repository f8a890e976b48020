package codec

import (
	"fmt"
	"reflect"
)

// Persistable reports whether struct type t embeds the identity type by value, itself or through
// structs it embeds by value. An embedding that is ambiguous, by pointer or through an interface
// is ErrUnstorable. t may be of any kind; all but structs are not persistable.
func (c *Codec) Persistable(t reflect.Type) (bool, error) {
	if t == nil || t.Kind() != reflect.Struct {
		return false, nil
	}
	pl := c.planOf(t)
	if pl.kind == kindNever && !pl.persistable && t != c.identity {
		return false, pl.never.under(t)
	}
	return pl.persistable, nil
}

func (c *Codec) persistable(t reflect.Type) (bool, error) {
	n, err := c.identities(t, map[reflect.Type]bool{t: true})
	if err == nil && n > 1 {
		err = fmt.Errorf("%v embeds %v more than once", t, c.identity)
	}
	return n == 1, err
}

// identities counts the ways by which t embeds the identity. above are the types t is embedded in.
func (c *Codec) identities(t reflect.Type, above map[reflect.Type]bool) (int, error) {
	n := 0
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.Anonymous {
			continue
		}
		m, err := c.identitiesIn(t, sf.Type, above)
		if err != nil {
			return 0, err
		}
		n += m
	}
	return n, nil
}

// identitiesIn is identities for one embedded field of t.
func (c *Codec) identitiesIn(t, inner reflect.Type, above map[reflect.Type]bool) (int, error) {
	byPointer := inner.Kind() == reflect.Pointer
	if byPointer {
		inner = inner.Elem()
	}
	switch {
	case inner == c.identity && byPointer:
		return 0, fmt.Errorf("%v embeds %v by pointer: embed it by value", t, inner)
	case inner == c.identity:
		return 1, nil
	case inner.Kind() == reflect.Interface && inner.NumMethod() > 0 && reflect.PointerTo(c.identity).Implements(inner):
		return 0, fmt.Errorf("%v embeds interface %v: embed %v by value", t, inner, c.identity)
	case inner.Kind() != reflect.Struct || above[inner]:
		return 0, nil
	}
	above[inner] = true
	n, err := c.identities(inner, above)
	delete(above, inner)
	if err == nil && n > 0 && byPointer {
		err = fmt.Errorf("%v embeds %v by pointer: embed it by value, or name the field", t, inner)
	}
	return n, err
}
