package fs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/brine-go/brine/persistence/driver"
)

const (
	lockName = ".brine.lock"
	gateName = ".brine.gate"
)

// A handle is a pair of open lock files. Each is locked by one call at a time,
// since a lock belongs to the open file. Handles are kept for the next call.
type handle struct {
	lock *os.File
	gate *os.File // nil where there is none: then lock is the directory itself

	readOnly bool        // lock could not be opened for writing
	info     os.FileInfo // of lock
}

func (h *handle) close() {
	h.lock.Close()
	if h.gate != nil {
		h.gate.Close()
	}
}

// A lock is that of a directory, which the call that has it reads or writes.
type lock struct {
	*directory
	b         *Backend
	h         *handle
	exclusive bool

	// listed is where the list of changes ends after what was last added to it, if the index knows
	// all that stands before that; else 0.
	listed int64

	table *uniqueTable // of the unique indexes, once it is open: of this state of the directory
}

// shared takes the lock for reading, after finishing what a crashed writer had begun.
func (b *Backend) shared(ctx context.Context) (*lock, error) {
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
		if b.opts.ReadOnly {
			if err := l.readThrough(); err != nil {
				l.release()
				return nil, err
			}
			return l, nil
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

// exclusive takes the lock for writing, after finishing what a crashed writer had begun. No call
// that writes does so without it.
func (b *Backend) exclusive(ctx context.Context) (*lock, error) {
	if b.opts.ReadOnly {
		return nil, driver.ErrOpenedReadOnly
	}
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
	unfinished, err := l.unfinished()
	if err == nil && unfinished {
		err = l.recover(l.folder)
	}
	if err != nil {
		return nil, fmt.Errorf("finishing the commit of a writer that crashed: %w", readOnly(err))
	}
	if err := l.openTable(); err != nil {
		return nil, err
	}
	whole = true
	return l, nil
}

// acquire takes the lock of the directory and honours ctx while waiting.
//
// The gate is what makes it fair: who wants the lock holds the gate while waiting, a writer
// exclusively, so that readers that come later wait until the writer is done, and the
// writer that has just let go of the lock does not take it again before the one that waits.
func (b *Backend) acquire(ctx context.Context, exclusive bool) (*lock, error) {
	if err := b.queue.acquire(ctx, exclusive); err != nil {
		return nil, err
	}
	l, err := b.acquireFiles(ctx, exclusive)
	if err != nil {
		b.queue.release(exclusive)
		return nil, err
	}
	return l, nil
}

func (b *Backend) acquireFiles(ctx context.Context, exclusive bool) (*lock, error) {
	d, err := b.directory()
	if err != nil {
		return nil, err
	}
	for {
		h, err := b.takeHandle(ctx, d)
		if err != nil {
			if away := d.checkPlace(); away != nil {
				err = away
			}
			return nil, err
		}
		if err := h.acquire(ctx, exclusive); err != nil {
			h.close() // also lets go of the gate
			return nil, err
		}
		if ok, err := d.locks(h, exclusive); err != nil || !ok {
			h.close()
			if err == nil {
				err = b.relock(ctx, d)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if h.gate != nil {
			return &lock{directory: d, b: b, h: h, exclusive: exclusive}, nil
		}
		// The lock files may have been made since we looked, by one who held the
		// directory: from then on they are what counts.
		made, err := d.openHandle(false)
		if errors.Is(err, fs.ErrNotExist) {
			return &lock{directory: d, b: b, h: h, exclusive: exclusive}, nil
		}
		h.close()
		if err != nil {
			return nil, err
		}
		b.putHandle(d, made)
	}
}

// acquire takes the lock of a handle.
func (h *handle) acquire(ctx context.Context, exclusive bool) error {
	if h.gate == nil {
		if lockDirs {
			return wait(ctx, h.lock, exclusive)
		}
		return nil
	}
	if err := wait(ctx, h.gate, exclusive); err != nil {
		return err
	}
	if err := wait(ctx, h.lock, exclusive); err != nil {
		return err
	}
	return unlock(h.gate)
}

// relock forgets the lock files that are open after they were found to be others than those in the
// directory. Whoever has done that may have put another store there.
func (b *Backend) relock(ctx context.Context, d *directory) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.compare(b.storeIdentity()); err != nil {
		return err
	}
	if b.logged.First("lock") {
		b.log.Warn("the lock file of a directory was removed or replaced while it was in use, which keeps nobody out: the new one is locked from now on; it must stay",
			"directory", b.path, "file", lockName)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range d.idle {
		h.close()
	}
	d.idle = nil
	return nil
}

// release lets go of the lock.
func (l *lock) release() {
	l.closeTable()
	defer l.b.queue.release(l.exclusive)
	if l.h.gate == nil {
		l.h.close()
		return
	}
	if err := unlock(l.h.lock); err != nil {
		l.h.close()
		return
	}
	l.b.putHandle(l.directory, l.h)
}

// wait takes the lock of f as soon as it is free.
func wait(ctx context.Context, f *os.File, exclusive bool) error {
	const shortest, longest = 20 * time.Microsecond, 2 * time.Millisecond
	var timer *time.Timer
	for pause := shortest; ; pause = min(2*pause, longest) {
		if ok, err := tryLock(f, exclusive); ok || err != nil {
			return err
		}
		if timer == nil {
			timer = time.NewTimer(pause)
			defer timer.Stop()
		} else {
			timer.Reset(pause)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// takeHandle returns an idle handle or opens one.
func (b *Backend) takeHandle(ctx context.Context, d *directory) (*handle, error) {
	b.mu.Lock()
	if n := len(d.idle); n > 0 {
		h := d.idle[n-1]
		d.idle = d.idle[:n-1]
		b.mu.Unlock()
		return h, nil
	}
	b.mu.Unlock()

	h, err := d.openHandle(false)
	if !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	// The lock files are made while holding the directory, so that those who have nothing
	// else to lock are not overtaken.
	dir, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	if b.opts.NoCreate {
		return &handle{lock: dir}, nil
	}
	if lockDirs {
		if err := wait(ctx, dir, true); err != nil {
			dir.Close()
			return nil, err
		}
	}
	h, err = d.openHandle(true)
	if isReadOnly(err) {
		if lockDirs {
			err = unlock(dir)
		}
		if lockDirs && err != nil {
			dir.Close()
			return nil, err
		}
		return &handle{lock: dir}, nil
	}
	dir.Close()
	return h, err
}

// putHandle keeps a handle for the next call, if the directory is still open.
func (b *Backend) putHandle(d *directory, h *handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir != d || len(d.idle) >= maxIdle {
		h.close()
		return
	}
	d.idle = append(d.idle, h)
}

const maxIdle = 16

// openHandle opens the lock files, or makes them.
func (d *directory) openHandle(create bool) (*handle, error) {
	lock, readOnly, err := d.openOwn(lockName, create)
	if err != nil {
		return nil, err
	}
	gate, _, err := d.openOwn(gateName, create)
	if err != nil {
		lock.Close()
		return nil, err
	}
	info, err := lock.Stat()
	if err != nil {
		lock.Close()
		gate.Close()
		return nil, err
	}
	return &handle{lock: lock, gate: gate, readOnly: readOnly, info: info}, nil
}

// openOwn opens one of the package's own files for writing, which exclusive locks over NFS need, or
// for reading, or makes it. With ReadOnly it opens it for reading.
func (d *directory) openOwn(name string, create bool) (f *os.File, readOnly bool, err error) {
	if create {
		f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
		if !errors.Is(err, fs.ErrExist) {
			return f, false, err
		}
	}
	// A link to another file would have that one locked and written.
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, false, err
	}
	if !before.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s in %s is not a regular file", name, d.root.Name())
	}
	if readOnly = d.readOnly; !readOnly {
		f, err = d.root.OpenFile(name, os.O_RDWR, 0)
		readOnly = isReadOnly(err)
	}
	if readOnly {
		f, err = d.root.OpenFile(name, os.O_RDONLY, 0)
	}
	if err != nil {
		return nil, false, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s in %s was replaced while it was opened", name, d.root.Name())
	}
	if err != nil {
		f.Close()
		return nil, false, err
	}
	return f, readOnly, nil
}

// generation returns a number that changes with every commit, of whatever process; false where
// there is none.
func (l *lock) generation() (uint64, bool) {
	if l.h.gate == nil {
		return 0, false
	}
	var b [8]byte
	if n, err := l.h.lock.ReadAt(b[:], 0); n == len(b) {
		return binary.BigEndian.Uint64(b[:]), true
	} else if n > 0 || err == nil {
		return 0, false
	}
	return 0, true
}

// touch raises the generation. It is not flushed: what relies on it dies with the machine.
func (l *lock) touch() error {
	if l.h.gate == nil {
		return nil
	}
	if l.h.readOnly {
		return &os.PathError{Op: "write", Path: lockName, Err: fs.ErrPermission}
	}
	g, _ := l.generation()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], g+1)
	_, err := l.h.lock.WriteAt(b[:], 0)
	if err == nil {
		l.b.touched++
	}
	return err
}
