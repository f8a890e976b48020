package codec

import (
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// seg is one step of the path from the root to where an encoder or decoder is. They keep a stack of
// them: its length is the depth, and errors are located by it.
type seg struct {
	pl  *plan
	i   int            // index of a struct's field in pl.fields or of an element; -1: none yet
	key unsafe.Pointer // of a map: the key (of type pl.key), or nil
}

// steps is a path that grows and shrinks.
type steps []seg

// push adds a step into a value of pl. A place that was used before most often had the same plan,
// and no key: these are not stored again, which would cost most while the garbage collector runs.
func (p *steps) push(pl *plan) {
	n := len(*p)
	if n == cap(*p) {
		*p = append(*p, seg{})
	}
	*p = (*p)[:n+1]
	s := &(*p)[n]
	s.i = -1
	if s.pl != pl {
		s.pl = pl
	}
	if s.key != nil {
		s.key = nil
	}
}

// pop takes the last step back.
func (p *steps) pop() { *p = (*p)[:len(*p)-1] }

// Longest rendering of a path: beyond it, only the beginning is shown.
const (
	maxPathLen = 200
	maxKeyLen  = 40
)

// renderPath writes a path as Task.Hooks[3].Fn; map keys as Meta["user"].
func renderPath(root string, path []seg) string {
	var b strings.Builder
	b.WriteString(root)
	for _, s := range path {
		if b.Len() > maxPathLen {
			b.WriteString("…")
			break
		}
		switch s.pl.kind {
		case kindStruct:
			if s.i >= 0 {
				b.WriteByte('.')
				b.WriteString(s.pl.fields[s.i].name)
			}
		case kindSlice, kindArray:
			if s.i >= 0 {
				b.WriteByte('[')
				b.WriteString(strconv.Itoa(s.i))
				b.WriteByte(']')
			}
		case kindMap:
			if s.key != nil {
				b.WriteByte('[')
				b.WriteString(renderKey(s.pl.key.typ, s.key))
				b.WriteByte(']')
			}
		}
	}
	return b.String()
}

// renderKey writes a map key. It calls no method of the key.
func renderKey(t reflect.Type, p unsafe.Pointer) string {
	v := reflect.NewAt(t, p).Elem()
	for v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		if len(s) > maxKeyLen {
			s = s[:maxKeyLen] + "…"
		}
		return strconv.Quote(s)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Invalid:
		return "nil"
	}
	return v.Type().String()
}

// rootName is how a path names its root: the bare name of the type.
func rootName(t reflect.Type) string {
	name := t.String()
	if t.Name() == "" {
		return name
	}
	base, _, _ := strings.Cut(name, "[")
	return name[strings.LastIndexByte(base, '.')+1:]
}

// shorten cuts a name from a record to a length fit for messages.
func shorten(s string) string {
	if len(s) > maxKeyLen {
		return strings.ToValidUTF8(s[:maxKeyLen], "") + "…"
	}
	return s
}
