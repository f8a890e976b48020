package fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/groupcommit"
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
	path   string // absolute
	opts   driver.OpenOptions
	log    *slog.Logger
	logged driver.Logged // damaged records that were logged

	// Tests change these before the first call.
	window    int                     // how many IDs a scan holds
	maxListed int64                   // bytes of the list of changes
	hook      func(step string) error // called at each step of a commit, if not nil

	queue *queue
	group *groupcommit.Group[*batch]
	// Guarded by the exclusive lock, and by there being no running call.
	given   int64  // highest number given out
	index   *index // nil: nobody has claimed yet
	touched uint64 // how often this Backend has raised the generation
	// Of the meta file, when the columns, and when the identity alone, were last found to be right.
	checked, identified os.FileInfo
	uniques             []driver.Index           // the unique indexes of the meta file that was seen last
	seen                atomic.Pointer[metaSeen] // for reads

	mu      sync.Mutex
	calls   sync.WaitGroup // those that run; Add under mu
	closed  bool
	dir     *directory // nil while suspended
	schemas schemas    // replaced as a whole
	folds   bool       // the file system folds letter case
	pending pending    // with ReadOnly: what commits of crashed writers will have changed

	identity string // kept with the directory, as Init has found it; "": none, or no Init yet
}

var (
	_ driver.Backend    = (*Backend)(nil)
	_ driver.Suspender  = (*Backend)(nil)
	_ driver.Namespacer = (*Backend)(nil)
	_ driver.Pinger     = (*Backend)(nil)
)

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
	o.NoCreate = o.NoCreate || o.ReadOnly
	b := &Backend{path: path, opts: o, log: o.Logger, window: defaultWindow, maxListed: defaultListed,
		queue: newQueue()}
	b.group = groupcommit.New(b.applyAlone, b.applyTogether)
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	return b, nil
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
	return fn(&reader{lock: l, folder: l.folder, schema: s[driver.Objects], schemas: s})
}

// Suspend closes every file that the Backend has open. No call may be running.
func (b *Backend) Suspend() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closeFiles()
}

// Resume opens the directory again, if Init has found a store in it: it must be the same store.
func (b *Backend) Resume() error {
	b.mu.Lock()
	again := b.identity != "" && !b.closed
	b.mu.Unlock()
	if !again {
		return nil
	}
	_, err := b.directory()
	return err
}

// Ping implements [driver.Pinger]: it reads the meta file, if there was one, and waits for no lock.
func (b *Backend) Ping(ctx context.Context) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.calls.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := b.ready(); err != nil {
		return err
	}
	d, err := b.directory()
	if err == nil {
		err = d.checkPlace()
	}
	if err == nil {
		err = d.compare(b.storeIdentity())
	}
	return err
}

// Close waits for the running calls and closes every file.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.calls.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closeFiles()
}

// closeFiles closes what is open. The caller has locked b.mu.
func (b *Backend) closeFiles() error {
	d := b.dir
	b.dir, b.index = nil, nil
	if d == nil {
		return nil
	}
	return d.close()
}

// begin counts a call as running, until b.calls.Done.
func (b *Backend) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return driver.ErrClosed
	}
	b.calls.Add(1)
	return nil
}

// ready returns the schemas of all namespaces: an error before Init.
func (b *Backend) ready() (schemas, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.schemas == nil {
		return nil, errors.New("call Init first")
	}
	return b.schemas, nil
}

// step is where tests let a commit fail or the process die.
func (b *Backend) step(name string) error {
	if b.hook == nil {
		return nil
	}
	return b.hook(name)
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
