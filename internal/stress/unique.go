package stress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A Keyed object has a key that no other one has.
type Keyed struct {
	persistence.Persistable
	Key string
}

func init() { persistence.Register[Keyed]("stress.Keyed") }

// OpenKeyed opens a store in which the keys of objects are unique.
func OpenKeyed(ctx context.Context, url string) (*persistence.Store, error) {
	return persistence.MakeStore(ctx, url, &persistence.Options{
		Logger:      slog.New(slog.DiscardHandler),
		ExtraFields: []extrafields.Field{extrafields.Of("key", func(k *Keyed) string { return k.Key }).Unique()},
	})
}

// Race saves an object for each of the keys from 0 on, in an order of its own, and then again.
// Every second racer saves some at once. It returns how many it has stored. Whatever is not stored
// must be ErrUnique, naming a holder that has the key.
func Race(ctx context.Context, s *persistence.Store, racer, keys int) (won int, err error) {
	rnd := rand.New(rand.NewPCG(uint64(racer), 1))
	for range 2 {
		order := rnd.Perm(keys)
		for len(order) > 0 {
			n := 1
			if racer%2 == 1 {
				n = min(1+rnd.IntN(4), len(order))
			}
			stored, err := race(ctx, s, order[:n])
			if err != nil {
				return won, err
			}
			won += stored
			order = order[n:]
		}
	}
	return won, nil
}

// race saves keys at once or, if one of them is taken, each by itself.
func race(ctx context.Context, s *persistence.Store, keys []int) (won int, err error) {
	objs := make([]any, len(keys))
	for i, key := range keys {
		objs[i] = &Keyed{Key: fmt.Sprint("key ", key)}
	}
	_, err = s.SaveAll(ctx, objs...)
	if err == nil {
		return len(keys), nil
	}
	if len(keys) == 1 {
		return 0, lost(ctx, s, objs[0].(*Keyed).Key, err)
	}
	if !errors.Is(err, persistence.ErrUnique) {
		return 0, err
	}
	for _, key := range keys {
		n, err := race(ctx, s, []int{key})
		if err != nil {
			return won, err
		}
		won += n
	}
	return won, nil
}

// lost returns an error unless err tells who has the key.
func lost(ctx context.Context, s *persistence.Store, key string, err error) error {
	ue, ok := errors.AsType[*persistence.UniqueError](err)
	if !ok {
		return fmt.Errorf("%q is not stored: %w", key, err)
	}
	if len(ue.Columns) != 1 || ue.Columns[0] != "key" || ue.Holder == "" {
		return fmt.Errorf("%q: nobody is said to have it: %w", key, err)
	}
	info, err := s.Stat(ctx, ue.Holder)
	if err == nil && info.Fields["key"] != key {
		err = fmt.Errorf("it has %v", info.Fields["key"])
	}
	if err != nil {
		return fmt.Errorf("%q is said to be of %q: %w", key, ue.Holder, err)
	}
	return nil
}

// CheckKeys returns an error unless each key is there once.
func CheckKeys(ctx context.Context, s *persistence.Store, keys int) error {
	seen := make(map[string]bool, keys)
	for k, err := range persistence.All[Keyed](ctx, s, nil) {
		if err != nil {
			return err
		}
		if seen[k.Key] {
			return fmt.Errorf("%q is there twice", k.Key)
		}
		seen[k.Key] = true
	}
	if len(seen) != keys {
		return fmt.Errorf("%d keys of %d", len(seen), keys)
	}
	return nil
}
