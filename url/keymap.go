package url

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// A KeyMap is a map whose keys are URLs, given as such or as text: every spelling of one URL is
// the same key. The zero value is an empty map ready to use. A copy of a map that is not empty
// shares its entries, as Go's maps do. It is not safe for concurrent writing.
//
// It corresponds to GC3Pie's UrlKeyDict, and can be stored as a field or value of an object.
type KeyMap[V any] struct {
	m map[URL]V
}

// Set sets the value of the key. A key that is no URL is an error, and nothing is set.
func (m *KeyMap[V]) Set(key string, v V) error {
	u, err := Parse(key)
	if err != nil {
		return err
	}
	m.SetURL(u, v)
	return nil
}

// SetURL sets the value of the key; the zero URL is a key too.
func (m *KeyMap[V]) SetURL(key URL, v V) {
	if m.m == nil {
		m.m = make(map[URL]V)
	}
	m.m[key] = v
}

// Get returns the value of the key. A key that is no URL is in no map.
func (m KeyMap[V]) Get(key string) (V, bool) {
	u, err := Parse(key)
	if err != nil {
		var zero V
		return zero, false
	}
	return m.GetURL(u)
}

// GetURL returns the value of the key.
func (m KeyMap[V]) GetURL(key URL) (V, bool) {
	v, ok := m.m[key]
	return v, ok
}

// Delete removes the key, if it is there.
func (m *KeyMap[V]) Delete(key string) {
	if u, err := Parse(key); err == nil {
		delete(m.m, u)
	}
}

// DeleteURL removes the key, if it is there.
func (m *KeyMap[V]) DeleteURL(key URL) { delete(m.m, key) }

// Len returns the number of keys.
func (m KeyMap[V]) Len() int { return len(m.m) }

// All yields the entries in the order of [Compare] of their keys. The map may be changed meanwhile:
// what is deleted before its turn is left out, and a key that is new is not yielded.
func (m KeyMap[V]) All() iter.Seq2[URL, V] {
	return func(yield func(URL, V) bool) {
		for _, u := range slices.SortedFunc(maps.Keys(m.m), Compare) {
			if v, ok := m.m[u]; ok && !yield(u, v) {
				return
			}
		}
	}
}

// Format prints the entries as a Go map is printed, with the keys as [URL.String] has them.
func (m KeyMap[V]) Format(s fmt.State, verb rune) {
	formatMap(s, verb, func(yield func(any, any) bool) {
		for u, v := range m.All() {
			if !yield(u, v) {
				return
			}
		}
	})
}

// MarshalJSON writes the entries as an object with the keys as [URL.String] has them, for
// showing. There is no way back from that.
func (m KeyMap[V]) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for u, v := range m.All() {
		value, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		key, _ := u.MarshalJSON()
		out = append(append(append(out, key...), ':'), value...)
	}
	return append(out, '}'), nil
}

// StoredForm returns what is stored for the map: its values by [URL.DSN] of their keys, passwords
// included; nil for the zero value.
func (m KeyMap[V]) StoredForm() map[string]V {
	if m.m == nil {
		return nil
	}
	form := make(map[string]V, len(m.m))
	for u, v := range m.m {
		form[u.DSN()] = v
	}
	return form
}

// SetStoredForm makes m the map that [KeyMap.StoredForm] gave form for. On an error, which is of
// a key that is no URL or of two keys that are one URL, m is unchanged.
func (m *KeyMap[V]) SetStoredForm(form map[string]V) error {
	if form == nil {
		m.m = nil
		return nil
	}
	entries := make(map[URL]V, len(form))
	for _, key := range slices.Sorted(maps.Keys(form)) { // so that the error is always the same
		u, err := fromStored(key)
		if err != nil {
			return err
		}
		if _, dup := entries[u]; dup {
			return fmt.Errorf("two keys of a map are the URL %v", u)
		}
		entries[u] = form[key]
	}
	m.m = entries
	return nil
}

// formatMap prints entries as package fmt prints a map.
func formatMap(s fmt.State, verb rune, entries iter.Seq2[any, any]) {
	format := fmt.FormatString(s, verb)
	var b strings.Builder
	b.WriteString("map[")
	first := true
	for k, v := range entries {
		if !first {
			b.WriteByte(' ')
		}
		first = false
		fmt.Fprintf(&b, format, k)
		b.WriteByte(':')
		fmt.Fprintf(&b, format, v)
	}
	b.WriteByte(']')
	_, _ = s.Write([]byte(b.String()))
}
