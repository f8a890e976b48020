package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/brine-go/brine/persistence"
)

// maxUpkeep is how many pairs, claims or records in quarantine a page lists.
const maxUpkeep = 200

// An upkeepPage lists the first pairs, claims or records in quarantine.
type upkeepPage struct {
	Prefix      string // of the keys
	Pairs       []pair
	Claims      []claimEntry
	Quarantined []quarantined
	More        bool   // there are more than the page lists
	Note        string // why the list may not be whole; "": it is
}

// A pair is a key with its value.
type pair struct {
	Key               string
	Value             shown
	Damage            string // why the value cannot be shown
	Created, Modified time.Time
}

// A claimEntry is a claim in the list of all.
type claimEntry struct {
	persistence.Info
	claimed
}

// A quarantined is a record, pair or stray in quarantine.
type quarantined struct {
	ID     persistence.ID
	Key    string
	Type   string
	Reason string
	Time   time.Time
	Size   int64
	Damage string
}

// full reports whether the page has n entries already, and there is one more.
func (p *upkeepPage) full(n int) bool {
	p.More = n >= maxUpkeep
	return p.More
}

// ended makes of an error that ends an iteration a note, if what was found so far can be shown: the
// time is up, or the store has nothing of the kind.
func (p *upkeepPage) ended(ctx, limited context.Context, s *site, err error, nothing string) error {
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		p.Note = nothing
		return nil
	case limited.Err() == nil || ctx.Err() != nil:
		return err
	}
	if len(p.Pairs)+len(p.Claims)+len(p.Quarantined) == 0 {
		if err := s.answers(ctx); err != nil {
			return err
		}
	}
	p.Note = "It took too long to list all: there may be more."
	return nil
}

func (s *site) pairs(ctx context.Context, r *http.Request) (*view, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeLimit/2)
	defer cancel()
	p := &upkeepPage{Prefix: r.URL.Query().Get("prefix")}
	for found, err := range s.store.KV().Range(limited, p.Prefix) {
		if errors.Is(err, persistence.ErrInvalidID) {
			return nil, badRequestf("No key can begin with %q.", visible(p.Prefix))
		}
		if err != nil && (found.Key == "" || !concernsOneRecord(err)) {
			if err := p.ended(ctx, limited, s, err, "This store keeps no pairs."); err != nil {
				return nil, err
			}
			break
		}
		if p.full(len(p.Pairs)) {
			break
		}
		entry := pair{Key: found.Key, Created: found.Created, Modified: found.Modified}
		if err != nil {
			entry.Damage = cut(valueLength, err.Error())
		} else {
			entry.Value = pairValue(found.Value).whole() // no other page shows it
		}
		p.Pairs = append(p.Pairs, entry)
	}
	return &view{name: "pairs.html", title: "Pairs", nav: "pairs", live: true, data: p}, nil
}

// pairValue shows the value of a pair, which may be of any type.
func pairValue(v any) shown {
	switch v := v.(type) {
	case nil:
		return shown{Text: "nil", Class: "null"}
	case int, int8, int16, int32, uint, uint8, uint16, uint32, uint64, float32:
		return shown{Text: fmt.Sprint(v), Class: "num"}
	case string, int64, float64, bool, []byte, time.Time:
		return showValue(v)
	}
	return showText(fmt.Sprintf("%+v", v))
}

func (s *site) claims(ctx context.Context, _ *http.Request) (*view, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeLimit/2)
	defer cancel()
	p, now := &upkeepPage{}, time.Now()
	for c, err := range s.store.Claims(limited) {
		if errors.Is(err, persistence.ErrCorrupt) {
			p.Note = "A damaged record is left out. " + cut(valueLength, err.Error())
			continue
		}
		if err != nil {
			if err := p.ended(ctx, limited, s, err, "This store keeps no claims."); err != nil {
				return nil, err
			}
			break
		}
		if p.full(len(p.Claims)) {
			break
		}
		p.Claims = append(p.Claims, claimEntry{c.Info(), claimed{
			Owner: c.Owner(), Until: c.Until(), Token: c.Token(), Lapsed: c.Until().Before(now),
		}})
	}
	return &view{name: "claims.html", title: "Claims", nav: "claims", live: true, data: p}, nil
}

func (s *site) quarantine(ctx context.Context, _ *http.Request) (*view, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeLimit/2)
	defer cancel()
	p := &upkeepPage{}
	for q, err := range s.store.Quarantined(limited) {
		if errors.Is(err, persistence.ErrCorrupt) {
			p.Note = "A damaged entry is left out. " + cut(valueLength, err.Error())
			continue
		}
		if err != nil {
			if err := p.ended(ctx, limited, s, err, "This store has no quarantine."); err != nil {
				return nil, err
			}
			break
		}
		if p.full(len(p.Quarantined)) {
			break
		}
		entry := quarantined{ID: q.ID, Key: q.Key, Type: q.Type, Reason: q.Reason, Time: q.Time, Size: int64(len(q.Stored))}
		if q.Err != nil {
			entry.Damage = cut(valueLength, q.Err.Error())
		}
		p.Quarantined = append(p.Quarantined, entry)
	}
	return &view{name: "quarantine.html", title: "Quarantine", nav: "quarantine", live: true, data: p}, nil
}
