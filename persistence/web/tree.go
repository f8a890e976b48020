package web

import (
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

// What a tree shows at most; the JSON of the record has the rest.
const (
	maxTreeNodes = 3000
	maxTreeItems = 500 // of one list or map
	maxTreeDepth = 40
)

// A node is a value in a tree.
type node struct {
	Name  string // of a field, or the key or index in a map or list
	Class string // "num", "null", "text", "time", "ref" or ""
	Text  string
	Note  string // a type, or how many there are
	Ref   *reference
	Kids  []*node
	More  string // what is left out after Kids
	Long  bool   // the text has several lines
	Open  bool
}

// A treeMaker makes a tree of generic values.
type treeMaker struct {
	nodes int
	refs  map[persistence.ID]*reference
	order []*reference
	above map[uintptr]string // where the values stand in which this one is
	seen  map[uintptr]string // where shared values were shown
}

// treeOf returns the tree of a record's value, and the references in it, each once.
func treeOf(v any) (*node, []*reference) {
	m := &treeMaker{refs: make(map[persistence.ID]*reference), above: make(map[uintptr]string), seen: make(map[uintptr]string)}
	root := m.value("", v, "value", 0)
	root.Open = true
	return root, m.order
}

// value makes the node of a value. path is where it stands, and depth how deep.
func (m *treeMaker) value(name string, v any, path string, depth int) *node {
	m.nodes++
	n := &node{Name: cut(cellLength, name), Open: depth < 2}
	if m.shared(n, v, path) {
		return n
	}
	switch v := v.(type) {
	case nil:
		n.Class, n.Text = "null", "nil"
	case bool:
		n.Text = strconv.FormatBool(v)
	case int64:
		n.Class, n.Text = "num", strconv.FormatInt(v, 10)
	case uint64:
		n.Class, n.Text = "num", strconv.FormatUint(v, 10)
	case float64:
		n.Class, n.Text = "num", floatText(v)
	case complex128:
		n.Class, n.Text = "num", fmt.Sprint(v)
	case string:
		n.Class, n.Text = "text", textOf(v)
		n.Long = strings.Contains(n.Text, "\n")
	case time.Time:
		n.Class, n.Text = "time", v.Format(time.RFC3339Nano)
	case []byte:
		n.Text = hex.EncodeToString(v[:min(len(v), 256)])
		n.Note = bytesText(int64(len(v)))
		if len(v) > 256 {
			n.Text += "…"
		}
	case persistence.RecordRef:
		n.Class, n.Ref = "ref", m.reference(v)
		if v.Lazy {
			n.Note = "lazy"
		}
	case persistence.Typed:
		inner := m.value(name, v.Value, path, depth)
		inner.Note = strings.TrimSpace(cut(cellLength, v.Type) + " " + inner.Note)
		return inner
	default:
		m.container(n, v, path, depth)
	}
	return n
}

// shared makes a node that says where a map or list was shown already, if it was.
func (m *treeMaker) shared(n *node, v any, path string) bool {
	id := address(v)
	if id == 0 {
		return false
	}
	if where, ok := m.above[id]; ok {
		n.Note, n.Text = "cycle", "is "+where+", in which it stands"
		return true
	}
	if where, ok := m.seen[id]; ok {
		n.Note, n.Text = "shared", "is the same as "+where
		return true
	}
	m.seen[id] = cut(cellLength, path)
	return false
}

// address tells one map or list from another; 0: v is neither, or is empty.
func address(v any) uintptr {
	switch v.(type) {
	case []any, map[string]any, map[any]any:
		if r := reflect.ValueOf(v); r.Len() > 0 {
			return r.Pointer()
		}
	}
	return 0
}

// container makes the node of a list or map.
func (m *treeMaker) container(n *node, v any, path string, depth int) {
	if id := address(v); id != 0 {
		m.above[id] = cut(cellLength, path)
		defer delete(m.above, id)
	}
	add := func(length int, kind string, at func(i int) (string, any)) {
		n.Note = kind
		if length == 0 {
			n.Text, n.Class = "empty", "null"
		}
		if length > 30 {
			n.Open = false
		}
		shown := 0
		for ; shown < length && shown < maxTreeItems && m.nodes < maxTreeNodes && depth < maxTreeDepth; shown++ {
			name, v := at(shown)
			n.Kids = append(n.Kids, m.value(name, v, path+"/"+cut(cellLength, name), depth+1))
		}
		if shown < length {
			n.More = grouped(int64(length-shown)) + " more: see the JSON"
		}
	}
	switch v := v.(type) {
	case []any:
		add(len(v), countOf(len(v), "element"), func(i int) (string, any) { return strconv.Itoa(i), v[i] })
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		kind := ""
		if depth > 0 {
			kind = countOf(len(v), "field")
		}
		add(len(v), kind, func(i int) (string, any) { return names[i], v[names[i]] })
	case map[any]any:
		type entry struct {
			name  string
			value any
		}
		entries := make([]entry, 0, len(v))
		for k, value := range v {
			entries = append(entries, entry{keyText(k), value})
		}
		slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
		add(len(v), countOf(len(v), "entry"), func(i int) (string, any) { return entries[i].name, entries[i].value })
	default: // an array as a key, say
		n.Text = cut(valueLength, fmt.Sprint(v))
	}
}

func countOf(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what == "entry":
		what = "entrie"
	}
	return grouped(int64(n)) + " " + what + "s"
}

// keyText returns a key of a map as a name.
func keyText(k any) string {
	switch k := k.(type) {
	case persistence.RecordRef:
		return "→ " + string(k.ID)
	case persistence.Typed:
		return keyText(k.Value)
	case time.Time:
		return k.Format(time.RFC3339Nano)
	}
	if v := reflect.ValueOf(k); v.Kind() == reflect.Pointer && !v.IsNil() {
		switch inner := v.Elem().Interface().(type) {
		case []byte:
			return "0x" + hex.EncodeToString(inner[:min(len(inner), 40)])
		case []any, map[string]any, map[any]any:
			return fmt.Sprintf("%T of %d", inner, reflect.ValueOf(inner).Len())
		default:
			return cut(cellLength, fmt.Sprint(inner))
		}
	}
	return cut(cellLength, fmt.Sprint(k))
}

func floatText(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Sprint(f)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// textOf returns a text as a tree shows it, with its length if it is cut off.
func textOf(s string) string {
	if len(s) <= valueLength {
		return lines(s)
	}
	head := s[:valueLength]
	return lines(strings.ToValidUTF8(head, "")) + fmt.Sprintf("… (%s)", bytesText(int64(len(s))))
}

// reference returns what is known of a reference, one for each ID.
func (m *treeMaker) reference(v persistence.RecordRef) *reference {
	if r := m.refs[v.ID]; r != nil {
		return r
	}
	r := &reference{ID: v.ID, Lazy: v.Lazy}
	m.refs[v.ID] = r
	m.order = append(m.order, r)
	return r
}
