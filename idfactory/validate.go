package idfactory

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxLen is the greatest length of an ID in bytes.
const MaxLen = 191

// Validate returns an error if id cannot be the ID of a record: an ID is not
// empty, valid UTF-8 without NUL, at most [MaxLen] bytes, and, where integer is
// true, a decimal as strconv writes an int64 ("17", "-3"; not "017", "+17" or "-0").
func Validate(id ID, integer bool) error {
	s := string(id)
	switch {
	case s == "":
		return errors.New("empty ID")
	case len(s) > MaxLen:
		return fmt.Errorf("ID of %d bytes: at most %d", len(s), MaxLen)
	case !utf8.ValidString(s):
		return fmt.Errorf("ID %q is not valid UTF-8", s)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("ID %q holds a NUL", s)
	case integer:
		if _, ok := parseDecimal(s); !ok {
			return fmt.Errorf("ID %q is not a canonical decimal of 64 bits, and the store has integer IDs (Options.IDs chooses others for a new store)", s)
		}
	}
	return nil
}

// parseDecimal reads an int64 written as strconv writes it.
func parseDecimal(s string) (int64, bool) {
	digits := strings.TrimPrefix(s, "-")
	switch {
	case digits == "" || digits[0] < '0' || digits[0] > '9': // a second sign
		return 0, false
	case digits[0] == '0' && s != "0":
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
