package codec

import (
	"cmp"
	"slices"
	"strings"
	"unsafe"
)

// A struct is a map of its stored fields, sorted by encoded name.

func (cp *compiler) buildStruct(pl *plan) {
	found := cp.structFields(pl.typ)
	lossy := found.lossy
	for _, cand := range found.fields {
		f := cand.field
		f.pl = cp.plan(cand.typ)
		f.op = f.pl.op
		pl.fields = append(pl.fields, f)
		pl.optional = pl.optional || f.omit || f.zero || f.via != nil
	}
	pl.aliases, pl.unknown = found.aliases, found.unknown
	pl.embedded = embeddedPointers(pl.fields)
	pl.enc, pl.dec = (*Encoder).structure, (*decoder).structure
	if lossy != nil {
		pl.enc = func(e *Encoder, _ *plan, _ unsafe.Pointer) error { return e.failNever(lossy) }
	}
}

func (e *Encoder) structure(pl *plan, p unsafe.Pointer) error {
	if err := e.enter(pl); err != nil {
		return err
	}
	depth := len(e.path) - 1
	if e.kept != nil || pl.unknown != nil {
		if err := e.keptStructure(pl, p, depth); err != nil {
			return err
		}
		e.leave()
		return e.room(0)
	}
	n := len(pl.fields)
	var forced []int
	if pl.optional {
		var err error
		if n, forced, err = e.optionalFields(pl, p); err != nil {
			return err
		}
	}
	b := appendMapLen(e.buf, n)
	for i := range pl.fields {
		f := &pl.fields[i]
		var q unsafe.Pointer
		if !pl.optional {
			q = unsafe.Add(p, f.off)
		} else if q = f.storedOr(p, forced, i); q == nil {
			continue
		}
		b = f.append(b)
		switch {
		case f.op == opString && len(*(*string)(q)) < bigString:
			b = appendStr(b, *(*string)(q))
			continue
		case f.op != opNone && f.op != opString:
			b = appendScalar(b, f.op, q)
			continue
		}
		e.buf = b
		e.path[depth].i = i
		if err := f.pl.enc(e, f.pl, q); err != nil {
			return err
		}
		b = e.buf
	}
	e.buf = b
	e.leave()
	return e.room(0)
}

// keptStructure appends a struct for which fields may be kept that its type lacks.
func (e *Encoder) keptStructure(pl *plan, p unsafe.Pointer, depth int) error {
	kept := e.keptOf(pl, p)
	rest := make([]keptField, 0, len(kept.fields))
	for _, f := range kept.fields {
		if !pl.hasKey(f.key) {
			rest = append(rest, f)
		}
	}
	forced, err := e.witnesses(pl, p)
	if err != nil {
		return err
	}
	fields := make([]unsafe.Pointer, len(pl.fields)) // nil for those that are left out
	n := len(rest)
	for i := range pl.fields {
		e.path[depth].i = i
		fields[i] = e.storedOrKept(pl, i, p, rest)
		if fields[i] == nil && slices.Contains(forced, i) {
			fields[i] = pl.fields[i].at(p)
		}
		if fields[i] != nil {
			n++
		}
	}
	e.buf = appendMapLen(e.buf, n)
	for i := 0; i <= len(pl.fields); i++ {
		for len(rest) > 0 && (i == len(pl.fields) || rest[0].key < pl.fields[i].key) {
			e.path[depth].i = -1
			e.buf = append(e.buf, rest[0].key...)
			if err := e.keptValue(&rest[0].value, kept.store); err != nil {
				return err
			}
			rest = rest[1:]
		}
		if i == len(pl.fields) || fields[i] == nil {
			continue
		}
		e.buf = pl.fields[i].append(e.buf)
		e.path[depth].i = i
		if err := pl.fields[i].pl.enc(e, pl.fields[i].pl, fields[i]); err != nil {
			return err
		}
	}
	return nil
}

var nothingKept = &keptFields{}

// keptOf returns what is kept for the struct at p, not nil. The path leads into it.
func (e *Encoder) keptOf(pl *plan, p unsafe.Pointer) *keptFields {
	var aside *keptFields
	if e.kept != nil {
		at, ok := e.c.placeOf(&e.region, e.path[:len(e.path)-1], pl)
		e.visit(pl, p, at, ok)
		if ok {
			aside = e.kept.at[at]
		}
	}
	if pl.unknown != nil {
		if kept := *(**keptFields)(pl.unknown.at(p)); kept != nil {
			return kept
		}
	}
	return cmp.Or(aside, nothingKept)
}

// storedOrKept returns where field i of the struct at p is, nil if it is left out. A field that is
// empty is stored if something is kept in it, or if an alias of it is, whose value would come back
// in its place. The path leads to the field.
func (e *Encoder) storedOrKept(pl *plan, i int, p unsafe.Pointer, kept []keptField) unsafe.Pointer {
	f := &pl.fields[i]
	q, ok := f.stored(p)
	if ok || !f.omit && !f.zero {
		return q
	}
	if slices.ContainsFunc(kept, func(k keptField) bool { return pl.aliasOf(k.key) == i }) {
		return f.at(p)
	}
	if f.pl.kind != kindStruct || e.kept == nil {
		return nil
	}
	if at, ok := e.c.placeOf(&e.region, e.path, f.pl); ok && e.kept.inside[at] {
		return f.at(p)
	}
	return nil
}

// hasKey reports whether the type stores a field under key.
func (pl *plan) hasKey(key string) bool {
	_, ok := slices.BinarySearchFunc(pl.fields, key, func(f field, key string) int { return strings.Compare(f.key, key) })
	return ok
}

// optionalFields returns how many fields of a struct that may leave some out are stored, and which
// of them though they are empty.
func (e *Encoder) optionalFields(pl *plan, p unsafe.Pointer) (n int, forced []int, err error) {
	if forced, err = e.witnesses(pl, p); err != nil {
		return 0, nil, err
	}
	n = len(forced)
	for i := range pl.fields {
		if pl.fields[i].isStored(p) {
			n++
		}
	}
	return n, forced, nil
}

// storedOr returns where the field, whose index is i, of the struct at p is, nil if it is left out
// and not forced.
func (f *field) storedOr(p unsafe.Pointer, forced []int, i int) unsafe.Pointer {
	if q, ok := f.stored(p); ok {
		return q
	}
	if slices.Contains(forced, i) {
		return f.at(p)
	}
	return nil
}

// structure reads a struct.
func (d *decoder) structure(pl *plan, p unsafe.Pointer) error {
	if d.pos < len(d.buf) && d.buf[d.pos] == codeFixArray|1 {
		d.unwrap()
	}
	if err := d.enter(pl); err != nil {
		return err
	}
	n, err := d.mapLen()
	if err != nil {
		return err
	}
	first, depth, fields := d.pos, len(d.path)-1, pl.fields
	// Most often the record has the fields that the type has, up to its end.
	i := 0
	for ; i < n && i < len(fields); i++ {
		f := &fields[i]
		if !f.begins(d.buf[d.pos:]) {
			break
		}
		d.pos += len(f.key)
		d.path[depth].i = i
		if err := d.field(f, p); err != nil {
			return err
		}
	}
	if i < n || i < len(fields) {
		names := fieldNames{first: first, count: n, next: i}
		if i > 0 {
			names.prev = fields[i-1].key
		}
		if err := d.otherFields(pl, p, &names, n-i); err != nil {
			return err
		}
	}
	d.leave()
	return nil
}

// field reads the value of a field of the struct at p.
func (d *decoder) field(f *field, p unsafe.Pointer) error {
	var q unsafe.Pointer
	if f.via == nil {
		q = unsafe.Add(p, f.off)
	} else {
		q = f.make(p)
	}
	switch f.op {
	case opNone:
		return f.pl.dec(d, f.pl, q)
	case opString:
		if d.shortString((*string)(q)) {
			return nil
		}
		return d.string((*string)(q))
	}
	return d.scalar(f.op, q)
}

// otherFields reads n more fields of a struct whose fields are not all those that the type has.
// Names come in their order, so that one walk over both matches them, and each at most once.
func (d *decoder) otherFields(pl *plan, p unsafe.Pointer, at *fieldNames, n int) error {
	depth := len(d.path) - 1
	for range n {
		f, err := d.name(pl, p, at, depth)
		if err == nil && f != nil {
			err = d.field(f, p)
		}
		if err != nil {
			return err
		}
	}
	d.absent(pl.fields[at.next:])
	if d.keep != nil {
		d.keep.end(pl, p, at.first)
	}
	return nil
}

// absent is told of fields that the record lacks. It would have them if it were encoded again,
// unless they may be left out.
func (d *decoder) absent(fields []field) {
	for i := range fields {
		if f := &fields[i]; !f.omit && !f.zero && f.via == nil {
			d.differs = true
		}
	}
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

// fieldNames is where the reading of a struct's names is.
type fieldNames struct {
	first, count int    // where the names begin, and their number
	next         int    // the next field that may come
	prev         string // the encoded name that came last
}

// name reads the next name of the struct at p. It returns the field whose value comes next, or nil
// where the type has none and the value was skipped.
func (d *decoder) name(pl *plan, p unsafe.Pointer, at *fieldNames, depth int) (*field, error) {
	const near = 8 // fields left out that are passed over without a look at the name
	for i := at.next; i < min(at.next+near, len(pl.fields)); i++ {
		if f := &pl.fields[i]; f.begins(d.buf[d.pos:]) {
			d.absent(pl.fields[at.next:i])
			d.pos += len(f.key)
			d.path[depth].i = i
			at.next, at.prev = i+1, f.key
			return f, nil
		}
	}
	start := d.pos
	d.path[depth].i = -1
	name, err := d.str()
	if err != nil {
		return nil, err
	}
	if d.pos-start-len(name) != strHead(uint64(len(name))) {
		return nil, d.corrupt("a field name that is not in its shortest form")
	}
	key := unsafe.String(&d.buf[start], d.pos-start)
	if at.prev != "" && key <= at.prev {
		return nil, d.corrupt("field %q out of order, or twice", shorten(string(name)))
	}
	at.prev = key
	i := at.next
	for i < len(pl.fields) && pl.fields[i].key < key {
		i++
	}
	d.absent(pl.fields[at.next:i])
	at.next = i
	if i < len(pl.fields) && pl.fields[i].key == key {
		d.path[depth].i = i
		at.next = i + 1
		return &pl.fields[i], nil
	}
	if i := pl.aliasOf(key); i >= 0 && !d.superseded(pl, i, key, at) {
		d.old = true
		d.path[depth].i = i
		return &pl.fields[i], nil
	}
	s := span{from: d.pos}
	if err := d.skipField(string(name)); err != nil {
		return nil, err
	}
	d.unknown = true
	if s.to = d.pos; d.keep != nil {
		d.keep.find(d, pl, p, at.first, strings.Clone(key), string(name), s)
	}
	return nil, nil
}

// aliasOf returns the index of the field that was once stored under key, -1 if there is none.
func (pl *plan) aliasOf(key string) int {
	for i := range pl.aliases {
		if pl.aliases[i].key == key {
			return pl.aliases[i].field
		}
	}
	return -1
}

// superseded reports whether the struct holds field i under its own name too, or under an alias
// that comes before key.
func (d *decoder) superseded(pl *plan, i int, key string, at *fieldNames) bool {
	better := []string{pl.fields[i].key}
	for _, a := range pl.aliases {
		if a.key == key {
			break
		}
		if a.field == i {
			better = append(better, a.key)
		}
	}
	for pos, n := at.first, at.count; n > 0; n-- {
		for _, k := range better {
			if hasPrefix(d.buf[pos:], k) {
				return true
			}
		}
		var ok bool
		if pos, ok = skip(d.buf, pos); ok {
			pos, ok = skip(d.buf, pos)
		}
		if !ok {
			return false // an error when it is reached
		}
	}
	return false
}

// skipField skips the value of a field that has no place in the type, or a better value.
func (d *decoder) skipField(name string) error {
	end, ok := skip(d.buf, d.pos)
	if !ok {
		return d.corrupt("unknown field %q is malformed", shorten(name))
	}
	if d.late == nil || d.late.active == 0 {
		d.skipped = append(d.skipped, span{d.pos, end})
	}
	d.pos = end
	return nil
}
