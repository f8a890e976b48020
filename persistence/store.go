package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/codec"
	"github.com/brine-go/brine/url"
)

// ID names one record of a store. See [idfactory.ID].
type ID = idfactory.ID

// A Store saves, loads, replaces, removes and lists objects. It is safe for concurrent use;
// the objects are not (see the package documentation). Make one with [MakeStore] or [New], and Close it.
type Store struct {
	backend driver.Backend
	url     url.URL
	logger  *slog.Logger
	limits  codec.Limits
	ids     idfactory.Factory
	extras  []extrafields.Field
	stateOf func(obj any) string
	ident   storeID
	missing []string // columns that the data lacks under NoCreate
	columns map[string]driver.Kind
	values  *driver.Columns
	readsOn atomic.Bool // the last load followed references

	kv      *KV
	gate    gate
	life    sync.Mutex // serialises PreFork, PostFork and Reset
	numbers numbers
	states  sync.Map // reflect.Type -> *stateField
	warned  warned
	shallow shallowHint
}

// Options are what a Store may be told. nil means all defaults. What a backend has no
// use for, it ignores: the same Options serve every backend.
type Options struct {
	// Table is the SQL table; default: the one the URL names by #table=, else "store".
	Table string
	// IDs makes the IDs of new records; default: idfactory.Integers().
	IDs idfactory.Factory
	// ExtraFields are columns derived from the objects, to query by.
	ExtraFields []extrafields.Field
	// State gives the state of an object, for the state column. Default: the object's method
	// State() string; else its field State, else Execution.State, of a string kind or
	// with a String() method; else "UNKNOWN".
	State func(obj any) string
	// NoCreate: never create or alter a file, a directory, a table or a column.
	NoCreate bool
	// Identity keeps a weak identity map on the store. Not supported yet: errors.ErrUnsupported.
	Identity bool
	// Logger gets the warnings; default: slog.Default().
	Logger *slog.Logger
	// Limits bound what one record may be; what Save accepts, Load accepts.
	Limits Limits
	// Pool says how connections to a server are kept. A field that is not zero wins over the
	// URL's parameter. Embedded backends have no use for it.
	Pool Pool
}

// A Pool says how connections to a server are kept. See [driver.Pool].
type Pool = driver.Pool

// Stats are the connections of a store at one moment. See [driver.Stats].
type Stats = driver.Stats

// Limits bound one record. A zero or negative field means its default.
type Limits struct {
	MaxBytes int64 // of the encoded record; default 1 GiB
	MaxDepth int   // of nesting inside the record; default 10,000
}

const (
	defaultMaxBytes = 1 << 30
	defaultMaxDepth = 10_000
	defaultTable    = "store"
)

// importPaths tells which package to import for a scheme that is not registered.
var importPaths = map[string]string{
	"file":   "github.com/brine-go/brine/persistence/fs",
	"mem":    "github.com/brine-go/brine/persistence/mem",
	"sqlite": "github.com/brine-go/brine/persistence/sql/sqlite",

	"postgres":   "github.com/brine-go/brine/persistence/sql/postgres",
	"postgresql": "github.com/brine-go/brine/persistence/sql/postgres",
	"mysql":      "github.com/brine-go/brine/persistence/sql/mysql",
}

// MakeStore opens the store that the URL names, with a backend that the program imports for
// its side effect (persistence/sql/sqlite, persistence/fs, persistence/mem). It creates what is missing
// unless opts.NoCreate. A bare path means file:. (GC3Pie's make_store.)
//
// An unknown scheme is an error that lists the known ones and names the import to add.
func MakeStore(ctx context.Context, rawURL string, opts *Options) (*Store, error) {
	const op = "open"
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	fail := func(err error) (*Store, error) { return nil, &Error{Op: op, URL: u, Err: err} }
	open, ok := driver.Lookup(u.Scheme())
	if !ok {
		return fail(unknownScheme(u.Scheme()))
	}
	s, err := configure(u, opts)
	if err != nil {
		return fail(err)
	}
	o := driver.OpenOptions{Table: defaultTable, Logger: s.logger}
	if opts != nil {
		o.NoCreate = opts.NoCreate
		o.Table = opts.Table
		o.Pool = opts.Pool
	}
	if o.Table == "" {
		o.Table = u.Table()
	}
	if o.Table == "" {
		o.Table = defaultTable
	}
	if !driver.ValidName(o.Table) {
		return fail(fmt.Errorf("invalid table name %q: want letters, digits and _, not starting with a digit, at most 63", o.Table))
	}
	b, err := open(ctx, u, o)
	if err != nil {
		return fail(err)
	}
	if err := s.start(ctx, b); err != nil {
		return fail(errors.Join(err, b.Close()))
	}
	return s, nil
}

// New returns a store on a backend made by hand, which it owns from then on: Close closes
// it. opts.Table and opts.NoCreate are for MakeStore alone. On an error the backend stays the caller's.
func New(ctx context.Context, b driver.Backend, opts *Options) (*Store, error) {
	s, err := configure(url.URL{}, opts)
	if err == nil {
		err = s.start(ctx, b)
	}
	if err != nil {
		return nil, &Error{Op: "open", Err: err}
	}
	return s, nil
}

func unknownScheme(scheme string) error {
	known := driver.Schemes()
	if path, ok := importPaths[scheme]; ok {
		return fmt.Errorf("unknown scheme %q: add import _ %q (known: %s)", scheme, path, strings.Join(known, ", "))
	}
	if len(known) == 0 {
		return fmt.Errorf("unknown scheme %q, and no backend is imported: add import _ %q, say", scheme, importPaths["sqlite"])
	}
	return fmt.Errorf("unknown scheme %q: known are %s; add the import of the backend that serves it", scheme, strings.Join(known, ", "))
}

// configure checks the options, before any I/O.
func configure(u url.URL, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if opts.Identity {
		return nil, fmt.Errorf("option Identity: %w", errors.ErrUnsupported)
	}
	s := &Store{
		url:     u,
		logger:  opts.Logger,
		limits:  codec.Limits{MaxBytes: opts.Limits.MaxBytes, MaxDepth: opts.Limits.MaxDepth},
		ids:     opts.IDs,
		extras:  slices.Clone(opts.ExtraFields),
		stateOf: opts.State,
		columns: map[string]driver.Kind{
			driver.ColType: driver.Text, driver.ColState: driver.Text, driver.ColRevision: driver.Int,
			driver.ColCreated: driver.Time, driver.ColModified: driver.Time,
			driver.ColClaimOwner: driver.Text, driver.ColClaimUntil: driver.Time, driver.ColClaimToken: driver.Int,
		},
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if s.ids == nil {
		s.ids = idfactory.Integers()
	}
	if s.limits.MaxBytes <= 0 {
		s.limits.MaxBytes = defaultMaxBytes
	}
	if s.limits.MaxDepth <= 0 {
		s.limits.MaxDepth = defaultMaxDepth
	}
	s.kv = newKV(s)
	seen := make(map[string]bool)
	for _, f := range s.extras {
		if err := f.Check(); err != nil {
			return nil, err
		}
		name := f.Column().Name
		if folded := strings.ToLower(name); seen[folded] {
			return nil, fmt.Errorf("extra field %q is given twice", name)
		} else {
			seen[folded] = true
		}
		s.columns[name] = f.Column().Kind
	}
	return s, nil
}

// start makes b the backend of the store.
func (s *Store) start(ctx context.Context, b driver.Backend) error {
	schema := driver.Schema{IntegerIDs: s.ids.Integral()}
	for _, f := range s.extras {
		schema.Fields = append(schema.Fields, f.Column())
	}
	s.values = driver.NewColumns(schema)
	meta, err := b.Init(ctx, schema)
	if err != nil {
		return err
	}
	s.backend = b
	s.ident = unique.Make(meta.Identity)
	s.missing = meta.Missing
	if _, ok := b.(driver.Claimer); !ok {
		s.missing = append(slices.Clip(s.missing), driver.ColClaimOwner, driver.ColClaimUntil, driver.ColClaimToken)
	}
	s.numbers.init(s, meta.NoCounter)
	return nil
}

// URL returns the URL that the store was opened with; the zero URL for a store made by
// New. Printed, it shows no password.
func (s *Store) URL() url.URL { return s.url }

// Stats returns what there is to know of the connections; the zero Stats where the backend keeps none.
func (s *Store) Stats() Stats {
	if b, ok := s.backend.(driver.Statser); ok {
		return b.Stats()
	}
	return Stats{}
}

func (s *Store) store() *Store { return s }

// PreFork waits for the calls in flight, then closes every connection and file, so
// that a child process inherits none. Later calls wait for PostFork. Private memory stays.
// On a store that is held or closed it does nothing. (GC3Pie's Store.pre_fork.)
func (s *Store) PreFork() error {
	s.life.Lock()
	defer s.life.Unlock()
	return s.fail("prefork", "", s.preFork())
}

func (s *Store) preFork() error {
	if !s.gate.hold() {
		return nil
	}
	var err error
	for _, b := range s.backends() {
		if b, ok := b.(driver.Suspender); ok {
			err = errors.Join(err, b.Suspend())
		}
	}
	return err
}

// backends returns the backend of the objects, behind that of the key-value pairs if it is open. No call is in flight.
func (s *Store) backends() []driver.Backend {
	if kv := s.kv.opened(); kv != nil {
		return []driver.Backend{kv, s.backend}
	}
	return []driver.Backend{s.backend}
}

// PostFork lets the calls go on; connections open again at the first use. On a store
// that is not held it does nothing.
func (s *Store) PostFork() error {
	s.life.Lock()
	defer s.life.Unlock()
	return s.fail("postfork", "", s.postFork())
}

func (s *Store) postFork() error {
	var err error
	if s.gate.isHeld() {
		for _, b := range s.backends() {
			if b, ok := b.(driver.Suspender); ok {
				err = errors.Join(err, b.Resume())
			}
		}
	}
	s.gate.release()
	return err
}

// Reset closes every connection and file and lets them open anew. Calls in flight end
// first and later ones wait: none fails because of it. On a store that is held by
// PreFork it does nothing.
func (s *Store) Reset() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.gate.isHeld() {
		return nil
	}
	return s.fail("reset", "", errors.Join(s.preFork(), s.postFork()))
}

// InvalidateCache forgets every object in the identity map of Options.Identity; without
// that option there is nothing to forget.
func (s *Store) InvalidateCache() {}

// Close waits for the calls in flight and releases the backend. Later calls and running
// iterators end with ErrClosed, calls held back by PreFork too. A second Close does nothing.
func (s *Store) Close() error {
	if !s.gate.close() {
		return nil
	}
	var err error
	for _, b := range s.backends() {
		err = errors.Join(err, b.Close())
	}
	return s.fail("close", "", err)
}

// apply makes the mutations, all or none.
func (s *Store) apply(ctx context.Context, ms []driver.Mutation) ([]int64, error) {
	if err := s.gate.enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	return s.backend.Apply(ctx, ms)
}

// Reserve takes n numbers of the store's counter at once, for the IDs of the next n objects. It
// spares bulk loaders a few small writes; without it numbers are taken in blocks that grow with use. n <= 0 is an error.
func (s *Store) Reserve(ctx context.Context, n int) error {
	if n <= 0 {
		return s.fail("reserve", "", fmt.Errorf("cannot reserve %d numbers", n))
	}
	return s.fail("reserve", "", s.numbers.take(ctx, n))
}

// warned remembers what was warned of, so that a million records make one line. Beyond
// its size it warns no more.
type warned struct {
	mu   sync.Mutex
	seen map[string]bool
}

const maxWarnings = 1000

func (w *warned) first(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[what] || len(w.seen) >= maxWarnings {
		return false
	}
	if w.seen == nil {
		w.seen = make(map[string]bool)
	}
	w.seen[what] = true
	return true
}

// shallowHint notices a program that keeps saving large graphs for small changes.
type shallowHint struct {
	count atomic.Int32
}

const (
	hintEncoded = 1000 // more objects encoded than this
	hintWritten = 10   // and fewer written than this
	hintRepeats = 3    // so many times
)

func (h *shallowHint) note(s *Store, encoded, written int) {
	if encoded <= hintEncoded || written >= hintWritten || h.count.Load() >= hintRepeats {
		return
	}
	if h.count.Add(1) == hintRepeats {
		s.logger.Warn("Save keeps encoding many objects to write few: SaveOnly writes just the objects it is given",
			"encoded", encoded, "written", written)
	}
}

// typeOf returns the type that records of obj have: the struct's for a pointer to one.
func typeOf(obj any) reflect.Type {
	t := reflect.TypeOf(obj)
	if t != nil && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return t.Elem()
	}
	return t
}
