package url

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
)

// A ValueMap is a map whose values are URLs, given as such or as text. The zero
// value is an empty map ready to use. A copy of a map that is not empty shares its
// entries, as Go's maps do. It is not safe for concurrent writing.
//
// It corresponds to GC3Pie's UrlValueDict, and can be stored as a field or value of an object.
type ValueMap[K comparable] struct {
	m map[K]URL
}

// Set sets the URL of the key. A text that is no URL is an error, and nothing is set.
func (m *ValueMap[K]) Set(key K, url string) error {
	u, err := Parse(url)
	if err != nil {
		return err
	}
	m.SetURL(key, u)
	return nil
}

// SetURL sets the URL of the key; it may be the zero URL.
func (m *ValueMap[K]) SetURL(key K, u URL) {
	if m.m == nil {
		m.m = make(map[K]URL)
	}
	m.m[key] = u
}

// Get returns the URL of the key.
func (m ValueMap[K]) Get(key K) (URL, bool) {
	u, ok := m.m[key]
	return u, ok
}

// Delete removes the key, if it is there.
func (m *ValueMap[K]) Delete(key K) { delete(m.m, key) }

// Len returns the number of keys.
func (m ValueMap[K]) Len() int { return len(m.m) }

// All yields the entries in the order of [Compare] of their URLs, those of one URL in the order
// of their keys (numbers by value, strings by bytes, other types by what they print). The map may
// be changed meanwhile: what is deleted before its turn is left out, and a key that is new is not
// yielded.
func (m ValueMap[K]) All() iter.Seq2[K, URL] {
	return func(yield func(K, URL) bool) {
		keys := slices.SortedFunc(maps.Keys(m.m), func(a, b K) int {
			if c := Compare(m.m[a], m.m[b]); c != 0 {
				return c
			}
			return compareKeys(a, b)
		})
		for _, k := range keys {
			if u, ok := m.m[k]; ok && !yield(k, u) {
				return
			}
		}
	}
}

// compareKeys orders keys of any one comparable type.
func compareKeys[K comparable](a, b K) int {
	av, bv := reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem()
	switch {
	case av.CanInt():
		return cmp.Compare(av.Int(), bv.Int())
	case av.CanUint():
		return cmp.Compare(av.Uint(), bv.Uint())
	case av.CanFloat():
		return cmp.Compare(av.Float(), bv.Float())
	case av.Kind() == reflect.String:
		return cmp.Compare(av.String(), bv.String())
	}
	if x, ok := any(a).(URL); ok {
		return Compare(x, any(b).(URL))
	}
	return cmp.Compare(fmt.Sprintf("%T%#v", a, a), fmt.Sprintf("%T%#v", b, b))
}

// Format prints the entries as a Go map is printed, with the URLs as [URL.String] has them.
func (m ValueMap[K]) Format(s fmt.State, verb rune) {
	formatMap(s, verb, func(yield func(any, any) bool) {
		for k, u := range m.All() {
			if !yield(k, u) {
				return
			}
		}
	})
}

// MarshalJSON writes the entries as an object with the URLs as [URL.String] has them, for
// showing. There is no way back from that. It is an error for a K that encoding/json has no keys
// for.
func (m ValueMap[K]) MarshalJSON() ([]byte, error) {
	if m.m == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(m.m)
}

// StoredForm returns what is stored for the map: [URL.DSN] of its URLs by their keys, passwords
// included; nil for the zero value.
func (m ValueMap[K]) StoredForm() map[K]string {
	if m.m == nil {
		return nil
	}
	form := make(map[K]string, len(m.m))
	for k, u := range m.m {
		form[k] = u.DSN()
	}
	return form
}

// SetStoredForm makes m the map that [ValueMap.StoredForm] gave form for. On an error, which is
// of a value that is no URL, m is unchanged.
func (m *ValueMap[K]) SetStoredForm(form map[K]string) error {
	if form == nil {
		m.m = nil
		return nil
	}
	entries := make(map[K]URL, len(form))
	for k, dsn := range form {
		u, err := fromStored(dsn)
		if err != nil {
			return fmt.Errorf("URL of key %v: %w", k, err)
		}
		entries[k] = u
	}
	m.m = entries
	return nil
}
