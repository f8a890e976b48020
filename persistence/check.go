package persistence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
)

// The kinds of findings of Check.
const (
	// Corrupt: the record or pair is damaged: its checksum, its header, its body or a column. Err
	// is ErrCorrupt.
	Corrupt FindingKind = iota + StaleColumn + 1
	// Dangling: the record ID refers to Ref, which does not exist. Err is ErrDangling.
	Dangling
	// Mismatch: the columns disagree with the record: its type, its size or, in a directory, its
	// ID.
	Mismatch
	// ExpiredClaim: the claim of the record has lapsed, and nobody has claimed it since.
	// [Store.ReleaseExpired] ends it.
	ExpiredClaim
	// Stray: the file or row Key belongs to nothing.
	Stray
)

// CheckOptions are the options of [Store.Check].
type CheckOptions struct {
	// Query selects the records to check. nil: all records, all pairs, and what belongs to nothing.
	Query *Query
	// Progress, if not nil, is called now and then with the number of records and pairs checked and
	// the number that there were in the beginning. It costs a count of the records.
	Progress func(done, total int64)
}

// Check reads records whole and tells what is wrong with them: the findings of the kinds [Corrupt],
// [Dangling], [Mismatch], [ExpiredClaim] and [Stray], and [Unloadable] for a record of a format
// newer than this program or over its [Limits]. It needs no types and changes nothing. What is
// found can be put away with [Store.Quarantine] and [Store.QuarantineKeys].
//
// It reads page by page, as [Store.List] does. A reference is given as dangling only if the record
// that it leads to was missing in the view that has the record that refers to it; one that comes to
// dangle while Check runs may not be found. A damaged record is a Finding and no error; an error
// ends the iteration. Whether a claim has lapsed is judged by the clock of this machine.
func (c *conn) Check(ctx context.Context, o CheckOptions) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		ch := &checker{ctx: ctx, o: &o, yield: yield, known: idSets{}}
		err := ch.run(c)
		if err != nil && !errors.Is(err, errStopped) {
			yield(Finding{}, c.s.fail("check", "", err))
		}
	}
}

// errStopped: the caller of an iterator has broken off.
var errStopped = errors.New("iteration was broken off")

// A checker is one Check.
type checker struct {
	ctx   context.Context
	o     *CheckOptions
	yield func(Finding, error) bool

	done, total int64
	known       idSets // records that are there, as far as was seen
}

func (ch *checker) run(c *conn) error {
	dq, err := c.s.compile(ch.o.Query)
	if err != nil {
		return err
	}
	pairs := ch.o.Query == nil
	if ch.o.Progress != nil {
		if err := ch.count(c, dq, pairs); err != nil {
			return err
		}
	}
	if err := ch.check(c, dq); err != nil || !pairs {
		return err
	}
	if err := ch.check(&c.s.kv.c, &driver.Query{}); err != nil && !unprepared(err) {
		return err
	}
	return ch.strays(c)
}

// unprepared reports whether an error says that a namespace is not there and cannot be made.
func unprepared(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrReadOnly) || errors.Is(err, errors.ErrUnsupported)
}

// count finds out how many records and pairs there are to check.
func (ch *checker) count(c *conn, q *driver.Query, pairs bool) error {
	add := func(c *conn, q *driver.Query) error {
		return c.readOnce(ch.ctx, func(r driver.Reader) error {
			n, err := r.Count(ch.ctx, q)
			if q.Limit > 0 {
				n = min(n, int64(q.Limit))
			}
			ch.total += n
			return err
		})
	}
	if err := add(c, q); err != nil && !concernsOneRecord(err) {
		return err
	}
	if pairs {
		if err := add(&c.s.kv.c, &driver.Query{}); err != nil && !unprepared(err) {
			return err
		}
	}
	return nil
}

// check checks the records of one namespace.
func (ch *checker) check(c *conn, q *driver.Query) error {
	q.Parts = driver.Info | driver.Data
	q.Columns = []string{driver.ColType, driver.ColSize, driver.ColClaimUntil}
	known := &idSet{}
	ch.known[c.namespace] = known
	page := &checkPage{c: c, ctx: ch.ctx, known: known}
	listed := false
	p := c.newPager(q, dataPage, page, page.refer)
	for more := true; more; {
		var err error
		if more, err = p.read(ch.ctx); err != nil {
			return err
		}
		for _, err := range p.bad {
			page.damaged(err)
		}
		if more && len(page.refs) > 0 && !listed {
			if err := ch.list(c, known); err != nil {
				return err
			}
			listed = true
		}
		for _, f := range page.findings {
			if !ch.yield(f, nil) {
				return errStopped
			}
		}
		if ch.done += int64(p.n + len(p.bad)); ch.o.Progress != nil {
			ch.o.Progress(ch.done, max(ch.done, ch.total))
		}
	}
	return nil
}

// list takes in the IDs that there are, as many as there is room for: references to them need no
// look.
func (ch *checker) list(c *conn, known *idSet) error {
	for id, err := range stream(c, ch.ctx, "check", idPage, &driver.Query{}, nil, func(rec *driver.Record) ID { return rec.ID }) {
		switch {
		case err == nil && !known.add(id):
			return nil
		case err != nil && !concernsOneRecord(err):
			return err
		}
	}
	return nil
}

// strays tells of what belongs to nothing.
func (ch *checker) strays(c *conn) error {
	var found []driver.Stray
	err := c.call(ch.ctx, func(b driver.Backend) error {
		finder, ok := b.(driver.StrayFinder)
		if !ok {
			return nil
		}
		for s, err := range finder.Strays(ch.ctx, ch.known.has) {
			if err != nil {
				return err
			}
			found = append(found, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range found {
		if !ch.yield(Finding{Kind: Stray, Key: s.Key, Detail: s.Detail}, nil) {
			return errStopped
		}
	}
	return nil
}

// A checkPage is the findings of one page of records. Of each record it keeps the references alone.
type checkPage struct {
	c   *conn
	ctx context.Context

	findings []Finding
	known    *idSet      // records that have been seen
	ids      map[ID]bool // records that exist, of those that the page is about and that are not known
	refs     []reference
	now      time.Time
}

// A reference is from one record to another.
type reference struct {
	from, to ID
	lazy     bool
}

func (p *checkPage) begin(int) {
	p.findings, p.refs, p.now = p.findings[:0], p.refs[:0], time.Now()
	if p.ids == nil {
		p.ids = make(map[ID]bool)
	}
	clear(p.ids)
}

func (p *checkPage) row(rec *driver.Record) {
	s := p.c.s
	if idfactory.Validate(rec.ID, p.c.namespace == driver.Objects && s.ids.Integral()) != nil {
		return // a stray
	}
	p.known.add(rec.ID)
	if rec.Claim.Owner != "" && !rec.Claim.Until.After(p.now) {
		p.add(rec.ID, ExpiredClaim, fmt.Sprintf("the claim of %q has lapsed at %v", rec.Claim.Owner, rec.Claim.Until), nil)
	}
	h, err := records.Parse(rec.Data, s.limits)
	if err == nil {
		err = records.Verify(h, s.limits, genericForms)
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrCorrupt):
		p.add(rec.ID, Corrupt, err.Error(), err)
		return
	default:
		p.add(rec.ID, Unloadable, err.Error(), err)
		return
	}
	if rec.Type != h.Type && !slices.Contains(s.missing, driver.ColType) {
		p.add(rec.ID, Mismatch, fmt.Sprintf("its column says that it is a %q, the record is a %q", rec.Type, h.Type), nil)
	}
	if size := int64(len(rec.Data)); rec.Size != size {
		p.add(rec.ID, Mismatch, fmt.Sprintf("its column says that it has %d bytes, the record has %d", rec.Size, size), nil)
	}
	for _, id := range h.Eager {
		p.refs = append(p.refs, reference{rec.ID, id, false})
	}
	for _, id := range h.Lazy {
		p.refs = append(p.refs, reference{rec.ID, id, true})
	}
}

// refer finds the references of the page that lead to nothing, in the view of the page.
func (p *checkPage) refer(r driver.Reader) error {
	var outside []ID
	for _, ref := range p.refs {
		if !p.known.has(ref.to) {
			outside = append(outside, ref.to)
		}
	}
	if len(outside) == 0 {
		return nil
	}
	slices.Sort(outside)
	outside = slices.Compact(outside)
	for some := range slices.Chunk(outside, dataPage) {
		if err := p.lookUp(r, some); err != nil {
			return err
		}
	}
	for _, ref := range p.refs {
		if !p.known.has(ref.to) && !p.ids[ref.to] {
			what := "refers to"
			if ref.lazy {
				what = "refers lazily to"
			}
			p.add(ref.from, Dangling, fmt.Sprintf("%s %q, which does not exist", what, ref.to), ErrDangling)
			p.findings[len(p.findings)-1].Ref = ref.to
		}
	}
	return nil
}

// lookUp finds out which of some IDs exist. A record that is damaged exists.
func (p *checkPage) lookUp(r driver.Reader, ids []ID) error {
	recs, err := r.Get(p.ctx, ids, 0)
	if err != nil && !concernsOneRecord(err) {
		return err
	}
	if err == nil {
		for i := range recs {
			p.ids[recs[i].ID] = true
		}
		return nil
	}
	// One of them is damaged. Which ones are, each alone tells.
	for _, id := range ids {
		recs, err := r.Get(p.ctx, []ID{id}, 0)
		if err != nil && !concernsOneRecord(err) {
			return err
		}
		if err != nil || len(recs) > 0 {
			p.ids[id] = true
		}
	}
	return nil
}

// damaged adds the finding of a record that the backend could not read.
func (p *checkPage) damaged(err error) {
	kind, id := Corrupt, ID("")
	if re, ok := errors.AsType[*driver.RecordError](err); ok {
		id, err = re.ID, re.Err
		p.known.add(id)
	}
	if errors.Is(err, driver.ErrMismatch) {
		kind = Mismatch
	} else if errors.Is(err, errors.ErrUnsupported) {
		kind = Unloadable
	}
	p.add(id, kind, err.Error(), err)
}

func (p *checkPage) add(id ID, kind FindingKind, detail string, err error) {
	f := Finding{Kind: kind, ID: id, Detail: detail, Err: err}
	if p.c.namespace == driver.Pairs {
		f.ID, f.Key = "", string(id)
	}
	p.findings = append(p.findings, f)
}
