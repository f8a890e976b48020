package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"time"

	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
)

// A KV keeps key-value pairs in the storage of a store, apart from its objects. A key is 1 to
// 191 bytes of valid UTF-8 without NUL, like a text ID; any other key is ErrInvalidID. A value
// is any storable value without persistable objects and references to them: a string, a number, a
// struct, a map, …; any other is ErrUnstorable. Get gives back what is made of registered types and
// of those known from birth, Value the other types too. A KV is safe for concurrent use by any
// number of goroutines and processes. (jobman's key-value pairs.)
type KV struct {
	c conn // for the namespace of the pairs
}

// A Pair is a key with its value.
type Pair struct {
	Key      string
	Value    any
	Created  time.Time // UTC, microseconds
	Modified time.Time
}

type absent uint8

// Absent represents, in [KV.CompareAndSwap], the value of a key that does not exist.
const Absent absent = 0

// KV returns the key-value pairs of the store. Their table or directory is created at first
// use. If the backend cannot keep pairs, every call returns errors.ErrUnsupported.
func (s *Store) KV() *KV { return s.kv }

func newKV(s *Store) *KV { return &KV{c: conn{s: s, namespace: driver.Pairs}} }

// Get returns the value of a key, in the form that [Store.Load] returns. It returns ErrNotFound
// if the key does not exist.
func (kv *KV) Get(ctx context.Context, key string) (any, error) {
	rec, found, err := kv.read(ctx, key)
	if err == nil && !found {
		err = ErrNotFound
	}
	var v any
	if err == nil {
		v, err = kv.decode(&rec)
	}
	return v, kv.c.s.fail("kv get", ID(key), err)
}

// Set stores a value under a key and replaces any old one.
func (kv *KV) Set(ctx context.Context, key string, value any) error {
	if err := kv.c.s.mayWrite("kv set", ID(key)); err != nil {
		return err
	}
	rec, err := kv.encode(key, value)
	if err == nil {
		_, err = kv.c.apply(ctx, []driver.Mutation{{Op: driver.Put, Rec: rec}})
	}
	return kv.c.s.fail("kv set", ID(key), err)
}

// Delete removes a key. It returns ErrNotFound if the key does not exist.
func (kv *KV) Delete(ctx context.Context, key string) error {
	if err := kv.c.s.mayWrite("kv delete", ID(key)); err != nil {
		return err
	}
	err := checkKey(key)
	if err == nil {
		_, err = kv.c.apply(ctx, []driver.Mutation{{Op: driver.Delete, Rec: driver.Record{ID: ID(key)}}})
	}
	return kv.c.s.fail("kv delete", ID(key), err)
}

// CompareAndSwap stores next under a key if its value is old, and reports whether it did. old
// may be [Absent]: the key must not exist. next may be [Absent]: the key is removed. Values are
// equal if their records have equal bytes: equal maps are equal, and so are NaN and NaN, but
// not int(1) and int64(1), nor a nil and an empty slice.
//
// What another version of the program stored is compared as this one reads it. Where it holds
// fields that the type of this program lacks, or is of a newer version, next would be stored
// without: that is ErrUnstorable, unless Options.DropUnknown is set.
func (kv *KV) CompareAndSwap(ctx context.Context, key string, old, next any) (swapped bool, err error) {
	if err := kv.c.s.mayWrite("kv swap", ID(key)); err != nil {
		return false, err
	}
	swapped, err = kv.swap(ctx, key, old, next)
	return swapped, kv.c.s.fail("kv swap", ID(key), err)
}

func (kv *KV) swap(ctx context.Context, key string, old, next any) (bool, error) {
	var before, after driver.Record
	var err error
	if old != Absent {
		if before, err = kv.encode(key, old); err != nil {
			return false, fmt.Errorf("old value: %w", err)
		}
	}
	if next != Absent {
		if after, err = kv.encode(key, next); err != nil {
			return false, err
		}
	}
	for range maxAttempts {
		rec, found, err := kv.read(ctx, key)
		if err != nil {
			return false, err
		}
		if found != (old != Absent) {
			return false, nil
		}
		if found {
			if same, err := kv.equal(&rec, &before, next == Absent); !same || err != nil {
				return false, err
			}
		}
		m := driver.Mutation{Rec: after, IfRev: rec.Revision}
		switch {
		case next == Absent && !found:
			return true, nil
		case next == Absent:
			m.Op, m.Rec.ID = driver.Delete, ID(key)
		case found:
			m.Op = driver.Update
		default:
			m.Op, m.IfRev = driver.Create, 0
		}
		_, err = kv.c.apply(ctx, []driver.Mutation{m})
		if err == nil || !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) {
			return err == nil, err
		}
		// Another write came first. The value may differ now, or be the same again.
	}
	return false, fmt.Errorf("gave up after %d attempts: %w", maxAttempts, ErrConflict)
}

// equal reports whether the value of rec, as this program reads it, is that of before. It is an
// error if it is and overwriting it would drop what another version of the program stored, unless
// drop is true. A record that cannot be read equals none.
func (kv *KV) equal(rec, before *driver.Record, drop bool) (bool, error) {
	if bytes.Equal(rec.Data, before.Data) {
		return true, nil
	}
	out, ptr, same := kv.reread(rec, before)
	if !same || drop || kv.c.s.dropUnknown {
		return same, nil
	}
	if v := out.Kept.Newer(); v > 0 {
		return false, fmt.Errorf("the pair has version %d of %s, and this program has %d: %w", v, before.Type, records.Version(reflect.TypeOf(ptr).Elem()), ErrUnstorable)
	}
	if i := slices.IndexFunc(out.Unknown, isLostInPair); i >= 0 {
		return false, fmt.Errorf("%s: the pair holds this field, and the new value would not: %w", out.Unknown[i].Path, ErrUnstorable)
	}
	return true, nil
}

// reread decodes rec and reports whether its value, encoded by this program, is before.
func (kv *KV) reread(rec, before *driver.Record) (out codec.Outcome, ptr any, same bool) {
	head, err := records.Parse(rec.Data, kv.c.s.limits)
	if err != nil || !slices.Contains(records.NamesLike(before.Type), head.Type) {
		return out, nil, false
	}
	t, _, err := records.Resolve(before.Type)
	if err != nil {
		return out, nil, false
	}
	ptr = reflect.New(t).Interface()
	out, err = records.Decode(head, ptr, codec.DecodeOptions{Limits: kv.c.s.limits})
	if err != nil || !out.Differs && len(out.Unknown) == 0 && head.Type == before.Type {
		return out, nil, false
	}
	again, err := kv.encode(string(rec.ID), natural(ptr))
	return out, ptr, err == nil && bytes.Equal(again.Data, before.Data)
}

// Range streams the pairs whose keys begin with the prefix, or all if it is "", in the byte
// order of their keys. It reads page by page, as [Store.List] does. An error of ErrCorrupt or
// ErrUnknownType concerns one pair; its key is yielded and the iteration continues. Any other
// error ends it, as does a prefix with which no key can begin: ErrInvalidID.
func (kv *KV) Range(ctx context.Context, prefix string) iter.Seq2[Pair, error] {
	q := &driver.Query{Parts: driver.Info | driver.Data}
	bad := checkPrefix(prefix)
	if prefix != "" {
		q.Where = []driver.Cond{{Column: driver.ColID, Op: driver.HasPrefix, Values: []any{prefix}}}
	}
	return func(yield func(Pair, error) bool) {
		for rec, err := range stream(&kv.c, ctx, "kv range", dataPage, q, bad, func(rec *driver.Record) driver.Record { return *rec }) {
			p := Pair{Key: string(rec.ID), Created: rec.Created, Modified: rec.Modified}
			if err == nil {
				p.Value, err = kv.decode(&rec)
				err = kv.c.s.fail("kv range", rec.ID, err)
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

func checkKey(key string) error {
	if err := idfactory.Validate(ID(key), false); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidID, err)
	}
	return nil
}

// checkPrefix returns an error if a prefix is no text that a key can begin with. A prefix that is
// longer than any key finds none.
func checkPrefix(prefix string) error {
	if _, err := canonicalValue(driver.Text, prefix); err != nil {
		return fmt.Errorf("prefix: %w: %w", ErrInvalidID, err)
	}
	return nil
}

func (kv *KV) encode(key string, value any) (driver.Record, error) {
	return kv.encodeKept(key, value, nil)
}

// encodeKept is encode for a value of which something is kept.
func (kv *KV) encodeKept(key string, value any, kept *codec.Kept) (driver.Record, error) {
	if err := checkKey(key); err != nil {
		return driver.Record{}, err
	}
	if _, ok := value.(Object); ok {
		return driver.Record{}, fmt.Errorf("a %T has an identity of its own, and no pair can hold it: Save it: %w", value, ErrUnstorable)
	}
	if _, ok := value.(absent); ok {
		return driver.Record{}, fmt.Errorf("no pair can hold Absent: %w", ErrUnstorable)
	}
	enc := records.NewEncoder(kv.c.s.limits, nil)
	defer enc.Free()
	e, err := enc.Encode(value, kept)
	if err != nil {
		return driver.Record{}, err
	}
	if len(e.Type) > maxTypeName {
		return driver.Record{}, fmt.Errorf("the name of the type is %d bytes long, at most %d: %w", len(e.Type), maxTypeName, ErrUnstorable)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	return driver.Record{
		ID: ID(key), Type: e.Type, Data: slices.Clone(e.Data), Size: int64(len(e.Data)), Created: now, Modified: now,
		Revision: now.UnixMicro(), // for a new key, which may have existed before
	}, nil
}

func (kv *KV) decode(rec *driver.Record) (any, error) {
	head, err := records.Parse(rec.Data, kv.c.s.limits)
	if err != nil {
		return nil, err
	}
	t, registered, err := records.Resolve(head.Type)
	if err != nil {
		return nil, err
	}
	if !registered {
		return nil, unknownType(head.Type)
	}
	ptr := reflect.New(t).Interface()
	if err := kv.decodeInto(rec.ID, head, ptr); err != nil {
		return nil, err
	}
	return natural(ptr), nil
}

func (kv *KV) decodeInto(key ID, head codec.Header, ptr any) error {
	out, err := records.Decode(head, ptr, codec.DecodeOptions{Limits: kv.c.s.limits})
	for _, f := range out.Unknown {
		if isLostInPair(f) {
			kv.c.s.warnUnknown(head.Type, key, f.Path, lostAtLoad)
		}
	}
	return err
}

// isLostInPair reports whether a field of a pair is nowhere once it is decoded.
func isLostInPair(f codec.UnknownField) bool { return f.Place != codec.Inside }

// Value is [KV.Get] for a value of type T, registered or not. A value of another type is ErrType.
func Value[T any](ctx context.Context, kv *KV, key string) (T, error) {
	var v T
	err := kv.value(ctx, key, reflect.TypeFor[T](), &v)
	if err != nil {
		v = *new(T)
	}
	return v, kv.c.s.fail("kv get", ID(key), err)
}

func (kv *KV) value(ctx context.Context, key string, want reflect.Type, ptr any) error {
	if want.Kind() == reflect.Pointer && want.Elem().Kind() == reflect.Struct {
		fresh := reflect.New(want.Elem())
		reflect.ValueOf(ptr).Elem().Set(fresh)
		want, ptr = want.Elem(), fresh.Interface()
	}
	names, err := records.Names(want)
	if err != nil {
		return err
	}
	rec, found, err := kv.read(ctx, key)
	if err != nil {
		return err
	}
	if !found {
		return ErrNotFound
	}
	head, err := records.Parse(rec.Data, kv.c.s.limits)
	if err != nil {
		return err
	}
	if !slices.Contains(names, head.Type) {
		return fmt.Errorf("it is a %s, not a %v: %w", head.Type, want, ErrType)
	}
	return kv.decodeInto(rec.ID, head, ptr)
}

func (kv *KV) read(ctx context.Context, key string) (rec driver.Record, found bool, err error) {
	if err := checkKey(key); err != nil {
		return rec, false, err
	}
	err = kv.c.readOnce(ctx, func(r driver.Reader) error {
		recs, err := r.Get(ctx, []ID{ID(key)}, driver.Info|driver.Data)
		if err == nil && len(recs) > 0 {
			rec, found = recs[0], true
		}
		return err
	})
	return rec, found, err
}
