package sqlite_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
)

// The log of single writes stays small, since growing costs a flush of the file system's journal
// for each; that of large batches may grow, and single writes after them make it small again.
func TestTheLogIsFoldedIntoTheFileEarlyForSingleWritesAndLateForLargeBatches(t *testing.T) {
	t.Parallel()
	const page = 4096
	path := file(t)
	b, _ := open(t, fileURL(path), driver.Schema{IntegerIDs: true}, driver.OpenOptions{})
	id := 0
	next := func(size int) driver.Mutation {
		id++
		return create(driver.ID(strconv.Itoa(id)), strings.Repeat("x", size))
	}
	log := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	for range 1500 {
		apply(t, b, next(1000))
	}
	if size := log(); size > 1200*page {
		t.Errorf("after 1,500 single writes the log has %d pages", size/page)
	}
	for range 5 {
		var ms []driver.Mutation
		for range 300 {
			ms = append(ms, next(8000))
		}
		apply(t, b, ms...)
	}
	if size := log(); size < 2500*page {
		t.Errorf("after large batches of 12 MB the log has %d pages: it was folded meanwhile", size/page)
	}
}
