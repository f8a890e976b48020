package persistence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// A QuarantinedRecord is a record, a pair or a stray that was put away.
type QuarantinedRecord struct {
	// Record is the record or pair, as far as it can be read: an ID at least, unless it is a stray.
	Record
	Key    string // of a pair or stray; ID is "" then
	Reason string // as given to Quarantine
	Time   time.Time
	// Stored is what was put away, in the form of the backend: a file, or a row as JSON.
	Stored []byte
	Err    error // why the record cannot be read; nil: it can, or it is a stray
}

// A quarantineEntry is the value of a record in quarantine.
type quarantineEntry struct {
	ID     ID
	Key    string // of a pair or stray
	Stray  bool
	Reason string
	Time   time.Time
	Stored []byte

	id ID // in quarantine, of one that was read
}

const quarantineEntryName = "brine.Quarantined"

func init() { Register[quarantineEntry](quarantineEntryName) }

// stored returns what was put away as the backend knows it.
func (p *quarantineEntry) stored() driver.Stored {
	switch {
	case p.Stray:
		return driver.Stored{Key: p.Key, Data: p.Stored}
	case p.Key != "":
		return driver.Stored{ID: ID(p.Key), Data: p.Stored}
	}
	return driver.Stored{ID: p.ID, Data: p.Stored}
}

// namespace returns where it was.
func (p *quarantineEntry) namespace() driver.Namespace {
	if p.Key != "" && !p.Stray {
		return driver.Pairs
	}
	return driver.Objects
}

// mutation returns the change that takes it away or puts it back.
func (p *quarantineEntry) mutation(op driver.Op) driver.Mutation {
	s := p.stored()
	return driver.Mutation{Op: op, Namespace: p.namespace(), Rec: driver.Record{ID: s.ID, Data: s.Data}, Stray: s.Key}
}

// quarantineLimits are those of what is put away: records as they are, whatever the limits of the
// store.
var quarantineLimits = codec.Limits{MaxBytes: math.MaxInt64, MaxDepth: defaultMaxDepth}

// Quarantine puts records away, readable or not: byte for byte, with all their columns, revision
// and claim, the reason and the time. They are then in a table or directory beside the store, and
// no other call finds them. All are put away in one atomic step, or none is: ErrNotFound names the
// first that does not exist. What refers to them is left alone, and cannot be loaded until they are
// put back with [Store.Unquarantine]. A record of a format newer than this program is
// errors.ErrUnsupported and stays.
func (s *Store) Quarantine(ctx context.Context, reason string, ids ...ID) error {
	if err := s.mayWrite("quarantine", only(ids)); err != nil {
		return err
	}
	for _, id := range ids {
		if id == "" {
			return s.fail("quarantine", id, ErrNotFound)
		}
	}
	err := s.moveToQuarantine(ctx, reason, func() ([]quarantineEntry, error) { return s.storedRecords(ctx, driver.Objects, ids) })
	return s.fail("quarantine", "", err)
}

// QuarantineKeys is [Store.Quarantine] for what a [Finding] names by its Key: pairs, and files or
// rows that belong to nothing. A key that names both a pair and such a file or row is
// errors.ErrUnsupported.
func (s *Store) QuarantineKeys(ctx context.Context, reason string, keys ...string) error {
	if err := s.mayWrite("quarantine", ""); err != nil {
		return err
	}
	err := s.moveToQuarantine(ctx, reason, func() ([]quarantineEntry, error) { return s.storedKeys(ctx, keys) })
	return s.fail("quarantine", "", err)
}

// salvager returns the backend as one that can move what it cannot read.
func (s *Store) salvager() (driver.Salvager, error) {
	b, ok := ability[driver.Salvager](&s.conn)
	if !ok {
		return nil, fmt.Errorf("quarantine in this backend: %w", errors.ErrUnsupported)
	}
	return b, nil
}

// storedRecords reads records of a namespace as they are stored.
func (s *Store) storedRecords(ctx context.Context, ns driver.Namespace, ids []ID) ([]quarantineEntry, error) {
	b, err := s.salvager()
	if err != nil {
		return nil, err
	}
	var found []driver.Stored
	err = s.call(ctx, func(driver.Backend) error {
		found, err = b.Stored(ctx, ns, ids, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	byID := make(map[ID][]byte, len(found))
	for _, f := range found {
		byID[f.ID] = f.Data
	}
	var all []quarantineEntry
	for _, id := range ids {
		data, ok := byID[id]
		if !ok {
			return nil, &driver.RecordError{ID: id, Err: ErrNotFound}
		}
		if byID[id] == nil {
			continue // named twice
		}
		byID[id] = nil
		p := quarantineEntry{ID: id, Stored: data}
		if ns == driver.Pairs {
			p.ID, p.Key = "", string(id)
		}
		if err := s.refuseNewer(b, &p); err != nil {
			return nil, &driver.RecordError{ID: id, Err: err}
		}
		all = append(all, p)
	}
	return all, nil
}

// refuseNewer returns an error for a record of a newer format.
func (s *Store) refuseNewer(b driver.Salvager, p *quarantineEntry) error {
	rec, err := b.OpenStored(p.namespace(), p.stored())
	if err == nil {
		_, err = records.Parse(rec.Data, quarantineLimits)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// storedKeys reads pairs and strays as they are stored.
func (s *Store) storedKeys(ctx context.Context, keys []string) ([]quarantineEntry, error) {
	b, err := s.salvager()
	if err != nil {
		return nil, err
	}
	// The pairs tell the backend where they are, even if there is none.
	if err := s.kv.c.prepare(ctx); err != nil && !unprepared(err) {
		return nil, err
	}
	var all []quarantineEntry
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		var strays []driver.Stored
		err := s.call(ctx, func(driver.Backend) error {
			strays, err = b.Stored(ctx, driver.Objects, nil, []string{key})
			return err
		})
		if err != nil {
			return nil, &driver.RecordError{ID: ID(key), Err: err}
		}
		var pairs []quarantineEntry
		if s.kv.c.prepared.Load() && checkKey(key) == nil {
			if pairs, err = s.storedRecords(ctx, driver.Pairs, []ID{ID(key)}); err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
		}
		switch {
		case len(strays) == 0 && len(pairs) == 0:
			return nil, &driver.RecordError{ID: ID(key), Err: ErrNotFound}
		case len(strays) > 0 && len(pairs) > 0:
			return nil, &driver.RecordError{ID: ID(key), Err: fmt.Errorf("the key names a pair and something that belongs to nothing: %w", errors.ErrUnsupported)}
		case len(strays) > 0:
			all = append(all, quarantineEntry{Key: key, Stray: true, Stored: strays[0].Data})
		default:
			all = append(all, pairs...)
		}
	}
	return all, nil
}

// moveToQuarantine puts away what read returns. It reads again if something has changed meanwhile.
func (s *Store) moveToQuarantine(ctx context.Context, reason string, read func() ([]quarantineEntry, error)) error {
	if !utf8.ValidString(reason) {
		return fmt.Errorf("the reason %q is no UTF-8: %w", reason, ErrUnstorable)
	}
	for range maxAttempts {
		all, err := read()
		if err != nil || len(all) == 0 {
			return err
		}
		if err := s.quarantine.prepare(ctx); err != nil {
			return err
		}
		ms, err := quarantineMutations(all, reason)
		if err == nil {
			_, err = s.apply(ctx, ms)
		}
		if err == nil || !changedMeanwhile(err) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d attempts: %w", maxAttempts, ErrConflict)
}

// changedMeanwhile reports whether an error of putting away says that it may be tried again.
func changedMeanwhile(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrExists)
}

// quarantineMutations returns the mutations that put away what was read.
func quarantineMutations(all []quarantineEntry, reason string) ([]driver.Mutation, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	ms := make([]driver.Mutation, 0, 2*len(all))
	for i := range all {
		p := &all[i]
		p.Reason, p.Time = reason, now
		rec, err := p.record()
		if err != nil {
			return nil, err
		}
		ms = append(ms, p.mutation(driver.Withdraw), driver.Mutation{Op: driver.Create, Namespace: driver.Quarantine, Rec: rec})
	}
	return ms, nil
}

// record returns the record of what is put away.
func (p *quarantineEntry) record() (driver.Record, error) {
	enc := records.NewEncoder(quarantineLimits, nil)
	defer enc.Free()
	e, err := enc.Encode(p, nil)
	if err != nil {
		return driver.Record{}, err
	}
	return driver.Record{
		ID: ID(quarantinePrefix(p.ID, p.Key) + fmt.Sprintf("%020d", p.Time.UnixMicro())), Type: e.Type,
		Data: slices.Clone(e.Data), Size: int64(len(e.Data)), Created: p.Time, Modified: p.Time,
	}, nil
}

// quarantinePrefix returns what the IDs in quarantine of a record, pair or stray begin with. Those
// of others may begin so too.
func quarantinePrefix(id ID, key string) string {
	kind, name := "id:", string(id)
	if key != "" {
		kind, name = "key:", key
	}
	name = strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), "")
	const most = 120
	for len(name) > most || !utf8.ValidString(name) {
		name = name[:min(len(name)-1, most)]
	}
	return kind + name + "@"
}

// Quarantined streams what was put away, in the order of the IDs and then of the time. An error of
// ErrCorrupt concerns one entry, which cannot be read itself, and the iteration continues; any
// other error ends it. A damaged record is no error: Err of what is yielded says what is wrong.
func (s *Store) Quarantined(ctx context.Context) iter.Seq2[QuarantinedRecord, error] {
	return func(yield func(QuarantinedRecord, error) bool) {
		for p, err := range s.entries(ctx, "") {
			var q QuarantinedRecord
			if err == nil {
				q, err = s.quarantined(p)
			}
			if err != nil && unprepared(err) && !concernsOneRecord(err) {
				return // there is no quarantine
			}
			if !yield(q, s.fail("quarantined", "", err)) {
				return
			}
		}
	}
}

// entries streams what was put away and has an ID in quarantine with a prefix.
func (s *Store) entries(ctx context.Context, prefix string) iter.Seq2[*quarantineEntry, error] {
	type entry struct {
		p   *quarantineEntry
		err error
	}
	q := &driver.Query{Parts: driver.Info | driver.Data}
	if prefix != "" {
		q.Where = []driver.Cond{{Column: driver.ColID, Op: driver.HasPrefix, Values: []any{prefix}}}
	}
	return func(yield func(*quarantineEntry, error) bool) {
		for e, err := range stream(&s.quarantine, ctx, "quarantined", dataPage, q, nil, func(rec *driver.Record) entry {
			p, err := openQuarantineEntry(rec)
			return entry{p, err}
		}) {
			if err == nil {
				err = e.err
			}
			if !yield(e.p, err) {
				return
			}
		}
	}
}

// openQuarantineEntry reads a record of the quarantine.
func openQuarantineEntry(rec *driver.Record) (*quarantineEntry, error) {
	h, err := records.Parse(rec.Data, quarantineLimits)
	if err == nil && h.Type != quarantineEntryName {
		err = fmt.Errorf("a %q in quarantine: %w", h.Type, ErrCorrupt)
	}
	p := &quarantineEntry{id: rec.ID}
	if err == nil {
		_, err = records.Decode(h, p, codec.DecodeOptions{Limits: quarantineLimits})
	}
	if err != nil {
		return nil, &driver.RecordError{ID: rec.ID, Err: err}
	}
	return p, nil
}

// quarantined describes what was put away.
func (s *Store) quarantined(p *quarantineEntry) (QuarantinedRecord, error) {
	q := QuarantinedRecord{Key: p.Key, Reason: p.Reason, Time: p.Time, Stored: p.Stored}
	q.ID = p.ID
	if p.Stray {
		return q, nil
	}
	b, err := s.salvager()
	if err != nil {
		return q, err
	}
	if p.namespace() == driver.Pairs {
		if err := s.kv.c.prepare(context.Background()); err != nil {
			q.Err = err
			return q, nil //nolint:nilerr // it is told of this record
		}
	}
	var rec driver.Record
	err = s.call(context.Background(), func(driver.Backend) error {
		rec, err = b.OpenStored(p.namespace(), p.stored())
		return err
	})
	if err != nil {
		q.Err = err
		return q, nil //nolint:nilerr // it is told of this record
	}
	if p.namespace() == driver.Objects {
		q.Info = s.info(&rec)
	} else {
		q.Info = Info{Type: rec.Type, State: rec.State, Revision: rec.Revision, Size: rec.Size, Created: rec.Created, Modified: rec.Modified}
	}
	q.ID, q.Bytes, q.limits = p.ID, rec.Data, s.limits
	h, err := records.Parse(rec.Data, s.limits)
	if err == nil {
		q.Version, q.Refs, q.LazyRefs = h.Version, h.Eager, h.Lazy
		err = records.Verify(h, s.limits, genericForms)
	}
	q.Err = err
	return q, nil
}
