package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/url"
)

// The exit codes.
const (
	exitDone   = 0
	exitFound  = 1 // check or diff found something
	exitUsage  = 2
	exitFailed = 3
)

// errFound ends a command that has found, and told, what it looks for.
var errFound = errors.New("something was found")

// A usageError says that the command line is wrong.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() error { return e.error }

// A hintedError is an error with what to do next.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// withHint says what to do about err, unless it is nil.
func withHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return hintedError{err, fmt.Sprintf(format, args...)}
}

// exit reports how the command ended, and returns its exit code.
func (a *app) exit(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFound):
		return exitFound
	}
	code := exitFailed
	if _, ok := errors.AsType[usageError](err); ok {
		code = exitUsage
	}
	text := strings.TrimPrefix(err.Error(), "brine: ")
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	fmt.Fprintf(a.errOut, "brine: %s\n", printableLines(a.redact(text)))
	if hint := hint(err); hint != "" {
		fmt.Fprintf(a.errOut, "%s\n", printableLines(a.redact(hint)))
	}
	return code
}

// hint says what to do next about an error, or "".
func hint(err error) string {
	if h, ok := errors.AsType[hintedError](err); ok {
		return h.hint
	}
	for _, h := range []struct {
		if_  bool
		hint string
	}{
		{isMissingStore(err), "There is no store at this URL. \"brine stores URL\" lists the tables of a database that are stores; " +
			"a program, \"brine cp\" or \"brine import\" makes one."},
		{isNoConnection(err), "Look whether the server answers at the host and port of the URL, and at its user, password and database."},
		{errors.Is(err, persistence.ErrNotFound), `"brine ls URL" lists what there is.`},
		{errors.Is(err, persistence.ErrReferenced), `Remove what refers to it too: "brine refs URL ID" lists that.`},
		{errors.Is(err, persistence.ErrCorrupt), `"brine check URL" lists all that is damaged, "brine quarantine add URL ID..." puts it away.`},
		{isDamagedDatabase(err), "The file of the database is itself damaged, beyond what this program can read. Take a backup; or the " +
			"command .recover of the program sqlite3 saves what is left of a copy."},
		{errors.Is(err, persistence.ErrUncertain), "The connection was lost before the server answered: look whether it was done, or do it again."},
		{errors.Is(err, persistence.ErrReadOnly), "The store is opened, or kept, for reading only: look at mode=ro in the URL, and at the rights of the file, directory or role."},
		{errors.Is(err, persistence.ErrConflict), "Somebody else has changed it meanwhile: run the command again."},
	} {
		if h.if_ {
			return h.hint
		}
	}
	return ""
}

// isMissingStore reports whether a store could not be opened because it is not there.
func isMissingStore(err error) bool {
	e, ok := errors.AsType[*persistence.Error](err)
	if !ok || e.Op != "open" && e.Op != "stores" {
		return false
	}
	return errors.Is(err, fs.ErrNotExist) || strings.Contains(e.Err.Error(), "nothing may be created")
}

// isDamagedDatabase reports whether SQLite cannot read its file.
func isDamagedDatabase(err error) bool {
	text := err.Error()
	return strings.Contains(text, "disk image is malformed") || strings.Contains(text, "file is not a database")
}

// isNoConnection reports whether the server of a store could not be reached, or did not let us in.
func isNoConnection(err error) bool {
	e, ok := errors.AsType[*persistence.Error](err)
	return ok && (e.Op == "open" || e.Op == "stores") && strings.Contains(e.Err.Error(), "connecting: ")
}

var (
	userinfo    = regexp.MustCompile(`//([^:/@\s]*):[^@\s]*@`)
	secretParam = regexp.MustCompile(`(?i)([?&][a-z0-9_.-]*(?:pass|pwd|secret|token|key)[a-z0-9_.-]*=)[^&#\s"]*`)
)

// redact replaces what may be a password: in the arguments of the command line, as package url
// prints them, and in what looks like a URL.
func (a *app) redact(text string) string {
	for _, arg := range a.args {
		if !strings.Contains(arg, ":") || !strings.Contains(text, arg) {
			continue
		}
		if u, err := url.Parse(arg); err == nil && u.Scheme() != "file" {
			text = strings.ReplaceAll(text, arg, u.String())
		}
	}
	text = userinfo.ReplaceAllString(text, "//$1:xxxxx@")
	return secretParam.ReplaceAllString(text, "${1}xxxxx")
}
