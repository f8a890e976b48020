package persistence

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// importPaths names the package to import for a scheme that is not registered.
var importPaths = map[string]string{
	"file":   "github.com/brine-go/brine/persistence/fs",
	"mem":    "github.com/brine-go/brine/persistence/mem",
	"sqlite": "github.com/brine-go/brine/persistence/sql/sqlite",

	"postgres":   "github.com/brine-go/brine/persistence/sql/postgres",
	"postgresql": "github.com/brine-go/brine/persistence/sql/postgres",
	"mysql":      "github.com/brine-go/brine/persistence/sql/mysql",
}

// otherNames are what other programs call the schemes.
var otherNames = map[string]string{
	"sqlite3": "sqlite", "memory": "mem", "inmemory": "mem", "mariadb": "mysql",
	"pg": "postgres", "pgsql": "postgres", "psql": "postgres", "pgx": "postgres", "postgre": "postgres",
	"fs": "file", "dir": "file", "path": "file", "filesystem": "file",
}

// isStoreScheme reports whether a scheme, with or without a driver, is or should be one of a store.
// Other names of schemes are left out that directories have too, as "path".
func isStoreScheme(scheme string) bool {
	scheme, _, _ = strings.Cut(strings.ToLower(scheme), "+")
	_, registered := driver.Lookup(scheme)
	return registered || importPaths[scheme] != "" || scheme == "sqlite3" || scheme == "mariadb"
}

// parseStoreURL reads the URL of a store. A text that would be read as a path, a path that would be
// read as a directory, and a fragment that would be read as nothing, where something else was
// probably meant, are errors: nothing is made by mistake. No error quotes what may hold a password.
func parseStoreURL(raw string) (url.URL, error) {
	trimmed := strings.Trim(raw, " \t\r\n\"'`")
	scheme, _, _ := strings.Cut(trimmed, ":")
	if trimmed != raw && strings.Contains(trimmed, ":") && isStoreScheme(scheme) || strings.Trim(raw, "\r\n") != raw {
		return url.URL{}, errors.New("the store URL has a blank, line break or quotation mark at an end: remove it, or in a path write it as %20, %0A or %22")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return u, err
	}
	if u.Scheme() == "file" && !fileScheme.MatchString(raw) {
		return u, checkBarePath(raw, u)
	}
	if _, ok := driver.Lookup(u.Scheme()); !ok {
		return u, unknownScheme(u.Scheme())
	}
	_, rest, _ := strings.Cut(raw, ":")
	if second, _, ok := strings.Cut(rest, ":"); ok && isStoreScheme(second) {
		return u, fmt.Errorf("the store URL has two schemes, %q and %q: remove one; a file of such a name is written ./%s:…", u.Scheme(), second, second)
	}
	return u, checkFragment(u.Fragment())
}

var fileScheme = regexp.MustCompile(`^(?i:file)[:+]`)

// checkFragment returns an error for a fragment that does not name a table.
func checkFragment(fragment string) error {
	name, value, ok := strings.Cut(fragment, "=")
	if fragment == "" || name == "table" && value != "" && !strings.ContainsAny(value, "&=") {
		return nil
	}
	hint := ""
	switch {
	case name == "table" && value == "":
		hint = ", and no table is named"
	case strings.Contains(value, "&"):
		hint = " alone"
	case ok && driver.Similar(name, []string{"table"}) != "":
		hint = fmt.Sprintf(", not #%s=", name)
	}
	return fmt.Errorf("the fragment of a store URL is #table=NAME%s (a '#' in a path or a password is written %%23)", hint)
}

// Texts that are names of a database for other programs.
var (
	keywordDSN = regexp.MustCompile(`(?i)(^|[\s;])(host|hostaddr|dbname|database|user|user id|server|data source)\s*=`)
	goMySQLDSN = regexp.MustCompile(`^[^/]*\b(tcp|unix)\(`)
	databases  = []string{".db", ".sqlite", ".sqlite3"} // what names of SQLite databases end with
)

// checkBarePath returns an error for a text without a scheme that is hardly the path of a
// directory.
func checkBarePath(raw string, u url.URL) error {
	first, _, slashes := strings.Cut(raw, "//")
	switch {
	case slashes && isStoreScheme(first):
		return fmt.Errorf("the colon after %q is missing in the store URL; a directory of that name is written ./%[1]s", first)
	case isStoreScheme(raw) && raw != "file":
		return fmt.Errorf("the store URL %q is a path: write %[1]q with a colon, %q, or, for a directory of that name, %q", raw, raw+":", "./"+raw)
	case raw == ":memory:":
		return errors.New(`the store URL ":memory:" is a path: a store in memory is "mem:", or "sqlite::memory:"`)
	case keywordDSN.MatchString(raw):
		return errors.New("the store URL looks like a list of keywords and values: a database on a server is written postgres://user:password@host:port/database")
	case goMySQLDSN.MatchString(raw):
		return errors.New("the store URL looks like an address for go-sql-driver/mysql: it is written mysql://user:password@host:port/database")
	case raw == "~" || strings.HasPrefix(raw, "~/"):
		return errors.New("the store URL starts with ~, which only a shell replaces by a home directory: write that, or ./~ for a directory of that name")
	case strings.HasPrefix(raw, "$"):
		return errors.New("the store URL starts with $, which only a shell replaces by the value of a variable: write that, or ./$… for a directory of that name")
	case strings.Contains(raw, "#table="):
		return fmt.Errorf("a path without a scheme is taken as it is, and #table= in it is no fragment: write sqlite: or file: before it")
	case strings.HasSuffix(raw, "?mode=ro") || strings.HasSuffix(raw, "?mode=rw"):
		return fmt.Errorf("a path without a scheme is taken as it is, and ?mode= in it is no parameter: write sqlite: or file: before it")
	}
	name := raw
	if i := strings.IndexAny(name, "?#"); i >= 0 {
		name = name[:i]
	}
	var why string
	info, err := os.Stat(filepath.FromSlash(u.Path()))
	switch {
	case err == nil && info.Mode().IsRegular():
		why = "is a file"
	case slices.Contains(databases, strings.ToLower(filepath.Ext(name))):
		why = "looks like the file of a database"
	default:
		return nil
	}
	path := strings.TrimPrefix(u.String(), "file:")
	return fmt.Errorf("%s %s, and a path without a scheme is a directory: write sqlite:%s for the database, or file:%[3]s for a directory",
		raw, why, path)
}

// unknownScheme returns the error for a scheme that no imported backend serves.
func unknownScheme(scheme string) error {
	known := driver.Schemes()
	if path, ok := importPaths[scheme]; ok {
		return fmt.Errorf("unknown scheme %q: add import _ %q (known: %s)", scheme, path, strings.Join(known, ", "))
	}
	guess := otherNames[scheme]
	if guess == "" {
		guess = driver.Similar(scheme, slices.Concat(known, slices.Sorted(maps.Keys(importPaths))))
	}
	if _, ok := driver.Lookup(guess); guess != "" && !ok {
		return fmt.Errorf("unknown scheme %q: did you mean %q? It needs the import _ %q (known: %s)",
			scheme, guess, importPaths[guess], strings.Join(known, ", "))
	}
	switch {
	case guess != "":
		return fmt.Errorf("unknown scheme %q: did you mean %q? (known: %s)", scheme, guess, strings.Join(known, ", "))
	case len(known) == 0:
		return fmt.Errorf("unknown scheme %q, and no backend is imported: add import _ %q, say", scheme, importPaths["sqlite"])
	}
	return fmt.Errorf("unknown scheme %q: known are %s; add the import of the backend that serves it", scheme, strings.Join(known, ", "))
}
