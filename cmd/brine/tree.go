package main

import (
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/brine-go/brine/persistence"
)

// A tree prints a generic value, as persistence.Record.Value gives it.
type tree struct {
	a     *app
	known map[persistence.ID]persistence.Info // of references; nil: nothing is known of any
	whole bool                                // nothing is cut

	seen map[uintptr]string // maps and lists, and the paths where they were printed
}

// What is cut where the tree is not printed whole.
const (
	treeList   = 50  // elements of a list or entries of a map
	treeInline = 60  // columns of a list in one line
	treeBytes  = 24  // bytes
	treeLabel  = 24  // columns to which labels are filled up
	treeText   = 200 // bytes of a text in a pipe of names, as a key
)

func (t *tree) print(v any) {
	t.seen = map[uintptr]string{}
	if children := t.children(v); children != nil {
		t.open(v, "value")
		t.list(children, "", "")
		return
	}
	t.a.printf("%s\n", t.cut(t.scalar(v), 0))
}

// A branch is a labelled part of a value.
type branch struct {
	label string
	value any
}

// children returns the parts of a value that is printed as a tree, or nil for one in a line.
func (t *tree) children(v any) []branch {
	var list []branch
	switch v := v.(type) {
	case persistence.Typed:
		return t.children(v.Value)
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			list = append(list, branch{label(name), v[name]})
		}
	case map[any]any:
		for key, value := range v {
			list = append(list, branch{t.key(key), value})
		}
		slices.SortFunc(list, func(a, b branch) int { return strings.Compare(a.label, b.label) })
	case []any:
		if _, ok := t.inline(v); ok {
			return nil
		}
		for i, value := range v {
			list = append(list, branch{"[" + strconv.Itoa(i) + "]", value})
		}
	}
	return list
}

// list prints branches. path is where they are in the value, indent what stands before them.
func (t *tree) list(branches []branch, path, indent string) {
	more := 0
	if !t.whole && len(branches) > treeList {
		more = len(branches) - treeList
		branches = branches[:treeList]
	}
	width := 0
	for _, b := range branches {
		width = max(width, textWidth(b.label))
	}
	width = min(width, treeLabel)
	for i, b := range branches {
		mark, below := "├─ ", "│  "
		if i == len(branches)-1 && more == 0 {
			mark, below = "└─ ", "   "
		}
		t.branch(b, width, path, indent+mark, indent+below)
	}
	if more > 0 {
		t.a.printf("%s%s\n", t.a.paint(dim, indent+"└─ "), t.a.paint(dim, withCommas(int64(more))+" more (--whole)"))
	}
}

func (t *tree) branch(b branch, width int, path, mark, below string) {
	path += pathOf(b.label)
	name, typ := b.label, ""
	if typed, ok := b.value.(persistence.Typed); ok {
		typ = t.a.paint(dim, printable(strings.ReplaceAll(typed.Type, "interface {}", "any"))) + " "
	}
	children := t.children(b.value)
	if children != nil {
		if at := t.open(b.value, path); at != "" {
			t.a.printf("%s%s %s\n", t.a.paint(dim, mark), text.Pad(name, width, ' '), t.a.paint(dim, "the same as "+at))
			return
		}
		t.a.printf("%s%s\n", t.a.paint(dim, mark), strings.TrimRight(name+" "+typ, " "))
		t.list(children, path, below)
		return
	}
	name = text.Pad(name, width, ' ')
	used := textWidth(mark + name + " " + typ)
	t.a.printf("%s%s %s%s\n", t.a.paint(dim, mark), name, typ, t.cut(t.scalar(b.value), used))
}

// open notes that a value is printed at a path. If it was printed before, it returns where.
func (t *tree) open(v any, path string) string {
	if typed, ok := v.(persistence.Typed); ok {
		v = typed.Value
	}
	r := reflect.ValueOf(v)
	if k := r.Kind(); k != reflect.Map && k != reflect.Slice || r.Len() == 0 {
		return ""
	}
	if at, ok := t.seen[r.Pointer()]; ok {
		return at
	}
	t.seen[r.Pointer()] = path
	return ""
}

// cut cuts text to what is left of the width of the terminal after used columns.
func (t *tree) cut(line string, used int) string {
	if t.whole {
		return line
	}
	return text.Snip(line, max(t.a.width-used, minColumn), "…")
}

// inline returns a list in one line, if it is short and has no trees in it.
func (t *tree) inline(list []any) (string, bool) {
	var parts []string
	length := 0
	for _, v := range list {
		if _, ok := v.(persistence.RecordRef); ok || t.children(v) != nil {
			return "", false
		}
		part := t.scalar(v)
		if length += len(part) + 2; length > treeInline {
			return "", false
		}
		parts = append(parts, part)
	}
	return "[" + strings.Join(parts, ", ") + "]", true
}

// scalar returns a value in one line.
func (t *tree) scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return t.a.paint(dim, "nil")
	case string:
		return quoted(v)
	case float64:
		return fmt.Sprint(jsonValue(v))
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case []byte:
		return t.bytes(v)
	case persistence.RecordRef:
		return t.ref(v)
	case persistence.Typed:
		return t.scalar(v.Value)
	case []any:
		text, _ := t.inline(v)
		return text
	case map[string]any, map[any]any:
		return "{}" // with entries it is no scalar
	}
	return printable(fmt.Sprint(v))
}

// quoted returns a text in quotes, on one line, as safe as printable makes it.
func quoted(s string) string { return `"` + strings.ReplaceAll(printable(s), `"`, `\"`) + `"` }

func (t *tree) bytes(b []byte) string {
	shown, more := b, ""
	if !t.whole && len(b) > treeBytes {
		shown, more = b[:treeBytes], "…"
	}
	return plural(int64(len(b)), "byte") + " " + hex.EncodeToString(shown) + more
}

// ref returns a reference with what is known of the record that it leads to.
func (t *tree) ref(r persistence.RecordRef) string {
	line := "→ " + printable(string(r.ID))
	if info, ok := t.known[r.ID]; ok {
		line += "  " + printable(info.Type) + "  " + t.a.paint(stateStyle(info.State), printable(info.State))
	} else if t.known != nil {
		line += "  " + t.a.paint(red, "missing")
	}
	if r.Lazy {
		line += "  " + t.a.paint(dim, "lazy")
	}
	return line
}

// key returns the key of a map as a label.
func (t *tree) key(key any) string {
	if text, ok := key.(string); ok {
		return label(text)
	}
	if r := reflect.ValueOf(key); r.Kind() == reflect.Pointer && !r.IsNil() {
		key = r.Elem().Interface()
	}
	return label(fmt.Sprint(key))
}

// label returns a name that may be of any length, and hold anything, as a label.
func label(name string) string {
	if name == "" {
		return `""`
	}
	return cut(printable(name), treeText)
}

// pathOf returns a label as a part of a path.
func pathOf(label string) string {
	if strings.HasPrefix(label, "[") {
		return label
	}
	return "." + label
}
