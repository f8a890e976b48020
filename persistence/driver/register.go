package driver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/brine-go/brine/url"
)

// An Opener opens the backend that a URL names. It checks the whole URL, including query
// parameters, before any I/O. An unknown parameter is an error that names the nearest known one
// (see [CheckParams]). Errors never contain a password.
type Opener func(ctx context.Context, u url.URL, o OpenOptions) (Backend, error)

// OpenOptions are passed to every backend. A backend ignores the options that do not concern
// it.
type OpenOptions struct {
	Table    string // SQL table; valid by ValidName; never ""
	NoCreate bool   // never create or alter anything
	// ReadOnly: as NoCreate, and nothing is written or finished either. Every call that writes
	// returns ErrReadOnly, whatever its arguments, before it looks at the data: Apply, NextIDs,
	// Claim, Extend, ReleaseExpired, AddColumnSet and DropColumn. What a writer that crashed has
	// left is read as the next writer would finish it, or is an error. Data that were never made
	// are an error that names them; a namespace that was never made is ErrNotFound. Records that
	// the backend keeps beside those of the objects, such as the identity and the catalog, count as
	// absent if this user may not read them.
	ReadOnly bool
	Logger   *slog.Logger // never nil
	Pool     Pool         // its fields override the parameters of the URL
}

var registry = struct {
	sync.RWMutex
	openers map[string]Opener
}{openers: map[string]Opener{}}

// Register registers a backend for a URL scheme (in lower case). It panics if o is nil or the
// scheme is already registered. It is meant to be called from an init function.
func Register(scheme string, o Opener) {
	if o == nil {
		panic("driver: Register of a nil Opener for scheme " + scheme)
	}
	registry.Lock()
	defer registry.Unlock()
	if _, dup := registry.openers[scheme]; dup {
		panic(fmt.Sprintf("driver: scheme %q registered twice", scheme))
	}
	registry.openers[scheme] = o
}

// Lookup returns the Opener of a scheme.
func Lookup(scheme string) (Opener, bool) {
	registry.RLock()
	defer registry.RUnlock()
	o, ok := registry.openers[scheme]
	return o, ok
}

// Schemes returns the registered schemes, sorted.
func Schemes() []string {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Sorted(maps.Keys(registry.openers))
}
