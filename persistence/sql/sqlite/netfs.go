package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// refuseNetwork returns an error where a file is, or would be made, on a network file system. What
// cannot be found out is let pass.
func refuseNetwork(path string) error {
	if kind := networkFS(nearest(path)); kind != "" {
		return fmt.Errorf("%s is on a network file system (%s), where SQLite's locks are not reliable and may cost data: "+
			"use a local disk, or add ?networkfs=allow to the URL if only this machine ever opens the file", path, kind)
	}
	return nil
}

// nearest returns path, or the first of its parents that exists, links resolved.
func nearest(path string) string {
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return real
		}
		// A link into nothing leads to where the file will be made.
		if target, err := os.Readlink(path); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(path), target)
			}
			path = target
		}
		parent := filepath.Dir(path)
		if parent == path || !errors.Is(err, fs.ErrNotExist) {
			return path
		}
		path = parent
	}
}
