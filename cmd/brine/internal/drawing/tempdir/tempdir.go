// Package tempdir makes os.TempDir a directory of this user alone while the package go-graphviz is
// initialized.
//
// That package compiles Graphviz when the program starts, and keeps the machine code in
// os.TempDir()/go-graphviz, from where it is loaded ever after. In a directory for all users, such
// as /tmp, the first one owns that: the programs of all others could not start, or would run what
// somebody else has put there. With this package it is the cache of the user, or, where there is no
// such directory, nowhere: each start then takes half a second of compiling.
//
// Packages are initialized in the order of their import paths, those first that they import. The
// path of this one is before that of go-graphviz, and it imports only what that imports too. The
// package that imports both calls [Restore].
package tempdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

const variable = "TMPDIR" // os.TempDir of Unix reads it; elsewhere a user has one of his own

var before, wasSet = os.LookupEnv(variable)

func init() { _ = os.Setenv(variable, choose()) }

// Restore ends it.
func Restore() {
	if wasSet {
		_ = os.Setenv(variable, before)
	} else {
		_ = os.Unsetenv(variable)
	}
}

// nowhere is a directory that there never is.
var nowhere = filepath.Join(os.DevNull, "none")

// choose returns the directory to keep machine code in.
func choose() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nowhere
	}
	dir := filepath.Join(cache, "brine")
	code := filepath.Join(dir, "go-graphviz")
	if _, err := os.Stat(cache); err != nil && !private(filepath.Dir(cache), false) {
		return nowhere
	}
	for _, d := range []string{cache, dir, code} {
		if !private(d, true) {
			return nowhere
		}
	}
	if !filled(code) && !hasRoom(code) {
		return nowhere
	}
	return dir
}

// private reports whether a directory is this user's, and nobody else writes in it. It may be made.
func private(dir string, make bool) bool {
	info, err := os.Stat(dir)
	if make && errors.Is(err, fs.ErrNotExist) && os.Mkdir(dir, 0o700) == nil {
		info, err = os.Stat(dir)
	}
	return err == nil && info.IsDir() && info.Mode().Perm()&0o002 == 0 && isOwn(info)
}

// filled reports whether there is machine code.
func filled(code string) bool {
	files, err := filepath.Glob(filepath.Join(code, "*", "*"))
	return err == nil && len(files) > 0
}

// room is more than the machine code takes.
const room = 16 << 20

// hasRoom reports whether there is room for the machine code: go-graphviz panics where there is
// not.
func hasRoom(dir string) bool {
	f, err := os.CreateTemp(dir, "room-*")
	if err != nil {
		return false
	}
	_, err = f.Write(make([]byte, room))
	return errors.Join(err, f.Close(), os.Remove(f.Name())) == nil
}
