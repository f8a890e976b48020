package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/brine-go/brine/persistence/driver"
)

// How much recognize reads of a directory without a meta file.
const (
	recognizedFiles = 100
	recognizedBytes = 1 << 20 // of a file
)

// recognize returns an error if a directory without a meta file has files of another program under
// the names of records, and none of a record: there is nothing but the lock in it then.
func (f *folder) recognize(ctx context.Context, s driver.Schema) error {
	if s.Recognize == nil {
		return nil
	}
	enough := errors.New("enough")
	var foreign error
	files := 0
	err := f.eachName(ctx, func(name string) error {
		id, hashed, ok := idOf(name)
		if !ok || !hashed && !storable(id, s.IntegerIDs) {
			return nil
		}
		data, ok := f.beginning(name)
		if !ok {
			return nil
		}
		if bytes.HasPrefix(data, []byte(recordMark)) || bytes.HasPrefix(data, []byte(recordMark2)) {
			foreign = nil
			return enough
		}
		if err := s.Recognize(data); err != nil && foreign == nil {
			foreign = fmt.Errorf("directory %s is of another program, and no store is made in it: the file %q is %w (Options.NoCreate opens the directory as it is)",
				f.path, name, err)
		}
		if files++; files == recognizedFiles {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		return err
	}
	return foreign
}

// beginning returns the first bytes of a regular file that can be read.
func (f *folder) beginning(name string) ([]byte, bool) {
	if info, err := f.root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, recognizedBytes))
	return data, err == nil
}
