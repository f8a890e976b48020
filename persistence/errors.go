package persistence

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// The errors that callers branch on, with errors.Is. Every error of a Store is an
// [*Error] that wraps one of them, a context's error, [errors.ErrUnsupported], or what a
// backend reported. They are the sentinels of package driver.
var (
	// ErrNotFound: no record has the ID.
	ErrNotFound = driver.ErrNotFound
	// ErrExists: a record with the ID already exists.
	ErrExists = driver.ErrExists
	// ErrUnique: another record has values that a unique index allows once. Nothing was written,
	// and saving the object again unchanged fails again. errors.As to a [*UniqueError] tells the
	// columns and who has the values; the [Error] has the ID of a record of the save, which a new
	// object has not got.
	ErrUnique = driver.ErrUnique
	// ErrConflict: the record was changed or removed since the object was loaded or
	// saved. Nothing was written. Load it again and repeat the change.
	ErrConflict = driver.ErrConflict
	// ErrDangling: a reference leads to a record that does not exist. The text names both ends.
	ErrDangling = driver.ErrDangling
	// ErrReferenced: RemoveGraph would leave a reference to a removed record. The text names both
	// ends. Nothing was removed.
	ErrReferenced = driver.ErrReferenced
	// ErrUncertain: the outcome of a commit could not be determined. Save the same objects again:
	// that save finds out whether the first attempt succeeded.
	ErrUncertain = driver.ErrUncertain
	// ErrInvalidID: an ID that no record of this store can have.
	ErrInvalidID = driver.ErrInvalidID
	// ErrType: a record has another type than the one asked for, or holds a value that does not
	// convert exactly to the type of its field. The text has the path and both types.
	ErrType = driver.ErrType
	// ErrUnknownType: the type of a record, or of a value in it, is not registered in this process.
	// The text names it, for Register or RegisterAlias.
	ErrUnknownType = driver.ErrUnknownType
	// ErrUnstorable: a value that cannot be stored, or a save that would drop what another version
	// of the program stored; the text has the path. Nothing was written.
	ErrUnstorable = driver.ErrUnstorable
	// ErrCorrupt: stored bytes are damaged. They are kept as they are.
	ErrCorrupt = driver.ErrCorrupt
	// ErrTooLarge: a value exceeds a limit, which the text names.
	ErrTooLarge = driver.ErrTooLarge
	// ErrClosed: the Store is closed.
	ErrClosed = driver.ErrClosed
	// ErrReadOnly: the store was opened for reading only (Options.ReadOnly, mode=ro in the URL), or
	// the medium cannot be written. Nothing was written, and no object has changed.
	ErrReadOnly = driver.ErrReadOnly
)

// errRemoved is the ErrConflict of an object whose record is no longer there.
var errRemoved = fmt.Errorf("%w: Insert under its ID stores it again", driver.ErrRemoved)

// several are errors that mostly concern one record each. The text is that of the first, with the
// number of the others and the first of their IDs; errors.Is and errors.As find all.
type several []error

const maxNamed = 10

func (e several) Error() string {
	text := e[0].Error()
	if one, ok := e[0].(*Error); ok { //nolint:errorlint // the outermost, whose URL what wraps e has too
		text = one.Err.Error()
		if one.ID != "" {
			text = fmt.Sprintf("record %q: %s", one.ID, text)
		}
	}
	if len(e) == 1 {
		return text
	}
	more := "errors"
	if len(e) == 2 {
		more = "error"
	}
	text += fmt.Sprintf(" (and %d more %s", len(e)-1, more)
	var ids []string
	for _, err := range e[1:min(len(e), maxNamed+1)] {
		if id := recordOf(err); id != "" {
			ids = append(ids, fmt.Sprintf("%q", id))
		}
	}
	if len(ids) > 0 {
		text += ", of " + strings.Join(ids, ", ")
		if len(e)-1 > maxNamed {
			text += ", …"
		}
	}
	return text + ")"
}

// recordOf returns the ID of the record that an error concerns, if it concerns one.
func recordOf(err error) ID {
	if e, ok := errors.AsType[*Error](err); ok && e.ID != "" {
		return e.ID
	}
	if e, ok := errors.AsType[*driver.RecordError](err); ok {
		return e.ID
	}
	return ""
}

func (e several) Unwrap() []error { return e }

// joined returns the errors that are not nil as one.
func joined(errs ...error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return several(errs)
}

// An Error is what a Store returns: an operation, the record concerned, the
// store, and the cause.
type Error struct {
	Op  string  // the verb: "save", "load", …
	ID  ID      // the record concerned; "" if there is none, or none yet
	URL url.URL // of the store; prints without its password
	Err error   // the cause
}

// Error returns the operation, the ID and the URL as far as they are known, and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("brine: ")
	b.WriteString(e.Op)
	if e.ID != "" {
		fmt.Fprintf(&b, " %q", string(e.ID))
	}
	cause := e.Err.Error()
	if u := e.URL.String(); u != "" {
		for _, place := range placesOf(e.URL) {
			cause = strings.TrimPrefix(cause, place+": ")
		}
		if place, rest, ok := strings.Cut(cause, ": "); ok && (strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "mysql:")) {
			cause = rest
		}
		if !slices.ContainsFunc(placesOf(e.URL), func(place string) bool { return strings.Contains(cause, place) }) {
			b.WriteString(" (" + u + ")")
		}
	}
	b.WriteString(": ")
	b.WriteString(cause)
	return b.String()
}

// placesOf returns what the errors of the backends call the place of a URL, the longest first.
func placesOf(u url.URL) []string {
	path := u.Path()
	switch {
	case u.Scheme() != "sqlite" && u.Scheme() != "file":
		return []string{u.String()}
	case len(path) < 2 || path == ":memory:" || !strings.HasPrefix(path, "/"):
		return []string{u.String()}
	}
	return []string{u.String(), u.Scheme() + ":" + path, path}
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// fail wraps err, once, as an error of this store. It takes the record from a
// driver.RecordError unless id names one.
func (s *Store) fail(op string, id ID, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok { //nolint:errorlint // the outermost: what wraps it says more
		return e
	}
	if re, ok := err.(*driver.RecordError); ok && (id == "" || id == re.ID) { //nolint:errorlint // as above
		id, err = re.ID, re.Err
		if re.Ref != "" {
			err = fmt.Errorf("refers to %q: %w", re.Ref, re.Err)
		}
	}
	return &Error{Op: op, ID: id, URL: s.url, Err: err}
}

// concernsOneRecord reports whether an iteration continues after err.
func concernsOneRecord(err error) bool {
	if errors.Is(err, errors.ErrUnsupported) { // of a newer format, if a record is concerned
		e, ok := errors.AsType[*Error](err)
		_, record := errors.AsType[*driver.RecordError](err)
		return record || ok && e.ID != ""
	}
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnknownType) ||
		errors.Is(err, ErrDangling) || errors.Is(err, ErrType)
}
