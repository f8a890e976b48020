package driver

import (
	"fmt"
	"strings"
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
