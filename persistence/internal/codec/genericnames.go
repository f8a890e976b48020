package codec

import (
	"maps"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The names of types, for a reader that has none of the types: what a name is composed of
// tells what is inside.

const anyName = "interface {}"

// isTime reports whether an array is a time with the offset of its zone.
func (g *genericDecoder) isTime(t token) bool {
	d := &g.d
	if t.code != codeFixArray|2 && (t.code != codeFixArray|3 || d.version < versionZones) || g.isTarget(d.pos+1) {
		return false
	}
	at := readToken(d.buf[d.pos+1:])
	if at.fam != famExt || at.ext != extTime {
		return false
	}
	pos := d.pos + 1 + at.head + int(at.n)
	offset := readToken(d.buf[pos:])
	return offset.fam == famInt && (t.n == 2 || readToken(d.buf[pos+offset.head:]).fam == famStr)
}

// isTyped reports whether an array in a value of the type with the given name, "" where that is not
// known, is a type and a value. See [Codec.Generic].
func (g *genericDecoder) isTyped(t token, within string) bool {
	d := &g.d
	at := d.pos + 1
	if t.code != codeFixArray|2 || isComposed(within) || g.isTarget(d.pos) || g.isTarget(at) {
		return false
	}
	s := readToken(d.buf[at:])
	if s.fam != famStr || s.n > maxComposedName || s.head != strHead(s.n) {
		return false
	}
	name := string(d.buf[at+s.head : at+s.head+int(s.n)])
	if !possibleName(name, 0) {
		return false
	}
	if within == anyName {
		return true
	}
	return d.c.isTypeOf(name, readToken(d.buf[at+s.head+len(name):]))
}

// standsAlone reports whether a value of the type stands in an interface without its type.
func standsAlone(name string, fam family) bool {
	switch name {
	case "bool", "string", "int", "float64", anyName:
		return true
	case "[]uint8", "map[string]" + anyName:
		return fam != famNil
	}
	return false
}

// nameParts takes the name of a composed type apart: its elements and, of a map, its keys. The form
// is the first byte of the name, 'a' for an array and 0 for any other name.
func nameParts(name string) (form byte, key, elem string) {
	switch {
	case strings.HasPrefix(name, "*"):
		return '*', "", name[1:]
	case strings.HasPrefix(name, "[]"):
		return '[', "", name[2:]
	case strings.HasPrefix(name, "["):
		if length, elem, ok := strings.Cut(name[1:], "]"); ok && length != "" && strings.Trim(length, "0123456789") == "" {
			return 'a', "", elem
		}
	case strings.HasPrefix(name, "map["):
		depth := 1
		for i := len("map["); i < len(name); i++ {
			switch name[i] {
			case '[':
				depth++
			case ']':
				depth--
			}
			if depth == 0 {
				return 'm', name[len("map["):i], name[i+1:]
			}
		}
	}
	return 0, "", ""
}

func isComposed(name string) bool {
	form, _, _ := nameParts(name)
	return form != 0
}

// possibleName reports whether Register takes what a name is composed of.
func possibleName(name string, depth int) bool {
	form, key, elem := nameParts(name)
	if form == 0 {
		return badName(name) == ""
	}
	return depth < maxNesting && (form != 'm' || possibleName(key, depth+1)) && possibleName(elem, depth+1)
}

// resolves reports whether a name is one that a type has in interfaces. Unlike Resolve, it makes no
// type.
func (n *names) resolves(name string) bool {
	if form, _, _ := nameParts(name); form == 0 {
		return n.isKnown(name)
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	for form, key, elem := nameParts(name); form != 0; form, key, elem = nameParts(name) {
		if form == 'm' && !n.resolvesKey(key) {
			return false
		}
		name = elem
	}
	_, ok := n.byName[name]
	return ok
}

// knownNames are the names that are registered, or known from birth. They do not change.
type knownNames struct {
	all   map[string]reflect.Type
	first [256]bool // the first bytes that there are
}

// isKnown reports whether a name is registered, or known from birth. It is asked for each list of
// two texts, so it takes no lock.
func (n *names) isKnown(name string) bool {
	known := n.known.Load()
	if known == nil {
		known = n.copyKnown()
	}
	if name == "" || !known.first[name[0]] {
		return false
	}
	_, ok := known.all[name]
	return ok
}

func (n *names) copyKnown() *knownNames {
	n.mu.RLock()
	defer n.mu.RUnlock()
	known := &knownNames{all: maps.Clone(n.byName)}
	for name := range known.all {
		known.first[name[0]] = true
	}
	n.known.Store(known)
	return known
}

// resolvesKey is resolves for the keys of a map. The lock is held.
func (n *names) resolvesKey(name string) bool {
	form, key, elem := nameParts(name)
	switch form {
	case 0:
		_, ok := n.byName[name]
		return ok
	case 'm':
		return n.resolvesKey(key) && n.resolvesKey(elem)
	}
	return n.resolvesKey(elem)
}

// fits reports whether values of the type with a name that resolves can have the form of t.
func (c *Codec) fits(name string, t token) bool {
	form, _, elem := nameParts(name)
	back := t.fam == famExt && t.ext == extBackref
	switch form {
	case '*':
		pl := c.planOfBase(elem)
		switch {
		case t.fam == famNil:
			return true
		case pl != nil && pl.persistable:
			return false // a reference stands for itself
		case back:
			return true
		case nilableName(elem) || pl != nil && pl.nilable:
			return t.fam == famArray && t.n == 1
		}
		return c.fits(elem, t)
	case '[':
		return t.fam == famNil || t.fam == famArray || t.fam == famBin
	case 'a':
		return t.fam == famArray || t.fam == famBin
	case 'm':
		return t.fam == famNil || t.fam == famMap || back
	}
	pl := c.planOfBase(name)
	return pl != nil && pl.never == nil && fitsPlan(pl, t)
}

// planOfBase returns the plan of a type by its own name, nil for composed types.
func (c *Codec) planOfBase(name string) *plan {
	c.names.mu.RLock()
	t := c.names.byName[name]
	c.names.mu.RUnlock()
	if t == nil {
		return nil
	}
	return c.planOf(t)
}

func fitsPlan(pl *plan, t token) bool {
	for pl.kind == kindStored {
		pl = pl.elem
	}
	if t.fam == famNil {
		return pl.nilable
	}
	back := t.fam == famExt && t.ext == extBackref
	switch pl.kind {
	case kindScalar:
		switch pl.op {
		case opBool:
			return t.fam == famBool
		case opString:
			return t.fam == famStr
		case opFloat32, opFloat64:
			return t.fam == famFloat
		case opComplex64, opComplex128:
			return t.fam == famArray && t.n == 2
		}
		return t.fam == famInt
	case kindStruct:
		return t.fam == famMap || pl.promoted != kindNever && (t.fam == famBin || t.fam == famStr)
	case kindSlice, kindArray:
		return t.fam == famArray
	case kindBytes, kindByteArray, kindCustom, kindBinary:
		return t.fam == famBin || pl.time != nil && t.fam == famArray && (t.n == 2 || t.n == 3)
	case kindText:
		return t.fam == famStr || pl.float != nil && t.fam == famBin
	case kindMap:
		return t.fam == famMap || back
	case kindTime:
		return t.fam == famArray || t.fam == famExt && t.ext == extTime
	case kindLazy:
		return t.fam == famExt && t.ext == extLazy
	case kindInterface, kindNilOnly, kindNever:
		return false
	}
	return true
}

// hasQualified reports whether a name has a dot between identifiers, as what Go prints for a type.
func hasQualified(name string) bool {
	for i := 0; i < len(name); i++ {
		if name[i] != '.' {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(name[:i])
		after, _ := utf8.DecodeRuneInString(name[i+1:])
		if isLetter(after) && (isLetter(before) || startsIdentifier(name[:i])) {
			return true
		}
	}
	return false
}

func isLetter(r rune) bool { return r == '_' || unicode.IsLetter(r) }

// startsIdentifier reports whether s ends in an identifier.
func startsIdentifier(s string) bool {
	start := strings.TrimRightFunc(s, func(r rune) bool { return isLetter(r) || unicode.IsDigit(r) })
	first, _ := utf8.DecodeRuneInString(s[len(start):])
	return isLetter(first)
}

// nilableName reports whether the name of a composed type, or of any, says that its values may be
// nil.
func nilableName(name string) bool {
	form, _, _ := nameParts(name)
	return form != 0 && form != 'a' || name == anyName
}

// pointee returns the name of what stands for a pointer without an array of one.
func pointee(name string) string {
	for strings.HasPrefix(name, "*") && !nilableName(name[1:]) {
		name = name[1:]
	}
	return name
}

// elemName returns the name of the elements of an array of n in a value of the type with a name.
func elemName(name string, n int) string {
	form, _, elem := nameParts(name)
	if form == '[' || form == 'a' || form == '*' && n == 1 {
		return elem
	}
	return ""
}

// entryNames returns the names of the keys and values of a map.
func entryNames(name string) (key, elem string) {
	switch form, key, elem := nameParts(name); {
	case form == 'm':
		return key, elem
	case name == anyName:
		return "string", anyName
	}
	return "", ""
}

// bareName is how a path names its root: the name of the type without its package.
func bareName(name string) string {
	if isComposed(name) {
		return name
	}
	base, _, _ := strings.Cut(name, "[")
	return shorten(name[strings.LastIndexByte(base, '.')+1:])
}
