package extrafields

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
)

// An accessor finds the value at a path in objects of any type. The way through the static type
// is worked out once per type; an interface on the way starts a new one, for the type found
// there.
type accessor struct {
	path  string
	steps []step
	plans []plans // by the number of steps done before
}

// plans are those for values of each type.
type plans struct {
	last atomic.Pointer[plan] // the one used last: mostly objects of one type come in a row
	all  sync.Map             // reflect.Type to *plan
}

// A plan is the way from a value of one type to the value at the path, or to the first interface
// on the way.
type plan struct {
	from reflect.Type
	ops  []op
	next int // the number of steps done after ops; len(steps): all
	err  error
}

// An op leads one level down.
type op struct {
	kind  opKind
	index int           // of opField, opIndex
	key   reflect.Value // of opKey; has the key type of the map
}

type opKind uint8

const (
	opDeref opKind = iota + 1
	opField
	opIndex
	opKey
)

func newAccessor(path string) (*accessor, error) {
	steps, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	return &accessor{path: path, steps: steps, plans: make([]plans, len(steps))}, nil
}

// find returns the value at the path, or the invalid Value where there is nothing. An error means
// that the type has no such path.
func (a *accessor) find(v reflect.Value) (reflect.Value, error) {
	for done, levels := 0, 0; done < len(a.steps); levels++ {
		for v.Kind() == reflect.Interface {
			v = v.Elem() // never again an interface
		}
		if !v.IsValid() {
			return v, nil
		}
		p := a.plan(v.Type(), done)
		if p.err != nil {
			return reflect.Value{}, p.err
		}
		for i := range p.ops {
			o := &p.ops[i]
			switch o.kind {
			case opDeref:
				v = v.Elem() // invalid if nil
			case opField:
				v = v.Field(o.index)
			case opIndex:
				if o.index >= v.Len() {
					return reflect.Value{}, nil
				}
				v = v.Index(o.index)
			case opKey:
				v = v.MapIndex(o.key) // invalid if absent or if the map is nil
			}
			if !v.IsValid() {
				return v, nil
			}
		}
		// Only pointers to interfaces can make no progress, and only by leading to themselves.
		if p.next > done {
			levels = 0
		} else if levels == maxIndirect {
			return reflect.Value{}, fmt.Errorf("path %s: more than %d pointers on the way", a.path, maxIndirect)
		}
		done = p.next
	}
	return v, nil
}

// plan returns the plan for values of type t that done steps have led to.
func (a *accessor) plan(t reflect.Type, done int) *plan {
	ps := &a.plans[done]
	if p := ps.last.Load(); p != nil && p.from == t {
		return p
	}
	found, ok := ps.all.Load(t)
	if !ok {
		made := a.compile(t, done)
		made.from = t
		found, _ = ps.all.LoadOrStore(t, made)
	}
	p := found.(*plan)
	ps.last.Store(p)
	return p
}

func (a *accessor) compile(t reflect.Type, done int) *plan {
	p := &plan{next: done}
	for ; p.next < len(a.steps); p.next++ {
		s := a.steps[p.next]
		for n := 0; t.Kind() == reflect.Pointer; n++ {
			if n == maxIndirect {
				return &plan{err: fmt.Errorf("path %s: more than %d pointers at %s", a.path, maxIndirect, s)}
			}
			p.ops = append(p.ops, op{kind: opDeref})
			t = t.Elem()
		}
		if t.Kind() == reflect.Interface {
			return p
		}
		next, err := p.add(t, s)
		if err != nil {
			return &plan{err: fmt.Errorf("path %s: %w", a.path, err)}
		}
		t = next
	}
	return p
}

// add appends what step s needs at a value of type t, and returns the type it leads to.
func (p *plan) add(t reflect.Type, s step) (reflect.Type, error) {
	switch {
	case s.kind == stepField && t.Kind() == reflect.Struct:
		f, ok := t.FieldByName(s.name)
		if !ok {
			return nil, fmt.Errorf("type %s has no field %s", t, s.name)
		}
		if !f.IsExported() {
			return nil, fmt.Errorf("field %s of type %s is not exported", s.name, t)
		}
		for i, index := range f.Index {
			if i > 0 && t.Kind() == reflect.Pointer { // an embedded one
				p.ops = append(p.ops, op{kind: opDeref})
				t = t.Elem()
			}
			p.ops = append(p.ops, op{kind: opField, index: index})
			t = t.Field(index).Type
		}
		return t, nil
	case s.kind == stepIndex && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array):
		p.ops = append(p.ops, op{kind: opIndex, index: s.index})
		return t.Elem(), nil
	case s.kind != stepField && t.Kind() == reflect.Map:
		key, err := mapKey(t, s)
		if err != nil {
			return nil, err
		}
		p.ops = append(p.ops, op{kind: opKey, key: key})
		return t.Elem(), nil
	}
	return nil, fmt.Errorf("type %s has no %s", t, s)
}

// mapKey returns the key of a map of type t that a step names. Where keys are of type any it
// is a string or an int.
func mapKey(t reflect.Type, s step) (reflect.Value, error) {
	kt := t.Key()
	key := reflect.ValueOf(s.name)
	if s.kind == stepIndex {
		key = reflect.ValueOf(s.index)
	}
	zero := reflect.Zero(kt)
	switch {
	case kt.Kind() == reflect.Interface && key.Type().Implements(kt):
		return key.Convert(kt), nil
	case s.kind == stepKey && kt.Kind() == reflect.String:
		return key.Convert(kt), nil
	case s.kind == stepIndex && zero.CanInt() && !zero.OverflowInt(int64(s.index)):
		return key.Convert(kt), nil
	case s.kind == stepIndex && zero.CanUint() && !zero.OverflowUint(uint64(s.index)):
		return key.Convert(kt), nil
	}
	return reflect.Value{}, fmt.Errorf("type %s has no key %s", t, s)
}
