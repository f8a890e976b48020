package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/brine-go/brine/persistence"
)

// A skipped counts what an iteration could not read and went on after.
type skipped struct {
	a *app
	n int64
}

// record warns of an error that concerns one record, and returns any other.
func (s *skipped) record(err error) error {
	if _, one := recordOf(err); !one {
		return err
	}
	s.n++
	s.a.warn("%s", strings.TrimPrefix(err.Error(), "brine: "))
	return nil
}

// err returns an error if something could not be read.
func (s *skipped) err() error {
	if s.n == 0 {
		return nil
	}
	return withHint(fmt.Errorf("%s could not be read", plural(s.n, "record")),
		"\"brine check URL\" lists what is wrong, \"brine quarantine add URL ID...\" puts it away.")
}

// recordOf returns the record, or pair, that an error of an iteration concerns, which then goes on.
func recordOf(err error) (persistence.ID, bool) {
	e, ok := errors.AsType[*persistence.Error](err)
	if !ok {
		return "", false
	}
	return e.ID, e.ID != ""
}
