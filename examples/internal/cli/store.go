package cli

import (
	"fmt"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/brine-go/brine/url"
)

// CacheDir returns the folder for files of the examples, in the user's cache folder if there is
// one, else among the temporary files.
func CacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "brine")
}

// DefaultStore returns the URL of the SQLite file of that name in CacheDir. All runs of a program
// share it.
func DefaultStore(file string) string {
	path := filepath.ToSlash(filepath.Join(CacheDir(), file))
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&neturl.URL{Scheme: "sqlite", Path: path}).String()
}

// CheckShared returns an error if other processes cannot open the store of that URL, because it is
// in the memory of this one. It opens nothing.
func CheckShared(store string) error {
	u, err := url.Parse(store)
	if err != nil {
		return err
	}
	if u.Scheme() == "mem" || u.Scheme() == "sqlite" && (u.Path() == "" || u.Path() == ":memory:") {
		return fmt.Errorf("%s is the memory of one process: use a store that others can open", u)
	}
	return nil
}
