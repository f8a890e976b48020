package idfactory

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Integers returns the factory of the IDs "1", "2", "3" and so on, which a store may
// keep in an integer column. It is the default of a store.
func Integers() Factory { return integers{} }

type integers struct{}

func (integers) Integral() bool { return true }
func (integers) Unique() bool   { return true }

func (integers) NewID(ctx context.Context, _ any, next func(context.Context) (int64, error)) (ID, error) {
	n, err := next(ctx)
	if err != nil {
		return "", err
	}
	return ID(strconv.FormatInt(n, 10)), nil
}

// Sequence returns the factory of the IDs PREFIX.1, PREFIX.2 and so on. The numbers come from the
// store's one counter, shared by all prefixes.
//
// With the prefix "" it is the bare name of the object's type: "Task" for *engine.Task, "Box" for
// Box[int], and for a type without a name its kind ("map", "slice", "struct"). A prefix that
// makes no valid ID (see [Validate]) is an error of every NewID. The IDs follow GC3Pie's
// IdFactory (gc3libs.persistence.idfactory).
func Sequence(prefix string) Factory { return sequence{prefix} }

type sequence struct{ prefix string }

func (sequence) Integral() bool { return false }
func (sequence) Unique() bool   { return true }

func (s sequence) NewID(ctx context.Context, obj any, next func(context.Context) (int64, error)) (ID, error) {
	prefix := s.prefix
	if prefix == "" {
		var err error
		if prefix, err = typeName(obj); err != nil {
			return "", err
		}
	}
	// Before the number is taken: an ID that is no good should not cost one.
	if err := validatePrefix(prefix); err != nil {
		return "", err
	}
	n, err := next(ctx)
	if err != nil {
		return "", err
	}
	return ID(prefix + "." + strconv.FormatInt(n, 10)), nil
}

// validatePrefix returns an error if not every PREFIX.N would be valid.
func validatePrefix(prefix string) error {
	const most = MaxLen - len(".9223372036854775807")
	if len(prefix) > most {
		return fmt.Errorf("prefix of %d bytes: at most %d", len(prefix), most)
	}
	if err := Validate(ID(prefix), false); err != nil {
		return fmt.Errorf("prefix: %w", err)
	}
	return nil
}

// typeName returns the bare name of the type of obj.
func typeName(obj any) (string, error) {
	t := reflect.TypeOf(obj)
	if t == nil {
		return "", errors.New("a nil object has no type to name its ID after")
	}
	for t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	// A type argument may hold slashes, dots and blanks.
	name, _, _ := strings.Cut(t.Name(), "[")
	if name == "" {
		name = t.Kind().String()
	}
	return name, nil
}

// UUIDv7 returns the factory of random UUIDs of version 7, in the usual form of 36
// characters. They sort by the time of their making, and need no counter.
func UUIDv7() Factory { return uuidv7{} }

type uuidv7 struct{}

func (uuidv7) Integral() bool { return false }
func (uuidv7) Unique() bool   { return true }

func (uuidv7) NewID(context.Context, any, func(context.Context) (int64, error)) (ID, error) {
	u, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	return ID(u.String()), nil
}

// Func returns the factory that calls fn with the object to be named. fn must be safe for
// concurrent use. The store refuses an ID that is invalid or in use; the latter is the caller's
// error, since fn may well give the same ID for the same object again. It panics if fn is nil.
func Func(fn func(ctx context.Context, obj any) (ID, error)) Factory {
	if fn == nil {
		panic("idfactory: Func of nil")
	}
	return custom{fn}
}

type custom struct {
	fn func(context.Context, any) (ID, error)
}

func (custom) Integral() bool { return false }
func (custom) Unique() bool   { return false }

func (c custom) NewID(ctx context.Context, obj any, _ func(context.Context) (int64, error)) (ID, error) {
	return c.fn(ctx, obj)
}
