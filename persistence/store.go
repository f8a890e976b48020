package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// ID identifies a record of a store. See [idfactory.ID].
type ID = idfactory.ID

// A Store saves, loads, replaces, removes and lists objects. It is safe for concurrent use; the
// objects are not (see the package documentation). Make one with [MakeStore] or [New], and
// Close it.
type Store struct {
	conn // its methods are promoted to the Store

	backend driver.Backend
	url     url.URL
	logger  *slog.Logger
	limits  codec.Limits
	ids     idfactory.Factory
	extras  []extrafields.Field // with the limits of their indexes
	given   []extrafields.Field // as the options have them
	indexes []Index             // that this Store declares
	unique  map[string]bool     // the columns of unique indexes, in lower case
	stateOf func(obj any) string

	dropUnknown bool
	readOnly    bool
	ident       storeID
	missing     []string // columns that the data lacks under NoCreate
	columns     map[string]driver.Kind
	values      *driver.Columns
	loadHint    readHint // whether the last load followed references

	watch columnWatch

	kv         *KV
	quarantine conn // for the namespace of what was put away
	gate       gate
	life       sync.Mutex // serializes PreFork, PostFork and Reset
	numbers    numbers
	states     sync.Map // reflect.Type -> *stateField
	warned     warned
	shallow    shallowHint
	foreign    atomic.Int64 // new records of objects that have one in another store
}

// MakeStore opens the store that the URL names, with a backend that the program imports for its
// side effect (persistence/sql/sqlite, persistence/fs, persistence/mem). It creates what is
// missing unless opts.NoCreate or opts.ReadOnly is set. A bare path means file:. (GC3Pie's
// make_store.) The parameter mode=ro of the URL, whatever the backend, is opts.ReadOnly; mode=rw is
// the default, and does not take opts.ReadOnly back.
//
// An unknown scheme is an error that lists the known ones and names the package to import.
func MakeStore(ctx context.Context, rawURL string, opts *Options) (*Store, error) {
	const op = "open"
	u, err := parseStoreURL(rawURL)
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	fail := func(err error) (*Store, error) { return nil, &Error{Op: op, URL: u, Err: err} }
	open, ok := driver.Lookup(u.Scheme())
	if !ok {
		return fail(unknownScheme(u.Scheme()))
	}
	if opts == nil {
		opts = &Options{}
	}
	backendURL, readOnly, err := driver.ReadMode(u)
	if err != nil {
		return fail(err)
	}
	s, err := configure(u, opts, readOnly)
	if err != nil {
		return fail(err)
	}
	o := driver.OpenOptions{Table: opts.Table, NoCreate: opts.NoCreate, ReadOnly: s.readOnly, Pool: opts.Pool, Logger: s.logger}
	if o.Table == "" {
		o.Table = u.Table()
	}
	if o.Table == "" {
		o.Table = defaultTable
	}
	if err := driver.CheckTable(o.Table); err != nil {
		return fail(err)
	}
	b, err := open(ctx, backendURL, o)
	if err != nil {
		return fail(err)
	}
	if err := s.start(ctx, b, opts.Reindex); err != nil {
		return fail(errors.Join(err, b.Close()))
	}
	return s, nil
}

// New returns a store on the backend b and takes ownership of it: Close closes b. It ignores
// opts.Table and opts.NoCreate, which are for MakeStore. If New returns an error, the caller
// still owns b.
func New(ctx context.Context, b driver.Backend, opts *Options) (*Store, error) {
	s, err := configure(url.URL{}, opts, false)
	if err == nil {
		err = s.start(ctx, b, opts != nil && opts.Reindex)
	}
	if err != nil {
		return nil, &Error{Op: "open", Err: err}
	}
	return s, nil
}

// configure checks the options, before any I/O. readOnly says that the URL asks for that.
func configure(u url.URL, opts *Options, readOnly bool) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if readOnly = readOnly || opts.ReadOnly; readOnly && opts.Reindex {
		return nil, errors.New("a store that is opened for reading only cannot be reindexed: Options.Reindex goes with neither Options.ReadOnly nor mode=ro")
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

		dropUnknown: opts.DropUnknown,
		readOnly:    readOnly,
		columns: map[string]driver.Kind{
			driver.ColType: driver.Text, driver.ColState: driver.Text, driver.ColRevision: driver.Int,
			driver.ColCreated: driver.Time, driver.ColModified: driver.Time,
			driver.ColClaimOwner: driver.Text, driver.ColClaimUntil: driver.Time, driver.ColClaimToken: driver.Int,
		},
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if s.limits.MaxBytes <= 0 {
		s.limits.MaxBytes = defaultMaxBytes
	}
	if s.limits.MaxDepth <= 0 {
		s.limits.MaxDepth = defaultMaxDepth
	}
	s.conn = conn{s: s}
	s.kv = newKV(s)
	s.quarantine = conn{s: s, namespace: driver.Quarantine}
	if n := len(s.extras); n > driver.MaxFields {
		return nil, fmt.Errorf("%d extra fields, at most %d", n, driver.MaxFields)
	}
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
	return s, s.declareIndexes(opts.Indexes)
}

// start makes b the backend of the store.
func (s *Store) start(ctx context.Context, b driver.Backend, reindex bool) error {
	schema := driver.Schema{IntegerIDs: true, AnyIDs: s.ids == nil, ReadOnly: s.readOnly, Recognize: codec.CheckOrigin}
	if s.ids != nil {
		schema.IntegerIDs = s.ids.Integral()
	}
	for _, f := range s.given {
		schema.Fields = append(schema.Fields, s.indexed(f))
	}
	meta, err := b.Init(ctx, schema)
	if err != nil {
		return err
	}
	if schema.AnyIDs {
		schema.IntegerIDs = !meta.TextIDs
		s.ids = defaultIDs(meta.TextIDs)
	}
	s.values = driver.NewColumns(schema)
	s.backend = b
	s.ident = unique.Make(meta.Identity)
	s.missing = meta.Missing
	if _, ok := b.(driver.Claimer); !ok {
		s.missing = append(slices.Clip(s.missing), driver.ColClaimOwner, driver.ColClaimUntil, driver.ColClaimToken)
	}
	s.numbers.init(&s.conn, meta.NoCounter)
	s.learnIndexes(meta.Catalog)
	if err := s.openColumns(ctx, schema.Fields, meta.Catalog, reindex); err != nil {
		return err
	}
	return s.openIndexes(ctx, meta.Catalog, reindex)
}

// defaultIDs returns the factory of a store that is opened without one.
func defaultIDs(text bool) idfactory.Factory {
	if !text {
		return idfactory.Integers()
	}
	return idfactory.Func(func(_ context.Context, obj any) (ID, error) {
		return "", fmt.Errorf("a new %T needs an ID, and the store has text IDs: Options.IDs says how to make one", obj)
	})
}

// URL returns the URL that the store was opened with, or the zero URL for a store made by New.
// Its printed form has no password.
func (s *Store) URL() url.URL { return s.url }

// Stats returns statistics of the connections, or the zero Stats if the backend keeps none.
func (s *Store) Stats() Stats {
	if b, ok := ability[driver.Statser](&s.conn); ok {
		return b.Stats()
	}
	return Stats{}
}

// Reserve takes n numbers of the store's counter at once, for the IDs of the next n objects. It
// saves bulk loaders a few small writes; without it numbers are taken in blocks that grow with
// use. n <= 0 is an error.
func (s *Store) Reserve(ctx context.Context, n int) error {
	if err := s.mayWrite("reserve", ""); err != nil {
		return err
	}
	if n <= 0 {
		return s.fail("reserve", "", fmt.Errorf("cannot reserve %d numbers", n))
	}
	return s.fail("reserve", "", s.numbers.take(ctx, n))
}
