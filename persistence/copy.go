package persistence

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

// Existing says what [Copy] does with an ID or key that the destination has with anything other.
type Existing uint8

// The ways of Copy with what the destination has.
const (
	FailExisting      Existing = iota // Copy ends with ErrExists, naming it
	SkipExisting                      // it stays as it is, and is counted
	OverwriteExisting                 // it is replaced
)

// CopyOptions are the options of [Copy].
type CopyOptions struct {
	// Query selects the records to copy. nil: all.
	Query *Query
	// Roots are records to copy with all that they reach, by pointers and by [Ref]s, in place of
	// those that a Query selects. One that does not exist is ErrNotFound, and nothing is written. A
	// reference to a record that does not exist is left as it is.
	Roots []ID
	// Existing says what to do with an ID or key that dst has with another type, state, bytes or
	// columns. Default: FailExisting.
	Existing Existing
	// NoPairs leaves out the key-value pairs. Without it all of them are copied, also with a Query
	// and with Roots.
	NoPairs bool
	// DryRun writes nothing: the report counts what would be done.
	DryRun bool
	// Snapshot reads all of src in one view, so that the copy is one state of it. That takes a
	// connection, or in a directory makes writers wait, until the end of Copy; PreFork, Reset and
	// Close of src wait too, so Progress must not call them.
	Snapshot bool
	// Progress, if not nil, is called after each batch with the number of records and pairs done
	// and the number that there were in the beginning; with Roots, of those found so far. It costs
	// a count of the records.
	Progress func(done, total int64)
}

// A CopyReport counts what [Copy] did with records and pairs.
type CopyReport struct {
	Copied      int64 // records that dst did not have
	Same        int64 // records that dst had already, equal in type, state, bytes and columns
	Skipped     int64 // records that dst has otherwise and that were left alone
	Overwritten int64 // records that dst had otherwise and that were replaced
	Failed      int64 // records and pairs of src that could not be read
	// Changed is how many of the records were written in src, by the clocks of the writers, since
	// Copy began. It is 0 with Snapshot, and where src does not know when records were written.
	Changed int64
	Pairs   int64 // pairs that were copied or replaced
}

// Copy copies records and key-value pairs from src to dst, whatever their backends. It needs no
// types. A record keeps its ID, type, state, bytes, revision, times and extra columns. Claims and
// the quarantine are not copied.
//
// The columns and indexes that src has recorded are made in dst, and whether columns are complete
// is copied with the records. If dst has a column of another kind, Copy is refused before it writes
// anything. So it is if the IDs of dst are integers and those of src texts. A record whose values
// another one of dst has in a unique index is ErrUnique.
//
// What dst has already is left alone if it is equal; o.Existing says what happens otherwise. A
// record that is replaced gets a revision above those of both, so that nobody who has loaded the
// old one overwrites the new one. So a Copy that was cut off is finished by running it again. Copy
// removes nothing from dst. Each batch is read back and compared before it counts. Afterwards the
// counter of dst is above the numbers in the IDs that were copied. A [Store.Collect] of dst must
// not run meanwhile: what it finds new it tells by the times of records, which Copy keeps.
//
// Without o.Snapshot others may write to src meanwhile; the copy is then none of any one moment. A
// record or pair that cannot be read is not copied, and is named by the error at the end, which is
// that of the first one: ErrCorrupt, say. A nil o means the defaults. The memory does not grow with
// the number of records, but for the IDs reached from o.Roots. If there is an error, the report
// counts what was done until then.
func Copy(ctx context.Context, dst, src *Store, o *CopyOptions) (CopyReport, error) {
	if o == nil {
		o = &CopyOptions{}
	}
	dst, src = dst.self().s, src.self().s // neither is nil
	if !o.DryRun {
		if err := dst.mayWrite("copy", ""); err != nil {
			return CopyReport{}, err
		}
	}
	cp := &copying{ctx: ctx, src: src, dst: dst, o: o, sets: map[int64]int64{}}
	err := cp.run()
	return cp.report, dst.fail("copy", "", err)
}

// A copying is one Copy.
type copying struct {
	ctx      context.Context
	src, dst *Store
	o        *CopyOptions
	report   CopyReport

	fields   []driver.Column // of src
	from, to *conn           // of the objects with these columns
	catalog  *driver.Catalog // of src; nil: none is recorded
	target   *driver.Catalog // of dst
	sets     map[int64]int64 // numbers in dst of the sets of src

	snapshot    driver.Reader // nil: each page is read for itself
	query       *driver.Query
	reached     map[ID]struct{} // with Roots
	begun       time.Time
	done, total int64
	highest     int64   // number in the IDs copied
	failed      []error // the first of what could not be read
}

// copyParts are what is copied of a record.
const copyParts = driver.Info | driver.Fields | driver.Data | driver.SetNumber

func (cp *copying) run() error {
	if err := cp.check(); err != nil {
		return err
	}
	if err := cp.prepare(); err != nil {
		return err
	}
	cp.begun = time.Now().UTC().Truncate(time.Microsecond)
	var err error
	if cp.o.Snapshot {
		if err := cp.preparePairs(); err != nil {
			return err
		}
		err = cp.from.s.view(cp.ctx, func(r driver.Reader) error {
			cp.snapshot = r
			return cp.copyAll()
		})
	} else {
		err = cp.copyAll()
	}
	if err == nil && !cp.o.DryRun {
		err = cp.dst.numbers.raise(cp.ctx, cp.highest)
	}
	if err == nil && !cp.o.Snapshot {
		err = cp.countChanged()
	}
	if err == nil && len(cp.failed) > 0 {
		err = cp.unreadable()
	}
	return err
}

// check refuses what cannot be copied, before any I/O.
func (cp *copying) check() error {
	switch {
	case cp.dst.ident == cp.src.ident:
		return errors.New("both are the same store, or the files of one are a copy of the other's")
	case cp.o.Query != nil && len(cp.o.Roots) > 0:
		return errors.New("a Query and Roots are given, and only one of them selects the records")
	case cp.o.Existing > OverwriteExisting:
		return fmt.Errorf("Existing is %d", cp.o.Existing)
	case cp.dst.ids.Integral() && !cp.src.ids.Integral():
		return fmt.Errorf("the IDs of %v are texts, and those of the destination are integers: "+
			"open a new destination with Options.IDs that make texts, idfactory.Sequence or idfactory.UUIDv7, say: %w", cp.src.url, ErrInvalidID)
	}
	var err error
	cp.query, err = cp.src.compile(cp.o.Query)
	return err
}

// prepare makes the columns of src in dst, and counts what there is to copy.
func (cp *copying) prepare() error {
	var err error
	if cp.catalog, cp.fields, err = cp.src.recordedColumns(cp.ctx); err != nil {
		return err
	}
	if cp.target, err = cp.dst.catalog(cp.ctx); err != nil {
		return err
	}
	if err := cp.target.Check(cp.fields); err != nil {
		return err
	}
	if cp.from, err = cp.src.withColumns(cp.ctx, cp.fields, false); err != nil {
		return err
	}
	if cp.to, err = cp.dst.withColumns(cp.ctx, cp.fields, !cp.o.DryRun); err != nil {
		return err
	}
	if !cp.o.DryRun {
		if err := cp.makeIndexes(); err != nil {
			return err
		}
		if cp.target, err = cp.dst.catalog(cp.ctx); err != nil {
			return err
		}
		for _, f := range cp.fields {
			if cp.target.Column(f.Name) == nil && (cp.dst.declared(f.Name) == nil || slices.Contains(cp.dst.missing, f.Name)) {
				return fmt.Errorf("the destination has no column %q, and it cannot be added: %w", f.Name, errors.ErrUnsupported)
			}
		}
	}
	if cp.o.Progress == nil {
		return nil
	}
	if len(cp.o.Roots) == 0 {
		if cp.total, err = cp.src.countRecords(cp.ctx, cp.query); err != nil && !concernsOneRecord(err) {
			return err
		}
		if cp.query.Limit > 0 {
			cp.total = min(cp.total, int64(cp.query.Limit))
		}
	}
	if cp.o.NoPairs {
		return nil
	}
	err = cp.src.kv.c.readOnce(cp.ctx, func(r driver.Reader) error {
		n, err := r.Count(cp.ctx, &driver.Query{})
		cp.total += n
		return err
	})
	if unprepared(err) {
		err = nil
	}
	return err
}

// makeIndexes makes those indexes of src in dst that dst lacks: over several columns, and unique
// ones. Those of indexed columns came with the columns.
func (cp *copying) makeIndexes() error {
	if cp.catalog == nil {
		return nil
	}
	missing := slices.DeleteFunc(slices.Clone(cp.catalog.Indexes), cp.target.Serves)
	if len(missing) == 0 {
		return nil
	}
	k, ok := cp.dst.backend.(driver.Indexer)
	if !ok {
		return fmt.Errorf("the %v in the destination: %w", missing[0], errors.ErrUnsupported)
	}
	return cp.dst.write(cp.ctx, func(driver.Backend) error { return k.MakeIndexes(cp.ctx, missing) })
}

// recordedColumns returns the catalog of a store and the columns that it has: those recorded, and
// those of a table made by hand that this Store declares.
func (s *Store) recordedColumns(ctx context.Context) (*driver.Catalog, []driver.Column, error) {
	catalog, err := s.catalog(ctx)
	if err != nil {
		return nil, nil, err
	}
	var fields []driver.Column
	if catalog != nil {
		fields = slices.Clone(catalog.Columns)
	}
	for i := range fields {
		fields[i].InIndex = catalog.InIndexes(fields[i].Name)
		if mine := s.declared(fields[i].Name); mine != nil {
			fields[i].Name = mine.Name // a query of this Store spells it so
		}
	}
	for _, c := range s.watch.declared {
		if catalog.Column(c.Name) == nil && !slices.Contains(s.missing, c.Name) {
			fields = append(fields, c)
		}
	}
	return catalog, fields, nil
}

// withColumns returns a conn to the objects with other columns than those that the Store declares.
func (s *Store) withColumns(ctx context.Context, fields []driver.Column, create bool) (*conn, error) {
	c := &conn{s: s}
	call := s.call
	if create {
		call = s.write
	}
	err := call(ctx, func(b driver.Backend) error {
		ns, err := driver.ObjectsWith(ctx, b, fields, create)
		c.namespace = ns
		return err
	})
	c.prepared.Store(true)
	return c, err
}

// preparePairs makes sure that the pairs of src can be read in the view of a snapshot.
func (cp *copying) preparePairs() error {
	if cp.o.NoPairs {
		return nil
	}
	err := cp.src.kv.c.readOnce(cp.ctx, func(driver.Reader) error { return nil })
	if unprepared(err) {
		return nil
	}
	return err
}

func (cp *copying) copyAll() error {
	var err error
	if len(cp.o.Roots) > 0 {
		err = cp.copyReached()
	} else {
		q := *cp.query
		q.Parts = copyParts
		err = cp.copySelected(cp.from, cp.to, &q)
	}
	if err != nil || cp.o.NoPairs {
		return err
	}
	from := &cp.src.kv.c
	if cp.snapshot != nil && !from.prepared.Load() {
		return nil // there are none
	}
	err = cp.copySelected(from, &cp.dst.kv.c, &driver.Query{Parts: driver.Info | driver.Data})
	if unprepared(err) && cp.srcHasNoPairs() {
		return nil
	}
	return err
}

// srcHasNoPairs reports whether src was never given any, and they cannot be made.
func (cp *copying) srcHasNoPairs() bool { return !cp.src.kv.c.prepared.Load() }

// copySelected copies the records of a namespace that a query selects.
func (cp *copying) copySelected(from, to *conn, q *driver.Query) error {
	page := &copyPage{}
	p := from.newPager(q, dataPage, page, nil)
	if cp.snapshot != nil {
		in, err := driver.InNamespace(cp.snapshot, from.namespace)
		if err != nil {
			return err
		}
		p.in = in
	}
	for more := true; more; {
		var err error
		if more, err = p.read(cp.ctx); err != nil {
			return err
		}
		for _, err := range p.bad {
			cp.fail(err)
		}
		if err := cp.batch(to, page.recs); err != nil {
			return err
		}
		cp.progress(int64(len(page.recs) + len(p.bad)))
	}
	return nil
}

// A copyPage is a page of records.
type copyPage struct{ recs []driver.Record }

func (p *copyPage) begin(int)              { p.recs = p.recs[:0] }
func (p *copyPage) row(rec *driver.Record) { p.recs = append(p.recs, *rec) }

func (cp *copying) progress(n int64) {
	cp.done += n
	if cp.o.Progress != nil {
		cp.o.Progress(cp.done, max(cp.done, cp.total))
	}
}

// copyReached copies the roots and what they reach, wave by wave.
func (cp *copying) copyReached() error {
	cp.reached = make(map[ID]struct{})
	var wave []ID
	add := func(ids []ID) {
		for _, id := range ids {
			if _, known := cp.reached[id]; !known {
				cp.reached[id] = struct{}{}
				wave = append(wave, id)
			}
		}
	}
	add(cp.o.Roots)
	if err := cp.checkRoots(wave); err != nil {
		return err
	}
	for len(wave) > 0 {
		some := wave[:min(len(wave), dataPage)]
		wave = wave[len(some):]
		recs, bad, err := cp.get(cp.from, cp.snapshot, some, copyParts)
		if err != nil {
			return err
		}
		for _, err := range bad {
			cp.fail(err)
		}
		for i := range recs {
			// One that cannot be parsed is found out by batch, and copies nothing.
			if h, err := records.Parse(recs[i].Data, cp.src.limits); err == nil {
				add(h.Eager)
				add(h.Lazy)
			}
		}
		cp.total = max(cp.total, int64(len(cp.reached)))
		if err := cp.batch(cp.to, recs); err != nil {
			return err
		}
		cp.progress(int64(len(some)))
	}
	return nil
}

// checkRoots returns ErrNotFound, naming the first root that does not exist.
func (cp *copying) checkRoots(roots []ID) error {
	for some := range slices.Chunk(roots, infoPage) {
		recs, bad, err := cp.get(cp.from, cp.snapshot, some, 0)
		if err != nil {
			return err
		}
		found := make(map[ID]bool, len(recs))
		for i := range recs {
			found[recs[i].ID] = true
		}
		for _, err := range bad {
			if re, ok := errors.AsType[*driver.RecordError](err); ok {
				found[re.ID] = true
			}
		}
		for _, id := range some {
			if !found[id] {
				return &driver.RecordError{ID: id, Err: ErrNotFound}
			}
		}
	}
	return nil
}

// get is getEach of c.
func (cp *copying) get(c *conn, in driver.Reader, ids []ID, parts driver.Parts) (recs []driver.Record, bad []error, err error) {
	return getEach(cp.ctx, c, in, ids, parts)
}

// getEach reads records, and returns the errors of those that are damaged. in is nil or a Reader of
// the objects, which sees the state to read.
func getEach(ctx context.Context, c *conn, in driver.Reader, ids []ID, parts driver.Parts) (recs []driver.Record, bad []error, err error) {
	read := func(ids []ID) error {
		get := func(r driver.Reader) error {
			some, err := r.Get(ctx, ids, parts)
			if err == nil {
				recs = append(recs, some...)
			}
			return err
		}
		if in != nil {
			r, err := driver.InNamespace(in, c.namespace)
			if err != nil {
				return err
			}
			return get(r)
		}
		return c.readOnce(ctx, get)
	}
	err = read(ids)
	if err == nil || !concernsOneRecord(err) {
		return recs, nil, err
	}
	recs = nil
	for _, id := range ids { // one of them is damaged: each alone tells which
		err := read([]ID{id})
		if err != nil && !concernsOneRecord(err) {
			return nil, nil, err
		}
		if err != nil {
			bad = append(bad, err)
		}
	}
	return recs, bad, nil
}

// maxUnreadable is how many of the records that could not be read the error names.
const maxUnreadable = 10

func (cp *copying) fail(err error) {
	if cp.report.Failed++; len(cp.failed) < maxUnreadable {
		cp.failed = append(cp.failed, err)
	}
}

// unreadable returns the error that names the records that could not be read.
func (cp *copying) unreadable() error {
	var names []string
	for _, err := range cp.failed {
		if re, ok := errors.AsType[*driver.RecordError](err); ok && re.ID != "" {
			names = append(names, fmt.Sprintf("%q", re.ID))
		}
	}
	more := ""
	if cp.report.Failed > int64(len(names)) {
		more = " …"
	}
	return fmt.Errorf("%d could not be read and were not copied, %s%s, the first: %w",
		cp.report.Failed, strings.Join(names, ", "), more, cp.failed[0])
}

// countChanged counts the records of src that were written since Copy began.
func (cp *copying) countChanged() error {
	if slices.Contains(cp.src.missing, driver.ColModified) {
		return nil
	}
	q := &driver.Query{Where: slices.Concat(cp.query.Where, []driver.Cond{
		{Column: driver.ColModified, Op: driver.Ge, Values: []any{cp.begun}},
	})}
	for id, err := range stream(&cp.src.conn, cp.ctx, "copy", idPage, q, nil, func(rec *driver.Record) ID { return rec.ID }) {
		if err != nil && !concernsOneRecord(err) {
			return err
		}
		if _, is := cp.reached[id]; err == nil && (is || cp.reached == nil) {
			cp.report.Changed++
		}
	}
	return nil
}

// raise makes sure that the numbers which are given from now on are above one.
func (n *numbers) raise(ctx context.Context, above int64) error {
	if above < 1 {
		return nil
	}
	if err := n.lock.Acquire(ctx, 1); err != nil {
		return err
	}
	defer n.lock.Release(1)
	n.spans = nil
	for {
		first, err := n.c.nextIDs(ctx, 1)
		if err != nil && above == math.MaxInt64 {
			return nil //nolint:nilerr // there are no numbers left, so none is given out twice
		}
		if err != nil || first > above {
			return err
		}
		if n.noCounter {
			return nil // it gives those above the highest that there is
		}
		missing := min(above, math.MaxInt64-1) - first
		if missing <= 0 {
			return nil
		}
		if _, err := n.c.nextIDs(ctx, int(min(missing, math.MaxInt))); err != nil {
			return err
		}
	}
}
