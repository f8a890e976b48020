package persistence

import (
	"sync"
	"unique"

	"github.com/brine-go/brine/persistence/internal/codec"
)

// A storeID is the identity of a store's data. Handles of the same data are equal.
type storeID = unique.Handle[string]

// An identity holds what an object knows of its records: one entry for each store.
type identity struct {
	owner *Persistable // the object it was made for, not a copy

	mu   sync.Mutex
	kept *codec.Kept // what the record that the object was loaded from holds besides it; usually nil
	last *entry      // of the store used last; nil until first saved or loaded
	one  entry       // of the first store, which is usually the only one
	more *[]*entry   // of further stores; nil if there are none

	reached *item // of the save that is under way and reached the object first; nil if none is
}

// An entry is what an object knows of its record in one store. The identity's mutex guards it.
type entry struct {
	store  storeID
	id     ID       // "" until saved or loaded
	tried  *attempt // the last save, if its outcome is uncertain; next to id, which a save reads with it
	rev    int64    // 0 in a table without revisions
	digest digest
	refs   []ID // referred to by the last known revision: sorted, distinct

	pending ID           // the ID that the object will have once saved; pending and id are never both set
	writer  *pendingSave // the save that is writing the object; nil if none is
}

// A pendingSave is a save that is writing objects; done is closed at its end.
type pendingSave struct{ done chan struct{} }

// in returns the entry of a store, a new one if there is none. ident.mu must be locked.
func (ident *identity) in(store storeID) *entry {
	if ident.one.store == store {
		return &ident.one
	}
	for _, b := range ident.others() {
		if b.store == store {
			return b
		}
	}
	if ident.one.store == (storeID{}) {
		ident.one.store = store
		return &ident.one
	}
	b := &entry{store: store}
	all := append(ident.others(), b)
	ident.more = &all
	return b
}

// others returns the entries of further stores. ident.mu must be locked.
func (ident *identity) others() []*entry {
	if ident.more == nil {
		return nil
	}
	return *ident.more
}

// learn makes the record the last known one of the object. ident.mu must be locked.
func (ident *identity) learn(b *entry, id ID, rev int64, d digest, refs []ID) {
	b.id, b.rev, b.digest, b.refs = id, rev, d, refs
	b.pending, b.tried = "", nil
	ident.last = b
}

// keep makes kept what belongs to the object besides what it holds.
func (ident *identity) keep(kept *codec.Kept) {
	ident.mu.Lock()
	defer ident.mu.Unlock()
	ident.kept = kept
}

// wrote notes that the object was written with kept, and keeps next from then on. It does nothing
// if something else than kept is kept by now.
func (ident *identity) wrote(kept, next *codec.Kept) {
	ident.mu.Lock()
	defer ident.mu.Unlock()
	if ident.kept == kept {
		ident.kept = next
	}
}

// elsewhere reports whether the object has a record in another store than this one.
func (ident *identity) elsewhere(store storeID) bool {
	for _, k := range ident.saved() {
		if k.store != store {
			return true
		}
	}
	return false
}

// A recordKey names a record of a store.
type recordKey struct {
	store storeID
	id    ID
}

// saved returns the keys of the object's records.
func (ident *identity) saved() []recordKey {
	ident.mu.Lock()
	defer ident.mu.Unlock()
	var ps []recordKey
	if ident.one.id != "" {
		ps = append(ps, recordKey{ident.one.store, ident.one.id})
	}
	for _, b := range ident.others() {
		if b.id != "" {
			ps = append(ps, recordKey{b.store, b.id})
		}
	}
	return ps
}
