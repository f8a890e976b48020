package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
)

// copyRounds is how often a batch is tried that others write in dst.
const copyRounds = 5

// batch copies some records of a namespace: what is sound of them, in one step.
func (cp *copying) batch(to *conn, recs []driver.Record) error {
	sound := make([]driver.Record, 0, len(recs))
	for i := range recs {
		if err := cp.sound(&recs[i]); err != nil {
			cp.fail(&driver.RecordError{ID: recs[i].ID, Err: err})
			continue
		}
		sound = append(sound, recs[i])
		if seq, ok := recs[i].ID.Seq(); ok && to == cp.to {
			cp.highest = max(cp.highest, seq)
		}
	}
	if len(sound) == 0 {
		return nil
	}
	var err error
	for range copyRounds {
		err = cp.tryBatch(to, sound)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUncertain) && !errors.Is(err, errTaken) {
			break
		}
	}
	return err
}

// errTaken: what was not there is there now.
var errTaken = errors.New("the record was made meanwhile")

// sound returns the error of a record whose bytes cannot be read.
func (cp *copying) sound(rec *driver.Record) error {
	_, err := records.Parse(rec.Data, cp.src.limits)
	return err
}

// tryBatch compares records with what dst has, and writes and reads back those that it is to have.
func (cp *copying) tryBatch(to *conn, recs []driver.Record) error {
	found, err := cp.inDst(to, recs)
	if err != nil {
		return err
	}
	var ms []driver.Mutation
	var same, skipped, overwritten int64
	for i := range recs {
		was := found[recs[i].ID]
		m := driver.Mutation{Op: driver.Import, Rec: recs[i]}
		if was != nil {
			path := cp.difference(was, &recs[i])
			switch {
			case path == "":
				same++
				continue
			case cp.o.Existing == SkipExisting:
				skipped++
				continue
			case cp.o.Existing == FailExisting:
				return &driver.RecordError{ID: recs[i].ID, Err: fmt.Errorf("the destination has another one, which differs in %s: %w", path, ErrExists)}
			}
			overwritten++
			m.IfRev = max(was.Revision, 1)
			m.Rec.Revision = max(was.Revision, m.Rec.Revision) + 1
		}
		ms = append(ms, m)
	}
	if len(ms) > 0 && !cp.o.DryRun {
		if err := cp.write(to, ms); err != nil {
			return err
		}
	}
	if to != cp.to {
		cp.report.Pairs += int64(len(ms))
		return nil
	}
	cp.report.Same += same
	cp.report.Skipped += skipped
	cp.report.Overwritten += overwritten
	cp.report.Copied += int64(len(ms)) - overwritten
	return nil
}

// inDst returns what dst has of the IDs of some records. Damaged records of dst are in the way.
func (cp *copying) inDst(to *conn, recs []driver.Record) (map[ID]*driver.Record, error) {
	if cp.o.DryRun && to != cp.to {
		err := to.readOnce(cp.ctx, func(driver.Reader) error { return nil })
		if unprepared(err) {
			return nil, nil
		}
	}
	ids := make([]ID, len(recs))
	for i := range recs {
		ids[i] = recs[i].ID
	}
	got, bad, err := cp.get(to, nil, ids, copyParts)
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("the record of the destination: %w", bad[0])
	}
	if err != nil {
		return nil, err
	}
	found := make(map[ID]*driver.Record, len(got))
	for i := range got {
		found[got[i].ID] = &got[i]
	}
	return found, nil
}

// write writes a batch, and compares what is read back.
func (cp *copying) write(to *conn, ms []driver.Mutation) error {
	recs := make([]driver.Record, len(ms))
	for i := range ms {
		if to == cp.to {
			set, err := cp.set(ms[i].Rec.ColumnSet)
			if err != nil {
				return err
			}
			ms[i].Rec.ColumnSet = set
		}
		recs[i] = ms[i].Rec
	}
	if _, err := to.apply(cp.ctx, ms); err != nil {
		if errors.Is(err, ErrExists) {
			return fmt.Errorf("%w: %w", errTaken, err)
		}
		return err
	}
	found, err := cp.inDst(to, recs)
	if err != nil {
		return err
	}
	for i := range recs {
		got := found[recs[i].ID]
		switch {
		case got == nil:
			return &driver.RecordError{ID: recs[i].ID, Err: fmt.Errorf("it is gone since it was copied: %w", ErrConflict)}
		case got.Revision != 0 && got.Revision != recs[i].Revision:
			continue // someone has written it since
		}
		path := cp.difference(got, &recs[i])
		if path == "" && !cp.lacks(driver.ColCreated) && !got.Created.Equal(recs[i].Created) {
			path = driver.ColCreated
		}
		if path == "" && !cp.lacks(driver.ColModified) && !got.Modified.Equal(recs[i].Modified) {
			path = driver.ColModified
		}
		if path != "" {
			return &driver.RecordError{ID: recs[i].ID, Err: fmt.Errorf("what was written is read back with another %s: %w", path, ErrCorrupt)}
		}
	}
	return nil
}

// lacks reports whether one of the stores does not have a library column.
func (cp *copying) lacks(column string) bool {
	return slices.Contains(cp.src.missing, column) || slices.Contains(cp.dst.missing, column)
}

// difference names the first part in which two records differ, or returns "".
func (cp *copying) difference(a, b *driver.Record) string {
	switch {
	case a.Type != b.Type && !cp.lacks(driver.ColType):
		return driver.ColType
	case a.State != b.State:
		return driver.ColState
	case !bytes.Equal(a.Data, b.Data):
		return "data"
	case sameFields(a.Fields, b.Fields):
		return ""
	}
	for i := range min(len(a.Fields), len(b.Fields)) {
		if !sameFields(a.Fields[i:i+1], b.Fields[i:i+1]) {
			return cp.fields[i].Name
		}
	}
	return ""
}

// set returns the number that dst has for a set of columns of src, which it records if need be.
func (cp *copying) set(number int64) (int64, error) {
	if n, known := cp.sets[number]; known {
		return n, nil
	}
	var set driver.ColumnSet
	switch {
	case cp.catalog == nil:
		set = driver.SetOf(cp.fields) // nothing is known of the records, and the columns count as complete
	case number != 0:
		set = cp.catalog.Sets[number]
		if set == nil { // it was recorded since
			var err error
			if cp.snapshot != nil {
				return 0, fmt.Errorf("records of src have a set of columns that was recorded since Copy began: %w", ErrConflict)
			}
			if cp.catalog, err = cp.src.catalog(cp.ctx); err != nil {
				return 0, err
			}
			set = cp.catalog.Sets[number]
		}
	}
	n := int64(0)
	if cp.target != nil && len(cp.target.Columns) > 0 {
		err := cp.dst.write(cp.ctx, func(b driver.Backend) error {
			var err error
			n, err = b.(driver.Cataloger).AddColumnSet(cp.ctx, set)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	cp.sets[number] = n
	return n, nil
}
