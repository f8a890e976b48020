//go:build !linux

package fs

import (
	"errors"
	"os"
	"runtime"
)

const canFlushAll = false

func flushAll(*os.File) error { return errors.ErrUnsupported }

// flushDir makes the names in a directory durable. Windows has no call for that: NTFS
// logs its names itself.
func flushDir(f *os.File) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return f.Sync()
}
