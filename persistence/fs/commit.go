package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

const (
	ownPrefix  = ".brine."
	commitName = ".brine.commit"
	commitTemp = ".brine.commit.tmp"
	tempPrefix = ".brine.tmp."
)

// flushEach is the number of files up to which they are flushed one by one: flushing
// the file system waits for what all others have written, too.
const flushEach = 4

// foldersOf returns the folders of files, each once.
func foldersOf(files []file) []*folder {
	var folders []*folder
	for _, f := range files {
		if !slices.Contains(folders, f.folder) {
			folders = append(folders, f.folder)
		}
	}
	return folders
}

// commit makes all changes or none.
func (l *lock) commit(ctx context.Context, changes []change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case len(changes) == 0:
		return nil
	case len(changes) == 1 && changes[0].remove:
		return l.committed(l.commitRemoval(changes[0].file))
	case len(changes) == 1:
		return l.committed(l.commitOne(&changes[0]))
	}
	return l.committed(l.commitMany(ctx, changes))
}

func (l *lock) commitRemoval(f file) error {
	if err := l.b.step("begin"); err != nil {
		return err
	}
	if err := l.announce(f); err != nil {
		return err
	}
	if err := f.remove(); err != nil {
		return err
	}
	return l.settle(f)
}

func (l *lock) commitOne(c *change) error {
	temp := file{c.folder, tempName(0)}
	if _, err := l.writeRecord(temp, true, c, new([]byte)); err != nil {
		return err
	}
	err := l.b.step("flushed")
	if err == nil {
		err = l.announce(c.file)
	}
	if err == nil {
		err = temp.rename(c.name)
	}
	if err != nil {
		l.discard([]file{temp})
		return err
	}
	return l.settle(c.file)
}

// settle flushes the folders of files after a change that others can see already.
func (l *lock) settle(files ...file) error {
	err := l.b.step("renamed")
	if err == nil {
		err = flushFolders(files)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUncertain, err)
	}
	return nil
}

// flushFolders flushes the names of files.
func flushFolders(files []file) error {
	if len(files) == 1 {
		return flushDir(files[0].file)
	}
	for _, f := range foldersOf(files) {
		if err := flushDir(f.file); err != nil {
			return err
		}
	}
	return nil
}

func (l *lock) commitMany(ctx context.Context, changes []change) error {
	var t redo
	var temps temporaries
	if err := l.prepare(ctx, changes, &t, &temps); err != nil {
		l.discard(temps.files)
		return err
	}
	err := l.announce(t.files()...)
	if err == nil {
		err = l.root.Rename(commitTemp, commitName)
	}
	if err != nil {
		l.discard(temps.files)
		return err
	}
	err = l.b.step("marked")
	if err == nil {
		err = flushDir(l.file)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUncertain, err)
	}
	if err := l.finish(l.folder, &t, false); err != nil {
		if l.b.logged.First("finish " + err.Error()) {
			l.b.log.Warn("a commit is durable, but its files are not all in place: the next call puts them there; if this is logged again after a restart, the directory cannot be written",
				"directory", l.b.path, "error", err)
		}
	}
	return nil
}

// prepare writes all that a commit needs, and flushes it.
func (l *lock) prepare(ctx context.Context, changes []change, t *redo, temps *temporaries) error {
	together := canFlushAll && len(changes) > flushEach
	var buf []byte
	for i := range changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := &changes[i]
		if c.remove {
			t.removes = append(t.removes, c.file)
			continue
		}
		sum, err := l.writeRecord(temps.next(c.folder), !together, c, &buf)
		if err != nil {
			return err
		}
		t.renames = append(t.renames, rename{c.file, sum, c.raw})
		if err := l.b.step("temporary"); err != nil {
			return err
		}
	}
	e := frame.NewEncoder()
	defer e.Free()
	b, err := e.Frame(commitMark, t.encode)
	if err != nil {
		return err
	}
	list := file{l.folder, commitTemp}
	if err := l.writeTemp(list, !together, b); err != nil {
		return err
	}
	if err := l.b.step("written"); err != nil {
		return err
	}
	flush := flushDir // the temporaries must not be lost when the list is not
	if together {
		flush = flushAll
	}
	for _, f := range foldersOf(append(slices.Clip(temps.files), list)) {
		if err := flush(f.file); err != nil {
			return err
		}
	}
	if err := l.b.step("flushed"); err != nil {
		return err
	}
	return ctx.Err()
}

// finish carries out a list that is in place in a folder and flushed, again or for the first time.
func (l *lock) finish(in *folder, t *redo, again bool) error {
	if err := l.finishRenames(t, again); err != nil {
		return err
	}
	for _, f := range t.removes {
		if err := f.remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := l.b.step("remove"); err != nil {
			return err
		}
	}
	files := t.files()
	if err := flushFolders(files); err != nil {
		return err
	}
	if err := l.b.step("done"); err != nil {
		return err
	}
	if err := in.root.Remove(commitName); err != nil {
		return err
	}
	if err := l.b.step("unmarked"); err != nil {
		return err
	}
	// A later commit in another folder does not flush the removal of the list, and the list must
	// not come back after that commit.
	if slices.ContainsFunc(files, func(f file) bool { return f.folder != in }) {
		return flushDir(in.file)
	}
	return nil
}

func (l *lock) finishRenames(t *redo, again bool) error {
	var temps temporaries
	for _, r := range t.renames {
		temp := temps.next(r.folder)
		if again {
			is := temp.endsWith
			if r.whole {
				is = temp.hasSum
			}
			ours, err := is(r.sum)
			if err != nil {
				return err
			}
			if !ours {
				continue
			}
		}
		if err := temp.rename(r.name); err != nil {
			return err
		}
		if err := l.b.step("rename"); err != nil {
			return err
		}
	}
	return nil
}

// unfinished reports whether a commit waits to be finished.
func (f *folder) unfinished() (bool, error) {
	_, err := f.root.Lstat(commitName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// recover finishes the commit that a crashed writer left in a folder. The folder is the directory
// itself or, where the writer was an older version of this package, the folder of a namespace. The
// lock is exclusive.
func (l *lock) recover(in *folder) error {
	t, err := l.readRedo(in)
	if err != nil {
		return err
	}
	// Its name may not be on disk yet, if the writer died between rename and flush.
	if err := flushDir(in.file); err != nil {
		return err
	}
	if err := l.b.step("recover"); err != nil {
		return err
	}
	if err := l.announce(t.files()...); err != nil {
		return err
	}
	return l.finish(in, t, true)
}

// endsWith reports whether a file is there and its last frame.Checksum is sum.
func (f file) endsWith(sum uint32) (bool, error) {
	info, err := f.root.Lstat(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() < frame.Uint32Len {
		return false, nil
	}
	opened, err := f.root.Open(f.name)
	if err != nil {
		return false, err
	}
	defer opened.Close()
	var b [frame.Uint32Len]byte
	if _, err := opened.ReadAt(b[:], info.Size()-frame.Uint32Len); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	n, ok := frame.ReadUint32(b[:])
	return ok && n == sum, nil
}
