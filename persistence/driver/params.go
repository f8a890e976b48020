package driver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/brine-go/brine/url"
)

// CheckParams returns an error for the first query parameter of u, in alphabetical order, that
// is not in known, or that is given twice. The error for an unknown one names the parameter of
// known that looks alike; else it says whose parameter it is, if it is one of another backend, or
// which part of a URL says the same, and what known holds.
func CheckParams(u url.URL, known ...string) error {
	q := u.Query()
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("unknown parameter %q in a %s URL%s", name, u.Scheme(), adviceOn(name, u.Scheme(), known))
		}
		if len(q[name]) > 1 {
			return fmt.Errorf("parameter %q stands twice in a %s URL", name, u.Scheme())
		}
	}
	return nil
}

// paramMode is a parameter of every store's URL, which package persistence reads: mode=ro opens the
// store for reading only. No backend gets it.
const paramMode = "mode"

// ReadMode returns u without the parameter "mode", and whether that is "ro". "rw", the default, is
// the only other value.
func ReadMode(u url.URL) (rest url.URL, readOnly bool, err error) {
	values, ok := u.Query()[paramMode]
	switch {
	case !ok:
		return u, false, nil
	case len(values) > 1:
		return u, false, fmt.Errorf("parameter %q stands twice in a %s URL", paramMode, u.Scheme())
	case values[0] != "ro" && values[0] != "rw":
		return u, false, fmt.Errorf("mode %q in a %s URL is neither ro, to read only, nor rw", values[0], u.Scheme())
	}
	return u.WithoutParam(paramMode), values[0] == "ro", nil
}

// adviceOn returns the end of the error for an unknown parameter.
func adviceOn(name, scheme string, known []string) string {
	lower := strings.ToLower(name)
	known = append(slices.Clip(known), paramMode) // of every store
	takes := ", which takes " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	part, isPart := urlParts[lower]
	switch {
	case isPart && (lower == "table" || !slices.Contains(embedded, scheme)):
		return takes + ": " + strings.ReplaceAll(part, "SCHEME", scheme)
	case isPart:
		return takes + ": only the URL of a server has a user, a host and a database"
	case name == paramMode:
		return ": package persistence takes it out of the URL of a store, and tells a backend by OpenOptions.ReadOnly"
	case slices.Contains([]string{"read_only", "readonly", "ro", "immutable"}, lower):
		return takes + ": a store is opened for reading only with mode=ro"
	}
	if owners := ownersOf(lower, scheme); len(owners) > 0 {
		return fmt.Sprintf("%s: it is a parameter of %s URLs", takes, strings.Join(owners, " and "))
	}
	if guess := Similar(name, known); guess != "" {
		return fmt.Sprintf(": did you mean %q?", guess)
	}
	var others []string
	for _, b := range backendParams {
		others = append(others, b.names...)
	}
	if guess := Similar(name, others); guess != "" {
		if owners := ownersOf(guess, scheme); len(owners) > 0 {
			return fmt.Sprintf("%s: %q is a parameter of %s URLs", takes, guess, strings.Join(owners, " and "))
		}
	}
	return takes
}

// embedded are the schemes of this module whose URLs name no server.
var embedded = []string{"file", "mem", "sqlite"}

// backendParams are the parameters of the backends of this module. A program has only some of the
// backends, and each is to know the parameters of the others.
var backendParams = []struct {
	schemes string
	names   []string
}{
	{"sqlite", []string{"busy_timeout", "networkfs", "readers", "synchronous"}},
	{"postgres and mysql", []string{
		"connect_timeout", "pool_idle", "pool_idle_time", "pool_lifetime", "pool_pre_ping", "pool_size",
	}},
	{"postgres", []string{
		"application_name", "host", "load_balance_hosts", "options", "pooler", "port", "schema", "sslcert", "sslkey", "sslmode",
		"sslrootcert", "target_session_attrs",
	}},
	{"mysql", []string{
		"read_timeout", "socket", "tls", "tls_ca", "tls_cert", "tls_key", "write_timeout", "wsrep_sync_wait",
	}},
}

// ownersOf returns the schemes other than scheme whose URLs take a parameter.
func ownersOf(name, scheme string) []string {
	if scheme == "postgresql" {
		scheme = "postgres"
	}
	var owners []string
	for _, b := range backendParams {
		if slices.Contains(b.names, name) && !slices.Contains(strings.Fields(b.schemes), scheme) {
			owners = append(owners, strings.Split(b.schemes, " and ")...)
		}
	}
	return owners
}

// urlParts says where in a URL stands what other programs take as a parameter.
var urlParts = map[string]string{
	"user":     userPart,
	"username": userPart,
	"password": userPart,
	"passwd":   userPart,
	"hostname": hostPart,
	"host":     hostPart,
	"port":     hostPart,
	"dbname":   databasePart,
	"database": databasePart,
	"db":       databasePart,
	"table":    "the table is the fragment of a URL, #table=NAME",
}

const (
	userPart     = "user and password stand before the host of a server's URL, SCHEME://user:password@host/database"
	hostPart     = "host and port stand after the two slashes of a server's URL, SCHEME://host:port/database"
	databasePart = "the database is the path of a server's URL, SCHEME://host/database"
)

// Similar returns the element of names that s is probably a misspelling of, or "".
func Similar(s string, names []string) string {
	lower := strings.ToLower(s)
	fold := func(s string) string { return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s)) }
	for _, name := range names {
		if fold(s) == fold(name) {
			return name
		}
	}
	best := Nearest(s, names)
	if best == "" || editDistance(lower, strings.ToLower(best)) > max(1, len(best)/3) {
		return ""
	}
	return best
}

// Nearest returns the element of names that takes the fewest single-letter edits to become s,
// ignoring letter case, or "" if names is empty. Two neighbours that are exchanged are one edit.
func Nearest(s string, names []string) string {
	best, bestDist := "", -1
	for _, name := range names {
		if d := editDistance(strings.ToLower(s), strings.ToLower(name)); bestDist < 0 || d < bestDist {
			best, bestDist = name, d
		}
	}
	return best
}

// editDistance returns the number of insertions, deletions, replacements and exchanges of
// neighbours, in bytes, that make b of a.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			d := last[j]
			if a[i] != b[j] {
				d++
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			row[j+1] = min(d, last[j+1]+1, row[j]+1)
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
