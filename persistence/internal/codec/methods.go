package codec

import (
	"reflect"
	"runtime"
	"strings"
)

// OwnMethod reports whether t, or a pointer to it, has a method of the given name that t declares
// itself: not one that is promoted from an embedded field. A pointer type stands for what it points
// to. It is false for an interface type, for a type without the method, and for nil.
//
// Reflection does not tell the two apart. The compiler does: it generates a function for each
// promoted method, and the table of functions, which every binary has, names no source file for it.
func OwnMethod(t reflect.Type, name string) bool {
	if t != nil && t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	if t == nil || t.Kind() == reflect.Interface || t.Name() == "" {
		return false // a type without a name declares no methods
	}
	// The method set of the pointer has a generated function for each method of the value.
	m, ok := t.MethodByName(name)
	if !ok {
		if m, ok = reflect.PointerTo(t).MethodByName(name); !ok {
			return false
		}
	}
	if t.Kind() != reflect.Struct {
		return true // it embeds nothing
	}
	if _, ok := promotedBy(t, name); !ok {
		return true
	}
	return !generated(m.Func.Pointer())
}

// generated reports whether the compiler made the function that begins at entry. Parts of it may
// be inlined from functions with source files, its first instruction included, so all are searched.
func generated(entry uintptr) bool {
	for pc := entry; ; pc++ {
		f := runtime.FuncForPC(pc)
		if f == nil || f.Entry() != entry {
			return false
		}
		if file, _ := f.FileLine(pc); strings.HasPrefix(file, "<") {
			return true
		}
	}
}

// promotedBy returns the embedded fields that lead from struct type t to the one which would
// promote a method of the given name to t, if t does not declare it. It reports false where no
// embedded field has it, or several of one depth have it, which promotes none.
func promotedBy(t reflect.Type, name string) ([]reflect.StructField, bool) {
	type level struct {
		typ  reflect.Type
		path []reflect.StructField
	}
	visited := map[reflect.Type]bool{t: true}
	for current := []level{{typ: t}}; len(current) > 0; {
		var next []level
		var found [][]reflect.StructField
		for _, l := range current {
			for i := range l.typ.NumField() {
				sf := l.typ.Field(i)
				if !sf.Anonymous {
					continue
				}
				inner := sf.Type
				if inner.Kind() == reflect.Pointer {
					inner = inner.Elem()
				}
				path := append(l.path[:len(l.path):len(l.path)], sf)
				switch {
				case OwnMethod(inner, name) || inner.Kind() == reflect.Interface && hasMethod(inner, name):
					found = append(found, path)
				case inner.Kind() == reflect.Struct && !visited[inner]:
					visited[inner] = true
					next = append(next, level{inner, path})
				}
			}
		}
		if len(found) > 0 {
			return found[0], len(found) == 1
		}
		current = next
	}
	return nil, false
}

func hasMethod(t reflect.Type, name string) bool {
	_, ok := t.MethodByName(name)
	return ok
}
