package persistence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// Vet tells what this program would make of the records that q selects, or of all records and pairs
// if q is nil, and changes none of them. Use it to try a new version of a program on a copy of the
// data. A record without fault gives no Finding; others may give several.
//
// A type that is neither registered nor otherwise known to the process by then, by a Load[T] or a
// TypeName[T], is an unknown one.
//
// It reads page by page, as [Store.List] does, and each record by itself. An error of ErrCorrupt
// concerns a record too damaged to be listed, and the iteration continues; any other error ends it.
func (c *conn) Vet(ctx context.Context, q *Query) iter.Seq2[Finding, error] {
	dq, err := c.s.compile(q)
	return func(yield func(Finding, error) bool) {
		if err != nil {
			yield(Finding{}, c.s.fail("vet", "", err))
			return
		}
		more := true
		each := func(v *vetted, err error) bool {
			if err != nil {
				more = yield(Finding{}, c.s.fail("vet", "", err))
				return more
			}
			for _, f := range v.findings() {
				if more = yield(f, nil); !more {
					break
				}
			}
			return more
		}
		c.vet(ctx, dq, each)
		if q == nil && more {
			c.s.kv.c.vet(ctx, &driver.Query{}, each)
		}
	}
}

// A vetted is a record with what this program makes of it.
type vetted struct {
	c   *conn
	rec *driver.Record

	err     error // why it cannot be loaded; nil: it can be
	typ     reflect.Type
	version int // of the record
	out     codec.Outcome
	aliased bool   // its type is stored under another name
	stale   string // a column that differs, or ""
}

// old reports whether the record has the form of an older program.
func (v *vetted) old() bool { return v.err == nil && (v.out.Old || v.aliased) }

// findings returns what there is to say of the record.
func (v *vetted) findings() (all []Finding) {
	add := func(kind FindingKind, detail string, err error) {
		f := Finding{Kind: kind, ID: v.rec.ID, Detail: detail, Err: err}
		if v.c.namespace == driver.Pairs {
			f.ID, f.Key = "", string(v.rec.ID)
		}
		if re, ok := errors.AsType[*driver.RecordError](err); ok {
			f.Ref = re.Ref
		}
		all = append(all, f)
	}
	if v.err != nil {
		add(Unloadable, v.err.Error(), v.err)
		return all
	}
	if len(v.out.Unknown) > 0 {
		add(UnknownFields, unknownFields(v.out.Unknown), nil)
	}
	current := records.Version(v.typ)
	if v.version > current {
		add(UnknownFields, fmt.Sprintf("version %d, and this program has %d: it cannot be saved changed", v.version, current), nil)
	}
	if v.old() {
		detail := "names or values of an older form"
		switch name, _ := records.TypeName(v.typ); {
		case v.version < current:
			detail = fmt.Sprintf("version %d, and this program has %d", v.version, current)
		case v.aliased:
			detail = fmt.Sprintf("stored as %s, which is an alias of %s", v.rec.Type, name)
		}
		add(OldForm, detail, nil)
	}
	if v.stale != "" {
		add(StaleColumn, v.stale, nil)
	}
	return all
}

// unknownFields lists fields for people.
func unknownFields(fields []codec.UnknownField) string {
	var kept, lost []string
	for _, f := range fields {
		if f.Place == codec.Lost {
			lost = append(lost, f.Path)
		} else {
			kept = append(kept, f.Path)
		}
	}
	detail := strings.Join(kept, ", ")
	if len(lost) > 0 {
		if detail != "" {
			detail += "; "
		}
		detail += "dropped by a save, which is refused: " + strings.Join(lost, ", ")
	}
	return detail
}

// vet calls each with the records that q selects, or with an error; each reports whether to go on.
// After an error that does not concern one record, it ends.
func (c *conn) vet(ctx context.Context, q *driver.Query, each func(*vetted, error) bool) {
	page := &vetPage{c: c, ctx: ctx}
	query := *q
	query.Parts = driver.Info | driver.Fields | driver.Data
	p := c.newPager(&query, dataPage, page, page.readTypes)
	for more := true; more; {
		var err error
		if more, err = p.read(ctx); err != nil {
			each(nil, err)
			return
		}
		for _, err := range p.bad {
			if !each(nil, err) {
				return
			}
		}
		for i := range page.recs {
			v, err := page.vet(&page.recs[i])
			if err != nil {
				each(nil, err)
				return
			}
			if !each(v, nil) {
				return
			}
		}
	}
}

// A vetPage is a page of records, with the types of those they refer to.
type vetPage struct {
	c     *conn
	ctx   context.Context
	recs  []driver.Record
	types map[ID]string // of the records referred to; those absent are not in it
}

func (p *vetPage) begin(most int) { p.recs = slices.Grow(p.recs[:0], min(most, 32)) }

func (p *vetPage) row(rec *driver.Record) { p.recs = append(p.recs, *rec) }

// readTypes reads the types of the records that the page refers to.
func (p *vetPage) readTypes(r driver.Reader) error {
	p.types = make(map[ID]string)
	var ids []ID
	for i := range p.recs {
		head, err := records.Parse(p.recs[i].Data, p.c.s.limits)
		if err != nil {
			continue // it will be found
		}
		for _, id := range head.Eager {
			if _, ok := p.types[id]; !ok {
				p.types[id] = ""
				ids = append(ids, id)
			}
		}
	}
	clear(p.types)
	if len(ids) == 0 {
		return nil
	}
	recs, err := r.Get(p.ctx, ids, driver.Info)
	for i := range recs {
		p.types[recs[i].ID] = recs[i].Type
	}
	return err
}

// vet decodes a record. The error is not of the record.
func (p *vetPage) vet(rec *driver.Record) (*vetted, error) {
	v := &vetted{c: p.c, rec: rec}
	var obj any
	var refers bool
	if obj, refers, v.err = p.decode(v); v.err != nil || p.c.namespace != driver.Objects {
		return v, nil //nolint:nilerr // it is the finding
	}
	if v.stale = p.stale(rec, obj); v.stale == "" || !refers {
		return v, nil
	}
	// It may depend on the objects referred to, which are empty.
	v.stale = ""
	ptrs, err := p.c.loadWith(p.ctx, []ID{rec.ID}, &loader{c: p.c, unregistered: true, keep: true})
	if err == nil {
		v.stale = p.stale(rec, natural(ptrs[0]))
	}
	if errors.Is(err, ErrNotFound) || err != nil && concernsOneRecord(err) {
		err = nil // removed since, or of another record, which is found by itself
	}
	return v, err
}

// decode makes the object of a record, whose references lead to empty objects. It reports whether
// there are references.
func (p *vetPage) decode(v *vetted) (obj any, refers bool, err error) {
	head, err := records.Parse(v.rec.Data, p.c.s.limits)
	if err != nil {
		return nil, false, err
	}
	v.version = head.Version
	if v.typ, _, err = records.Resolve(head.Type); err != nil {
		return nil, false, err
	}
	name, err := records.TypeName(v.typ)
	if err != nil {
		return nil, false, err
	}
	v.aliased = name != head.Type
	ptr := reflect.New(v.typ).Interface()
	store := p.c.s.ident.Value()
	v.out, err = records.Decode(head, ptr, codec.DecodeOptions{
		Limits: p.c.s.limits, Store: store,
		Lazy:   func(l *codec.Link) { l.Store = store },
		Target: func(id ID) (any, error) { return p.target(v.rec.ID, id) },
	})
	return natural(ptr), len(head.Eager) > 0, err
}

// target returns an empty object for a reference of record from.
func (p *vetPage) target(from, id ID) (any, error) {
	name, ok := p.types[id]
	if !ok {
		return nil, &driver.RecordError{ID: from, Ref: id, Err: ErrDangling}
	}
	t, _, err := records.Resolve(name)
	if err != nil {
		return nil, &driver.RecordError{ID: from, Ref: id, Err: err}
	}
	return reflect.New(t).Interface(), nil
}

// stale describes the first column of rec that differs from what this program computes, "" if none
// does. A claim may have changed the state.
func (p *vetPage) stale(rec *driver.Record, obj any) string {
	s := p.c.s
	if state := s.readState(obj, rec.ID); state != rec.State && rec.Claim.Owner == "" && !slices.Contains(s.missing, driver.ColState) {
		return fmt.Sprintf("state is %q, and the object's is %q", rec.State, state)
	}
	fields, _ := s.fields(obj, rec.ID)
	for i, v := range fields {
		name := s.extras[i].Column().Name
		if i < len(rec.Fields) && !slices.Contains(s.missing, name) && !sameFields([]any{v}, rec.Fields[i:i+1]) {
			return fmt.Sprintf("%s is %v, and the object's is %v", name, rec.Fields[i], v)
		}
	}
	return ""
}
