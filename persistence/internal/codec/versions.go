package codec

import (
	"fmt"
	"math"
	"reflect"

	"github.com/brine-go/brine/persistence/driver"
)

// A struct type can say of which version its records are, and change those of older versions: by
// its own methods RecordVersion and UpgradeRecord. Those of embedded fields do not count, and
// neither do those of structs inside a record.

type versioner interface{ RecordVersion() int }

type upgrader interface {
	UpgradeRecord(from int, fields map[string]any) error
}

// Version returns the version of records of type t.
func (c *Codec) Version(t reflect.Type) int { return c.planOf(t).version }

// versionOf returns the version of records of type t, or what is wrong with its methods.
func versionOf(t reflect.Type) (version int, wrong *pathError) {
	const want = "want RecordVersion() int and UpgradeRecord(from int, fields map[string]any) error"
	if t.Kind() != reflect.Struct || t.Name() == "" {
		return 0, nil
	}
	hasVersion, hasUpgrade := OwnMethod(t, "RecordVersion"), OwnMethod(t, "UpgradeRecord")
	if !hasVersion && !hasUpgrade {
		return 0, nil
	}
	v, isVersioner := reflect.New(t).Interface().(versioner)
	_, isUpgrader := reflect.New(t).Interface().(upgrader)
	isVersioner, isUpgrader = isVersioner && hasVersion, isUpgrader && hasUpgrade
	if !isVersioner && !isUpgrader {
		return 0, nil // methods of other kinds, with other purposes
	}
	if !isVersioner || !isUpgrader {
		return 0, errAt("", driver.ErrUnstorable, "the methods RecordVersion and UpgradeRecord of %v are not both there: %s", t, want)
	}
	n, err := callVersion(v)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, errAt("", driver.ErrUnstorable, "RecordVersion of the zero %v: %d, %v: want a constant from 0 to %d", t, n, err, math.MaxInt32)
	}
	return n, nil
}

func callVersion(v versioner) (n int, err error) {
	defer recoverUser(&err)
	return v.RecordVersion(), nil
}

// upgrade returns a record of an older version as its type makes it.
func (c *Codec) upgrade(h Header, pl *plan, lim Limits) (Header, error) {
	fail := func(err error) (Header, error) {
		return h, &pathError{path: rootName(pl.typ), msg: fmt.Sprintf("UpgradeRecord from version %d", h.Version), errs: []error{err, driver.ErrType}}
	}
	var o Origins
	v, err := c.Generic(h, lim, c.forms, &o)
	if err != nil {
		return h, err
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return fail(fmt.Errorf("the record holds a %T, not the fields of a struct", v))
	}
	if err := callUpgrade(reflect.New(pl.typ).Interface().(upgrader), h.Version, fields); err != nil {
		return fail(err)
	}
	up, err := c.Regeneric(h, fields, lim, c.forms, &o)
	if err != nil {
		return fail(err)
	}
	up.Version, up.Type = pl.version, h.Type
	return up, nil
}

func callUpgrade(u upgrader, from int, fields map[string]any) (err error) {
	defer recoverUser(&err)
	return u.UpgradeRecord(from, fields)
}
