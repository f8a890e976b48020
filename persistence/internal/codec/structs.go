package codec

import (
	"strings"
	"unsafe"
)

// A struct is a map of its stored fields, sorted by encoded name.

func (cp *compiler) buildStruct(pl *plan) {
	fields, lossy := cp.structFields(pl.typ)
	for _, cand := range fields {
		f := cand.field
		f.pl = cp.plan(cand.typ)
		f.op = f.pl.op
		pl.fields = append(pl.fields, f)
		pl.optional = pl.optional || f.omit || f.zero || f.via != nil
	}
	pl.enc = func(e *Encoder, p unsafe.Pointer) error { return e.structure(pl, p) }
	if lossy != nil {
		pl.enc = func(e *Encoder, _ unsafe.Pointer) error { return e.failNever(lossy) }
	}
	pl.dec = func(d *decoder, p unsafe.Pointer) error { return d.structure(pl, p) }
}

func (e *Encoder) structure(pl *plan, p unsafe.Pointer) error {
	if err := e.enter(pl); err != nil {
		return err
	}
	depth := len(e.path) - 1
	if pl.optional {
		if err := e.optionalFields(pl, p, depth); err != nil {
			return err
		}
	} else {
		e.buf = appendMapLen(e.buf, len(pl.fields))
		for i := range pl.fields {
			f := &pl.fields[i]
			e.buf = append(e.buf, f.key...)
			q := unsafe.Add(p, f.off)
			if f.op == opString {
				if s := *(*string)(q); len(s) < bigString {
					e.buf = appendStr(e.buf, s)
					continue
				}
			}
			e.path[depth].i = i
			var err error
			if f.op != opNone {
				err = e.scalar(f.op, q)
			} else {
				err = f.pl.enc(e, q)
			}
			if err != nil {
				return err
			}
		}
	}
	e.leave()
	return e.room(0)
}

// optionalFields appends a struct whose fields may be left out.
func (e *Encoder) optionalFields(pl *plan, p unsafe.Pointer, depth int) error {
	n := 0
	for i := range pl.fields {
		if _, ok := pl.fields[i].stored(p); ok {
			n++
		}
	}
	e.buf = appendMapLen(e.buf, n)
	for i := range pl.fields {
		f := &pl.fields[i]
		q, ok := f.stored(p)
		if !ok {
			continue
		}
		e.buf = append(e.buf, f.key...)
		e.path[depth].i = i
		if err := f.pl.enc(e, q); err != nil {
			return err
		}
	}
	return nil
}

// structure reads a struct. Names come in their order, so that one walk over both matches them, and
// each at most once.
func (d *decoder) structure(pl *plan, p unsafe.Pointer) error {
	if err := d.enter(pl); err != nil {
		return err
	}
	n, err := d.mapLen()
	if err != nil {
		return err
	}
	depth := len(d.path) - 1
	fields := pl.fields
	next, prev := 0, "" // the next field that may come; the encoded name that came last
	for range n {
		var f *field
		if next < len(fields) {
			f = &fields[next]
		}
		if f == nil || !hasPrefix(d.buf[d.pos:], f.key) {
			if f, prev, err = d.unusualName(pl, &next, prev); err != nil {
				return err
			}
			if f == nil {
				continue
			}
		} else {
			d.pos += len(f.key)
			prev = f.key
		}
		d.path[depth].i = next
		next++
		var q unsafe.Pointer
		if f.via == nil {
			q = unsafe.Add(p, f.off)
		} else {
			q = f.make(p)
		}
		if f.op != opNone {
			err = d.scalar(f.op, q)
		} else {
			err = f.pl.dec(d, q)
		}
		if err != nil {
			return err
		}
	}
	d.leave()
	return nil
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

// unusualName reads a name that is not that of the next field. It returns the field, and makes it
// the next, or nil where the type has none and the value was skipped; and the encoded name.
func (d *decoder) unusualName(pl *plan, next *int, prev string) (*field, string, error) {
	start := d.pos
	d.path[len(d.path)-1].i = -1
	name, err := d.str()
	if err != nil {
		return nil, "", err
	}
	if d.pos-start-len(name) != strHead(uint64(len(name))) {
		return nil, "", d.corrupt("a field name that is not in its shortest form")
	}
	key := unsafe.String(&d.buf[start], d.pos-start)
	if prev != "" && key <= prev {
		return nil, "", d.corrupt("field %q out of order, or twice", shorten(string(name)))
	}
	for ; *next < len(pl.fields); *next++ {
		switch c := strings.Compare(pl.fields[*next].key, key); {
		case c == 0:
			return &pl.fields[*next], key, nil
		case c > 0:
			return nil, key, d.unknown(string(name))
		}
	}
	return nil, key, d.unknown(string(name))
}

// unknown skips the value of a field that the type does not have.
func (d *decoder) unknown(name string) error {
	end, ok := skip(d.buf, d.pos)
	if !ok {
		return d.corrupt("unknown field %q is malformed", shorten(name))
	}
	if d.late == nil || d.late.active == 0 {
		d.skipped = append(d.skipped, span{d.pos, end})
	}
	d.pos = end
	if d.opts.Unknown != nil {
		d.opts.Unknown(d.where() + "." + shorten(name))
	}
	return nil
}
