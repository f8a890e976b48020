package driver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/brine-go/brine/url"
)

// ValidName reports whether s may name a table or column:
// [A-Za-z_][A-Za-z0-9_]*, at most 63 bytes.
func ValidName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case '0' <= c && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return true
}

// StoresTable is the table in which the SQL backends keep what they know of the stores of a
// database.
const StoresTable = "brine_stores"

// CheckTable returns an error if name cannot name the table of a store: it is not valid, or
// reserved by a backend or its database.
func CheckTable(name string) error {
	if !ValidName(name) {
		return fmt.Errorf("invalid table name %q: want letters, digits and _, not starting with a digit, at most 63", name)
	}
	lower := strings.ToLower(name)
	if lower == StoresTable || strings.HasPrefix(lower, "sqlite_") || strings.HasPrefix(lower, "pg_") {
		return fmt.Errorf("table name %q is reserved", name)
	}
	return nil
}

// CheckParams returns an error for the first query parameter of u, in alphabetical order, that
// is not in known, with the nearest known name, or that is given twice.
func CheckParams(u url.URL, known ...string) error {
	q := u.Query()
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return fmt.Errorf("unknown parameter %q in a %s URL, which takes none", name, u.Scheme())
			}
			return fmt.Errorf("unknown parameter %q in a %s URL: did you mean %q?", name, u.Scheme(), Nearest(name, known))
		}
		if len(q[name]) > 1 {
			return fmt.Errorf("parameter %q stands twice in a %s URL", name, u.Scheme())
		}
	}
	return nil
}

// Nearest returns the element of names that takes the fewest single-letter edits to become s,
// ignoring letter case, or "" if names is empty.
func Nearest(s string, names []string) string {
	best, bestDist := "", -1
	for _, name := range names {
		if d := editDistance(strings.ToLower(s), strings.ToLower(name)); bestDist < 0 || d < bestDist {
			best, bestDist = name, d
		}
	}
	return best
}

// editDistance returns the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
