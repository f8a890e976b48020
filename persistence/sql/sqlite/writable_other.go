//go:build !unix

package sqlite

import "os"

// writable returns an error unless this process may write an existing file. Here locks belong to
// the handle, not to the process.
func writable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
