package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A fileIdentity remembers which files the connections of a database have open. The files of a path
// can be removed and replaced at any time; SQLite goes on with those that it has open.
type fileIdentity struct {
	path      string
	file, log os.FileInfo // log is nil where there is none
}

// newFileIdentity returns that of a database that has been opened and read from. before is what was
// at the path before that.
func newFileIdentity(path string, before os.FileInfo) (*fileIdentity, error) {
	f := &fileIdentity{path: path, file: before}
	if !os.SameFile(before, before) { // on Windows a FileInfo reads what tells the file only now
		return nil, fmt.Errorf("%s cannot be told from other files", path)
	}
	if err := f.check(false); err != nil {
		return nil, err
	}
	f.findLog()
	return f, nil
}

// findLog remembers the log. SQLite removes it only when the last connection closes.
func (f *fileIdentity) findLog() {
	f.log = nil
	if log, err := os.Stat(f.path + logSuffix); err == nil && os.SameFile(log, log) {
		f.log = log
	}
}

// leftLog reports whether now, which is at the path, is another file than the one that was there,
// and the log of that one is still beside it. A nil fileIdentity had no file.
func (f *fileIdentity) leftLog(now os.FileInfo) bool {
	if f == nil || f.log == nil || os.SameFile(f.file, now) {
		return false
	}
	log, err := os.Stat(f.path + logSuffix)
	return err == nil && os.SameFile(f.log, log) && log.Size() > 0
}

// putLogAside renames the log that the file before this one has left, and removes its index, which
// is made anew from a log when it is missing.
func (f *fileIdentity) putLogAside() (name string, err error) {
	for i := 1; ; i++ {
		name = fmt.Sprintf("%s%s.old%d", f.path, logSuffix, i)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err := os.Rename(f.path+logSuffix, name); err != nil {
		return "", err
	}
	if err := os.Remove(f.path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return name, nil
}

const logSuffix = "-wal"

// check returns an error if the file at the path is another one or gone, and after a commit, whose
// data may be in the log alone, the same of the log.
func (f *fileIdentity) check(committed bool) error {
	what, err := "the file", sameAt(f.path, f.file)
	if err == nil && committed && f.log != nil {
		what, err = "the log "+filepath.Base(f.path)+logSuffix, sameAt(f.path+logSuffix, f.log)
	}
	if err != nil {
		return fmt.Errorf("%s %w while the store was open, and nobody would find what is written: put the store's file in place and call Reset", what, err)
	}
	return nil
}

var (
	errRemoved  = errors.New("was removed or renamed")
	errReplaced = errors.New("was replaced by another one")
)

// sameAt returns an error unless the file at a path is the one that was.
func sameAt(path string, was os.FileInfo) error {
	same, err := isAt(path, was)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return errRemoved
	case err == nil && !same:
		return errReplaced
	}
	return nil // if it cannot be seen from here any more, that says nothing
}

// statAt is isAt by all that is known of a file.
func statAt(path string, was os.FileInfo) (bool, error) {
	now, err := os.Stat(path)
	return err == nil && os.SameFile(was, now), err
}
