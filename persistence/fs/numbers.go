package fs

import (
	"context"
	"fmt"
	"math"

	"github.com/brine-go/brine/persistence/driver"
)

// NextIDs takes n numbers from the counter in the meta file, flushed before it
// returns. The first call in the life of a directory looks for the highest
// number in the IDs. A directory without meta file (NoCreate) is searched at every call.
func (b *Backend) NextIDs(ctx context.Context, n int) (int64, error) {
	if n < 1 {
		return 0, fmt.Errorf("%d numbers asked for", n)
	}
	if err := b.begin(); err != nil {
		return 0, err
	}
	defer b.calls.Done()
	s, err := b.ready()
	if err != nil {
		return 0, err
	}
	l, err := b.exclusive(ctx)
	if err != nil {
		return 0, err
	}
	defer l.release()
	m, err := l.readMeta()
	if err != nil {
		return 0, err
	}
	if err := l.compareMeta(m, b.storeIdentity()); err != nil {
		return 0, err
	}
	var first int64
	if m == nil || m.next == 0 {
		highest, err := l.highest(ctx, s[driver.Objects].IntegerIDs)
		if err != nil {
			return 0, err
		}
		first = highest + 1 // 0 after the greatest number there is
	} else {
		first = m.next
	}
	if first > 0 {
		first = max(first, b.given+1)
	}
	if first < 1 || first > math.MaxInt64-int64(n) {
		return 0, fmt.Errorf("directory %s has no %d numbers left", b.path, n)
	}
	if m != nil {
		m.next = first + int64(n)
		if err := l.writeMeta(l.folder, m); err != nil {
			return 0, err
		}
	}
	if away := l.checkPlace(); away != nil {
		return 0, away
	}
	b.given = first + int64(n) - 1
	return first, nil
}

// highest returns the highest number in the IDs of the directory, 0 if there is none.
func (f *folder) highest(ctx context.Context, integers bool) (int64, error) {
	var highest int64
	err := f.eachName(ctx, func(name string) error {
		id, err := f.idOfFile(name)
		if unreadable(err) {
			return nil // its number cannot be known; should it be given again, its name is taken
		}
		if err != nil {
			return err
		}
		if n, ok := id.Seq(); ok && storable(id, integers) {
			highest = max(highest, n)
		}
		return nil
	})
	return highest, err
}
