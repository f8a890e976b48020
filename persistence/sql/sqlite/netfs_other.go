//go:build !linux && !darwin && !windows

package sqlite

import (
	"errors"
	"syscall"
)

// networkFS cannot tell here.
func networkFS(string) string { return "" }

func isReadOnlyFS(err error) bool { return errors.Is(err, syscall.EROFS) }
