package codec

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
)

// pathError is an error located in an object.
type pathError struct {
	path string
	msg  string
	errs []error // the sentinel, and a cause where there is one
}

func (e *pathError) Error() string {
	var b strings.Builder
	b.WriteString(e.path)
	if e.msg != "" {
		b.WriteString(": ")
		b.WriteString(e.msg)
	}
	for _, err := range e.errs {
		b.WriteString(": ")
		b.WriteString(err.Error())
	}
	return b.String()
}

func (e *pathError) Unwrap() []error { return e.errs }

func errAt(path string, sentinel error, format string, args ...any) *pathError {
	return &pathError{path: path, msg: fmt.Sprintf(format, args...), errs: []error{sentinel}}
}

// failUser reports an error of the user's own code.
func (d *decoder) failUser(what string, err error) error {
	return &pathError{path: d.where(), msg: what, errs: []error{driver.ErrType, err}}
}

// under returns a static error as that of a root of type t.
func (e *pathError) under(t reflect.Type) error {
	return &pathError{path: rootName(t) + e.path, msg: e.msg, errs: e.errs}
}

// recoverUser makes an error of a panic in the user's own code.
func recoverUser(err *error) {
	if r := recover(); r != nil {
		if cause, ok := r.(error); ok {
			*err = fmt.Errorf("panic: %w", cause)
			return
		}
		*err = fmt.Errorf("panic: %v", r)
	}
}

func (e *Encoder) where() string { return renderPath(rootName(e.root), e.path) }

func (e *Encoder) fail(sentinel error, format string, args ...any) error {
	return errAt(e.where(), sentinel, format, args...)
}

func (e *Encoder) failNever(never *pathError) error {
	return &pathError{path: e.where() + never.path, msg: never.msg, errs: never.errs}
}

// failUser reports an error of the user's own code.
func (e *Encoder) failUser(what string, err error) error {
	return &pathError{path: e.where(), msg: what, errs: []error{driver.ErrUnstorable, err}}
}

func (d *decoder) where() string { return renderPath(rootName(d.root), d.path) }

func (d *decoder) fail(sentinel error, format string, args ...any) error {
	return errAt(d.where(), sentinel, format, args...)
}

func (d *decoder) corrupt(format string, args ...any) error {
	return d.fail(driver.ErrCorrupt, format, args...)
}

func (d *decoder) failNever(never *pathError) error {
	return &pathError{path: d.where() + never.path, msg: never.msg, errs: never.errs}
}

// mismatch reports that the value at pos is not what the type of the program takes.
func (d *decoder) mismatch(want string) error {
	t := readToken(d.buf[d.pos:])
	if t.fam == famInvalid && d.pos >= len(d.buf) {
		return d.corrupt("the record ends where %s is wanted", want)
	}
	if t.fam == famInvalid || t.payload() > uint64(d.left()-t.head) {
		return d.corrupt("a malformed value where %s is wanted", want)
	}
	return d.fail(driver.ErrType, "%s where %s is wanted", t, want)
}
