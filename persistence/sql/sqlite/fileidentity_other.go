//go:build !linux

package sqlite

import "os"

// isAt reports whether the file at a path is the one that was.
func isAt(path string, was os.FileInfo) (bool, error) { return statAt(path, was) }
