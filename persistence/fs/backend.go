package fs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

const (
	filePerm = 0o600
	dirPerm  = 0o700
)

func init() { driver.Register("file", Open) }

// Open returns the Backend of a "file" URL. A host, a user, a missing path and any
// parameter are errors. Nothing is read or made before Init.
func Open(_ context.Context, u url.URL, o driver.OpenOptions) (driver.Backend, error) {
	if err := driver.CheckParams(u); err != nil {
		return nil, err
	}
	if host := u.Host(); host != "" || u.Port() != "" {
		return nil, fmt.Errorf("a file URL names no host, but this one names %q: write file:///path or file:path", host)
	}
	if u.User() != "" || u.Password() != "" {
		return nil, errors.New("a file URL names no user")
	}
	return New(filepath.FromSlash(u.Path()), o)
}

// A Backend keeps records in a directory.
//
// It is safe for concurrent use, and so is its directory for any number of
// Backends in any number of processes on one machine.
type Backend struct {
	path string // absolute
	opts driver.OpenOptions
	log  *slog.Logger

	// Tests change these before the first call.
	window    int                     // how many IDs a scan holds
	maxListed int64                   // bytes of the list of changes
	hook      func(step string) error // called at each step of a commit, if not nil

	queue queue
	group group
	// Guarded by the exclusive lock, and by there being no call in flight.
	given int64  // highest number given out
	index *index // nil: nobody has claimed yet

	mu     sync.Mutex
	calls  sync.WaitGroup // those in flight; Add under mu
	closed bool
	dir    *directory // nil while suspended
	schema *schema    // nil before Init
	ahead  *lookahead // IDs that the next scan may start with
	folds  bool       // the file system folds letter case
}

var (
	_ driver.Backend   = (*Backend)(nil)
	_ driver.Suspender = (*Backend)(nil)
	_ driver.Annexer   = (*Backend)(nil)
)

// A directory is what is open of a Backend.
type directory struct {
	root *os.Root
	file *os.File // the directory itself, to flush it
	idle []*handle
}

// New returns the Backend of a directory; a relative path is taken from the
// current working directory, once. An empty path is an error. A nil o.Logger discards.
// Nothing is read or made before Init.
func New(dir string, o driver.OpenOptions) (*Backend, error) {
	if dir == "" {
		return nil, errors.New("no path of a directory: write file:///abs/path or file:rel/path")
	}
	if strings.IndexByte(dir, 0) >= 0 {
		return nil, fmt.Errorf("path %q of a directory has a NUL", dir)
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	b := &Backend{path: path, opts: o, log: o.Logger, window: defaultWindow, maxListed: defaultListed,
		group: group{turn: make(chan struct{}, 1)}}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	return b, nil
}

// Annex implements [driver.Annexer]: the records of a name stand in the folder .brine.NAME of the directory.
func (b *Backend) Annex(name string) (driver.Backend, error) {
	return New(filepath.Join(b.path, ".brine."+name), b.opts)
}

// Init makes the directory, its parents and the package's own files, cleans up
// after crashed writers and checks that the schema fits. Under NoCreate it only
// checks: extra fields that the directory does not know are Missing.
func (b *Backend) Init(ctx context.Context, s driver.Schema) (driver.Meta, error) {
	if err := b.begin(); err != nil {
		return driver.Meta{}, err
	}
	defer b.calls.Done()
	if !b.opts.NoCreate {
		if err := makeDirs(b.path); err != nil {
			return driver.Meta{}, readOnly(err)
		}
	}
	m, missing, err := b.initMeta(ctx, s)
	if err != nil {
		return driver.Meta{}, err
	}
	b.mu.Lock()
	b.schema = newSchema(s, missing)
	b.mu.Unlock()
	if m == nil {
		sum := sha256.Sum256([]byte("file:" + filepath.ToSlash(b.path)))
		return driver.Meta{Identity: hex.EncodeToString(sum[:16]), NoCounter: true, Missing: missing}, nil
	}
	return driver.Meta{Identity: m.identity, Missing: missing}, nil
}

func (b *Backend) initMeta(ctx context.Context, s driver.Schema) (*meta, []string, error) {
	var l *held
	var err error
	if b.opts.NoCreate {
		l, err = b.shared(ctx)
	} else {
		l, err = b.exclusive(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	defer l.release()
	b.probe(l)
	m, err := l.readMeta()
	if err != nil {
		return nil, nil, err
	}
	if b.opts.NoCreate {
		if err := m.fits(s, b.path); err != nil {
			return nil, nil, err
		}
		return m, m.lacks(s), nil
	}
	if err := l.clean(); err != nil {
		return nil, nil, err
	}
	if m == nil {
		if err := l.checkIDs(ctx, s.IntegerIDs); err != nil {
			return nil, nil, err
		}
		m = newMeta(s.IntegerIDs)
	} else if err := m.fits(s, b.path); err != nil {
		return nil, nil, err
	} else if len(m.lacks(s)) == 0 {
		return m, nil, nil
	}
	m.add(s.Fields)
	return m, nil, l.writeMeta(m)
}

// probe finds out whether the file system folds letter case.
func (b *Backend) probe(l *held) {
	lower, err := l.root.Lstat(lockName)
	if err != nil {
		return
	}
	upper, err := l.root.Lstat(strings.ToUpper(lockName))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.folds = err == nil && os.SameFile(lower, upper)
}

// View calls fn with a Reader. It holds the lock shared meanwhile: fn must not
// call the Backend, and others write when it has returned.
func (b *Backend) View(ctx context.Context, fn func(driver.Reader) error) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.calls.Done()
	s, err := b.ready()
	if err != nil {
		return err
	}
	l, err := b.shared(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	return fn(&reader{held: l, schema: s})
}

// Suspend closes every file that the Backend has open. No call may be in flight.
func (b *Backend) Suspend() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.letGo()
}

// Resume does nothing: the directory is opened again at the first use.
func (b *Backend) Resume() error { return nil }

// Close waits for the calls in flight and closes every file.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.calls.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.letGo()
}

// letGo closes what is open. b.mu is held.
func (b *Backend) letGo() error {
	d := b.dir
	b.dir, b.ahead, b.index = nil, nil, nil
	if d == nil {
		return nil
	}
	for _, h := range d.idle {
		h.close()
	}
	return errors.Join(d.file.Close(), d.root.Close())
}

// begin counts a call as in flight, until b.calls.Done.
func (b *Backend) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return driver.ErrClosed
	}
	b.calls.Add(1)
	return nil
}

func (b *Backend) ready() (*schema, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.schema == nil {
		return nil, errors.New("call Init first")
	}
	return b.schema, nil
}

// directory returns the open directory and opens it if need be.
func (b *Backend) directory() (*directory, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir != nil {
		return b.dir, nil
	}
	root, err := os.OpenRoot(b.path)
	if err != nil {
		return nil, err
	}
	file, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	b.dir = &directory{root: root, file: file}
	return b.dir, nil
}

// shared takes the lock for reading, after finishing what a crashed writer had begun.
func (b *Backend) shared(ctx context.Context) (*held, error) {
	for {
		l, err := b.acquire(ctx, false)
		if err != nil {
			return nil, err
		}
		unfinished, err := l.unfinished()
		if err != nil {
			l.release()
			return nil, err
		}
		if !unfinished {
			return l, nil
		}
		l.release()
		if l, err = b.exclusive(ctx); err != nil {
			return nil, err
		}
		l.release()
	}
}

// exclusive takes the lock for writing, after finishing what a crashed writer had begun.
func (b *Backend) exclusive(ctx context.Context) (*held, error) {
	l, err := b.acquire(ctx, true)
	if err != nil {
		return nil, err
	}
	whole := false
	defer func() {
		if !whole { // whatever the reason
			l.release()
		}
	}()
	if err := l.recover(); err != nil {
		return nil, fmt.Errorf("finishing the commit of a writer that crashed: %w", readOnly(err))
	}
	whole = true
	return l, nil
}

// step is where tests let a commit fail or the process die.
func (b *Backend) step(name string) error {
	if b.hook == nil {
		return nil
	}
	return b.hook(name)
}

// makeDirs makes a directory and its parents, durably.
func makeDirs(path string) error {
	var todo []string
	for p := path; ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err == nil && !info.IsDir() {
			return &os.PathError{Op: "mkdir", Path: p, Err: syscall.ENOTDIR}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			return err
		}
		todo = append(todo, p)
	}
	for _, p := range slices.Backward(todo) {
		if err := os.Mkdir(p, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		parent, err := os.Open(filepath.Dir(p))
		if err != nil {
			return err
		}
		err = flushDir(parent)
		parent.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// isReadOnly reports whether err says that the medium, or this process, may not write.
func isReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// readOnly turns an error of a medium that cannot be written into ErrReadOnly.
func readOnly(err error) error {
	if err == nil || !isReadOnly(err) || errors.Is(err, driver.ErrReadOnly) {
		return err
	}
	return fmt.Errorf("%w: %w", driver.ErrReadOnly, err)
}
