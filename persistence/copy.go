package persistence

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	// columns, or damaged. Default: FailExisting.
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
	// and the number that there were in the beginning; with Roots, of those found so far. No two
	// calls are concurrent.
	Progress func(done, total int64)
}

// A CopyReport counts what [Copy] did with records and pairs.
type CopyReport struct {
	Copied      int64 // records that dst did not have
	Same        int64 // records that dst had already, equal in type, state, bytes and columns
	Skipped     int64 // records that dst has otherwise and that were left alone
	Overwritten int64 // records that dst had otherwise and that were replaced
	Failed      int64 // records and pairs of src that could not be read
	// Changed is how many records and pairs were written or removed in src since Copy began: if it
	// is 0, the copy is what src had at the end. What was written is told by the clocks of the
	// writers, what was removed by how many records there are. Of a Query it counts what its
	// conditions select. It is 0 with Snapshot, and where src does not know when records were
	// written.
	Changed int64
	Pairs   int64 // pairs that were copied or replaced
}

func (r *CopyReport) add(more CopyReport) {
	r.Copied += more.Copied
	r.Same += more.Same
	r.Skipped += more.Skipped
	r.Overwritten += more.Overwritten
	r.Failed += more.Failed
	r.Pairs += more.Pairs
}

// Copy copies records and key-value pairs from src to dst, whatever their backends. It needs no
// types. A record keeps its ID, type, state, bytes, revision, times and extra columns. Claims and
// the quarantine are not copied.
//
// The columns and indexes that src has recorded are made in dst, and whether columns are complete
// is copied with the records. If dst has a column of another kind, Copy is refused before it writes
// anything. So it is if the IDs of dst are integers and those of src texts. A record whose values
// another one of dst has in a unique index is ErrUnique, unless that one is to be replaced too and
// gets others: the two are then replaced at once, if o.Snapshot is not set.
//
// What dst has already is left alone if it is equal; o.Existing says what happens otherwise. A
// record that is replaced gets a revision above those of both, so that nobody who has loaded the
// old one overwrites the new one. One that is damaged in dst is not destroyed when it is replaced:
// it is put into the quarantine of dst. So a Copy that was cut off is finished by running it again.
// Copy removes nothing from dst. Each batch is read back and compared before it counts. The counter
// of dst is above the numbers in all IDs that were copied, also if Copy was cut off. A
// [Store.Collect] of dst must not run meanwhile: what it finds new it tells by the times of
// records, which Copy keeps.
//
// Without o.Snapshot others may write to src meanwhile; the copy is then none of any one moment. A
// record or pair that cannot be read is not copied, and is named by the error at the end, which is
// that of the first one: ErrCorrupt, say. A nil o means the defaults. The memory does not grow with
// the number of records, but for the IDs reached from o.Roots. If there is an error, the report
// counts what was done until then. When ctx ends, a batch that was begun gets two seconds to end.
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
	cp := &copying{ctx: ctx, src: src, dst: dst, o: o, sets: map[int64]int64{}, copiedEarly: map[ID]bool{}}
	err := cp.run()
	if ended := ctx.Err(); ended != nil && errors.Is(err, context.Canceled) {
		err = ended // a batch has a context of its own, which is cancelled even if ctx has run out
	}
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
	target   *driver.Catalog // of dst

	mu      sync.Mutex      // guards what follows, of the batches
	catalog *driver.Catalog // of src; nil: none is recorded
	sets    map[int64]int64 // numbers in dst of the sets of src
	raised  int64           // the counter of dst is above it
	// copiedEarly are those that were written before their batch.
	copiedEarly map[ID]bool

	snapshot    driver.Reader // nil: each page is read for itself
	query       *driver.Query
	reached     map[ID]bool // with Roots; false: it does not exist
	begun       time.Time
	had         int64 // records that the conditions of the query selected in the beginning
	hadPairs    int64
	done, total int64
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
	var err error
	if cp.o.Snapshot {
		err = cp.from.s.view(cp.ctx, func(r driver.Reader) error {
			cp.snapshot = r
			return cp.copyAll()
		})
	} else {
		err = cp.copyAll()
	}
	if err == nil && !cp.o.Snapshot {
		err = cp.ofSrc(cp.countChanged())
	}
	if err == nil && cp.report.Failed > 0 {
		err = cp.ofSrc(cp.unreadable())
	}
	return err
}

// ofSrc returns an error of reading src as one that names it.
func (cp *copying) ofSrc(err error) error { return cp.src.fail("copy", "", err) }

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
