package persistence

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// MigrateOptions are the parameters of [Store.Migrate].
type MigrateOptions struct {
	Query    *Query                  // the records to look at; nil: all records and pairs
	DryRun   bool                    // only count
	Progress func(done, total int64) // called from time to time; nil: not
}

// A MigrateReport counts what [Store.Migrate] did.
type MigrateReport struct {
	Seen      int64 // records and pairs looked at
	Rewritten int64 // those of old form; with DryRun, those that would be rewritten
	Skipped   int64 // those of old form that are claimed, or that someone else changed meanwhile
	Failed    int64 // those that could not be read or rewritten: each is logged, and left alone
}

// Migrate rewrites each record of old form, as [Store.Vet] finds them, in the newest: with the
// current version, names and kinds of values. It writes in batches, under revision control, and
// raises the revision of what it rewrites. It does not touch what has the newest form, so a Migrate
// that was cut off is finished by running it again. Claimed records are left alone. Others may use
// the store meanwhile.
//
// An error ends it; the report counts what was done until then. Records that cannot be read or
// rewritten are counted and logged, and are no error.
func (s *Store) Migrate(ctx context.Context, o MigrateOptions) (MigrateReport, error) {
	if !o.DryRun {
		if err := s.mayWrite("migrate", ""); err != nil {
			return MigrateReport{}, err
		}
	}
	m := &migration{s: s, ctx: ctx, o: o}
	err := m.run()
	return m.report, s.fail("migrate", "", err)
}

// A migration is the state of a Migrate.
type migration struct {
	s      *Store
	ctx    context.Context
	o      MigrateOptions
	report MigrateReport
	total  int64
}

func (m *migration) run() error {
	dq, err := m.s.compile(m.o.Query)
	if err != nil {
		return err
	}
	pairs := m.o.Query == nil && !m.noPairs()
	if m.o.Progress != nil {
		if m.total, err = m.s.countRecords(m.ctx, dq); err != nil {
			return err
		}
	}
	if err := m.each(&m.s.conn, dq, m.rewriteObjects); err != nil {
		return err
	}
	if pairs {
		if err := m.each(&m.s.kv.c, &driver.Query{}, m.rewritePairs); err != nil {
			return err
		}
	}
	m.progress()
	return nil
}

// noPairs reports whether the backend keeps no pairs.
func (m *migration) noPairs() bool {
	err := m.s.kv.c.prepare(m.ctx)
	return errors.Is(err, errors.ErrUnsupported)
}

func (m *migration) progress() {
	if m.o.Progress != nil {
		m.o.Progress(m.report.Seen, max(m.report.Seen, m.total))
	}
}

// each looks at the records that q selects, and calls rewrite with those of old form, in batches.
func (m *migration) each(c *conn, q *driver.Query, rewrite func([]*vetted) error) error {
	var batch []*vetted
	var failed error
	flush := func() {
		if len(batch) > 0 && failed == nil {
			failed = rewrite(batch)
		}
		batch = nil
		m.progress()
	}
	c.vet(m.ctx, q, func(v *vetted, err error) bool {
		if err != nil {
			if !concernsOneRecord(err) {
				failed = err
				return false
			}
			m.report.Seen++
			m.fail(c, "", err)
			return true
		}
		m.report.Seen++
		switch {
		case v.err != nil:
			m.fail(c, v.rec.ID, v.err)
		case !v.old():
		case v.rec.Claim.Owner != "":
			m.report.Skipped++
		case m.o.DryRun:
			m.report.Rewritten++
		default:
			rec := *v.rec // the page is used again
			v.rec = &rec
			batch = append(batch, v)
		}
		if len(batch) >= updateChunk || m.report.Seen%dataPage == 0 {
			flush()
		}
		return failed == nil
	})
	flush()
	return failed
}

func (m *migration) fail(c *conn, id ID, err error) {
	m.report.Failed++
	what := "record"
	if c.namespace == driver.Pairs {
		what = "pair"
	}
	m.s.logger.Warn("a "+what+" could not be migrated: it is left as it is", "id", string(id), "error", err)
}

// rewriteObjects rewrites records of old form: all in one step or, if that fails because of one of
// them, one at a time.
func (m *migration) rewriteObjects(batch []*vetted) error {
	err := m.rewrite(batch)
	if err == nil || len(batch) == 1 || !worthOneByOne(err) && !errors.Is(err, ErrUnstorable) {
		return m.note(batch, err)
	}
	for i := range batch {
		if err := m.note(batch[i:i+1], m.rewrite(batch[i:i+1])); err != nil {
			return err
		}
	}
	return nil
}

// note counts the outcome of rewriting a batch, and returns an error that ends the migration.
func (m *migration) note(batch []*vetted, err error) error {
	switch {
	case err == nil:
		m.report.Rewritten += int64(len(batch))
	case len(batch) > 1:
		return err
	case errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound):
		m.report.Skipped++ // whoever wrote it wrote the newest form, or the next Migrate finds it
	case concernsOneRecord(err) || errors.Is(err, ErrUnstorable) || errors.Is(err, ErrTooLarge):
		m.fail(&m.s.conn, batch[0].rec.ID, err)
	default:
		return err
	}
	return nil
}

// rewrite loads records and saves them as they are, in one step.
func (m *migration) rewrite(batch []*vetted) error {
	ids := make([]ID, len(batch))
	for i, v := range batch {
		ids[i] = v.rec.ID
	}
	ld := &loader{c: &m.s.conn, unregistered: true, keep: true}
	ptrs, err := m.s.loadWith(m.ctx, ids, ld)
	if err != nil {
		return err
	}
	how := saving{op: "migrate", rewrite: true}
	objs := make([]any, 0, len(ptrs))
	for i, ptr := range ptrs {
		n := ld.nodes[ids[i]]
		if n.rec.Revision != batch[i].rec.Revision {
			return &driver.RecordError{ID: ids[i], Err: ErrConflict}
		}
		objs = append(objs, natural(ptr))
		how.known, how.kept = append(how.known, ld.entry(n)), append(how.kept, ld.outcomes[n].Kept)
	}
	_, err = m.s.save(m.ctx, how, objs...)
	return err
}

// rewritePairs rewrites pairs of old form, one at a time.
func (m *migration) rewritePairs(batch []*vetted) error {
	for _, v := range batch {
		err := m.rewritePair(v)
		switch {
		case err == nil:
			m.report.Rewritten++
		case errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound):
			m.report.Skipped++
		case concernsOneRecord(err) || errors.Is(err, ErrUnstorable) || errors.Is(err, ErrTooLarge):
			m.fail(&m.s.kv.c, v.rec.ID, err)
		default:
			return err
		}
	}
	return nil
}

func (m *migration) rewritePair(v *vetted) error {
	kv := m.s.kv
	head, err := records.Parse(v.rec.Data, m.s.limits)
	if err != nil {
		return err
	}
	ptr := reflect.New(v.typ).Interface()
	out, err := records.Decode(head, ptr, codec.DecodeOptions{Limits: m.s.limits})
	if err != nil {
		return err
	}
	if path := out.Kept.Lost(); path != "" && !m.s.dropUnknown {
		return fmt.Errorf("%s: the pair holds this field, and rewriting it would drop it: %w", path, ErrUnstorable)
	}
	rec, err := kv.encodeKept(string(v.rec.ID), natural(ptr), out.Kept)
	if err != nil {
		return err
	}
	rec.Revision = 0
	_, err = kv.c.apply(m.ctx, []driver.Mutation{{Op: driver.Update, Rec: rec, IfRev: v.rec.Revision}})
	return err
}
