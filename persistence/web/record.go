package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/brine-go/brine/persistence"
)

const (
	// maxShownBytes is the size of a record that is shown as a tree without being asked.
	maxShownBytes = 4 << 20
	// manyLarge is how many records larger than that are read at the same time: each takes several
	// times its size of memory.
	manyLarge = 2
	// someReferences is up to how many of them stand above the value without being unfolded.
	someReferences = 30
	// maxReferences is how many references of a record are looked up and listed.
	maxReferences = 300
)

// A reference is one to a record, with what is known of that record.
type reference struct {
	ID          persistence.ID
	Lazy        bool
	Found       bool // the record is there
	Known       bool // it was looked up
	Type, State string
}

// A recordPage shows a record.
type recordPage struct {
	persistence.Info
	Extra     []fieldValue
	Claim     *claimed
	Version   int
	Damage    string // why the record cannot be read; "": it can
	TooLarge  bool   // the record is larger than what is shown without being asked
	Whole     string // the address of the page that shows it all the same
	Tree      *node
	Refs      []*reference // what it refers to
	MoreRefs  int64
	ManyRefs  int64      // how many there are, if the list is folded up; else 0
	Referrers *referrers // nil: they were not asked for
	Ask       string     // the address of the page with the referrers
	JSON      string
}

// A fieldValue is an extra column of a record.
type fieldValue struct {
	Name string
	shown
}

// A claimed is the claim of a record.
type claimed struct {
	Owner  string
	Until  time.Time
	Token  int64
	Lapsed bool
}

// referrers are the records that refer to one.
type referrers struct {
	List []*reference
	More bool   // not all are in List
	Note string // how far the search went; "": to the end
}

func (s *site) record(ctx context.Context, r *http.Request) (*view, error) {
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	info, err := s.store.Stat(ctx, id)
	if err != nil && !errors.Is(err, persistence.ErrCorrupt) {
		return nil, err
	}
	p := &recordPage{Info: info, JSON: link("record.json", "id", string(id)), Ask: link("record", "id", string(id), "referrers", "1") + "#referrers"}
	p.ID = id
	if err != nil {
		p.Damage = cut(valueLength, err.Error())
	}
	columns, err := s.columns.get(ctx, s.store)
	if err != nil {
		return nil, err
	}
	for _, c := range extra(columns) {
		if v, ok := info.Fields[c.Name]; ok {
			p.Extra = append(p.Extra, fieldValue{c.Name, showValue(v).whole()})
		}
	}
	if p.Claim, err = s.claimOf(ctx, id); err != nil {
		return nil, err
	}
	query := r.URL.Query()
	if info.Size > maxShownBytes && query.Get("whole") == "" {
		p.TooLarge, p.Whole = true, link("record", "id", string(id), "whole", "1")
	} else if err := s.readRecord(ctx, p); err != nil {
		return nil, err
	}
	if query.Get("referrers") != "" {
		if p.Referrers, err = s.referrers(ctx, id, maxReferences); err != nil {
			return nil, err
		}
	}
	return &view{name: "record.html", title: "Record " + cut(cellLength, string(id)), nav: "records", live: p.Referrers == nil && info.Size <= maxShownBytes, data: p}, nil
}

// limitLarge waits until a record of a size may be read, and returns what is called after that.
func (s *site) limitLarge(ctx context.Context, size int64) (done func(), err error) {
	if size <= maxShownBytes {
		return func() {}, nil
	}
	select {
	case s.large <- struct{}{}:
		return func() { <-s.large }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readRecord adds the value of the record and its references. That it is damaged is no error.
func (s *site) readRecord(ctx context.Context, p *recordPage) error {
	done, err := s.limitLarge(ctx, p.Size)
	if err != nil {
		return err
	}
	defer done()
	rec, err := s.store.Record(ctx, p.ID)
	var v any
	if err == nil {
		p.Type, p.Size, p.Version = rec.Type, rec.Size, rec.Version
		v, err = rec.Value()
	}
	if err != nil {
		if !concernsOneRecord(err) {
			return err
		}
		p.Damage = cut(valueLength, err.Error())
		return nil
	}
	var inTree []*reference
	p.Tree, inTree = treeOf(v)
	byID := make(map[persistence.ID]*reference)
	for _, ref := range inTree {
		byID[ref.ID] = ref
	}
	add := func(ids []persistence.ID, lazy bool) {
		for _, id := range ids {
			if len(p.Refs) >= maxReferences {
				p.MoreRefs++
				continue
			}
			ref := byID[id]
			if ref == nil {
				ref = &reference{ID: id}
			}
			ref.Lazy = lazy
			p.Refs = append(p.Refs, ref)
		}
	}
	add(rec.Refs, false)
	add(rec.LazyRefs, true)
	if len(p.Refs) > someReferences {
		p.ManyRefs = int64(len(p.Refs)) + p.MoreRefs
	}
	return s.lookUp(ctx, p.Refs)
}

// lookUp finds type and state of references.
func (s *site) lookUp(ctx context.Context, refs []*reference) error {
	if len(refs) == 0 {
		return nil
	}
	byID := make(map[persistence.ID][]*reference, len(refs))
	var ids []any
	for _, ref := range refs {
		ref.Known = true
		if byID[ref.ID] == nil {
			ids = append(ids, ref.ID)
		}
		byID[ref.ID] = append(byID[ref.ID], ref)
	}
	q := &persistence.Query{Where: []persistence.Cond{persistence.In("id", ids...)}}
	for info, err := range s.store.StatAll(ctx, q, "type", "state") {
		if err != nil && !concernsOneRecord(err) {
			return err
		}
		if e, ok := errors.AsType[*persistence.Error](err); ok {
			info.ID, info.Type = e.ID, "damaged"
		}
		for _, ref := range byID[info.ID] {
			ref.Found, ref.Type, ref.State = true, info.Type, info.State
		}
	}
	return nil
}

// claimOf returns the claim of a record, or nil.
func (s *site) claimOf(ctx context.Context, id persistence.ID) (*claimed, error) {
	q := &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", id), persistence.NotNull("claim_until")}}
	for info, err := range s.store.StatAll(ctx, q, "claim_owner", "claim_until", "claim_token") {
		if errors.Is(err, errors.ErrUnsupported) || err != nil && (concernsOneRecord(err) || isQueryError(err)) {
			return nil, nil // there are no claims, or the page says that the record is damaged
		}
		if err != nil {
			return nil, err
		}
		c := &claimed{}
		c.Owner, _ = info.Fields["claim_owner"].(string)
		c.Until, _ = info.Fields["claim_until"].(time.Time)
		c.Token, _ = info.Fields["claim_token"].(int64)
		c.Lapsed = c.Until.Before(time.Now())
		return c, nil
	}
	return nil, nil
}

// referrers looks for the records that refer to one, at most so many, for at most a fifth of the
// time limit: it reads the beginnings of all records.
func (s *site) referrers(ctx context.Context, id persistence.ID, most int) (*referrers, error) {
	limit := s.timeLimit / 5
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, damaged := &referrers{}, 0
	for ref, err := range s.store.Referrers(limited, id) {
		if err != nil && concernsOneRecord(err) {
			damaged++
			continue
		}
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			found.More = true
			found.Note = fmt.Sprintf("All records have to be looked at for this. It was given up after %s: there may be more.", seconds(limit))
			break
		}
		if err != nil {
			return nil, err
		}
		if len(found.List) == most {
			found.More, found.Note = true, fmt.Sprintf("These are the first %d: there are more.", most)
			break
		}
		found.List = append(found.List, &reference{ID: ref})
	}
	if damaged > 0 {
		found.Note += fmt.Sprintf(" %s cannot be read and may refer to it, too.", records(int64(damaged)))
	}
	return found, s.lookUp(ctx, found.List)
}

// recordJSON answers with the JSON of a record.
func (s *site) recordJSON(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.timeLimit)
	defer cancel()
	b, done, err := s.jsonOf(ctx, r)
	defer done() // after it is written, as until then it is in memory
	if err != nil {
		if concernsOneRecord(err) {
			err = badRequestf("The record cannot be read: %v", err)
		}
		status, v := s.problem(ctx, err)
		s.write(w, status, v)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(b)
	_, _ = w.Write([]byte{'\n'})
}

// jsonOf returns the JSON of the record that a request names, and what is to be called when it is
// needed no more.
func (s *site) jsonOf(ctx context.Context, r *http.Request) (b []byte, done func(), err error) {
	none := func() {}
	id, err := idOf(r)
	if err != nil {
		return nil, none, err
	}
	info, err := s.store.Stat(ctx, id)
	if err != nil && !errors.Is(err, persistence.ErrCorrupt) {
		return nil, none, err
	}
	if done, err = s.limitLarge(ctx, info.Size); err != nil {
		return nil, none, err
	}
	rec, err := s.store.Record(ctx, id)
	if err != nil {
		return nil, done, err
	}
	b, err = rec.MarshalJSON()
	return b, done, err
}
