package extrafields

import (
	"errors"
	"fmt"
	"strconv"
	"unicode"
)

// A step of a path leads from a value to a part of it.
type step struct {
	kind  stepKind
	name  string // of a field, or a key in its decoded form
	index int
}

type stepKind uint8

const (
	stepField stepKind = iota + 1
	stepIndex          // of a slice or array, or an integer key of a map
	stepKey            // a string key of a map
)

func (s step) String() string {
	switch s.kind {
	case stepIndex:
		return fmt.Sprintf("[%d]", s.index)
	case stepKey:
		return fmt.Sprintf("[%q]", s.name)
	}
	return s.name
}

// parsePath takes a path apart:
//
//	path  = ( name | "[" index "]" ) { "." name | "[" index "]" }
//	index = decimal | quoted Go string
func parsePath(path string) ([]step, error) {
	if path == "" {
		return nil, errors.New("empty path")
	}
	var steps []step
	fail := func(rest, what string) ([]step, error) {
		return nil, fmt.Errorf("path %.200q: %s at byte %d", path, what, len(path)-len(rest))
	}
	for rest := path; rest != ""; {
		if rest[0] == '[' {
			s, after, what := parseIndex(rest[1:])
			if what != "" {
				return fail(rest[1:], what)
			}
			steps, rest = append(steps, s), after
			continue
		}
		if len(steps) > 0 {
			if rest[0] != '.' {
				return fail(rest, `no "." or "["`)
			}
			rest = rest[1:]
		}
		n := nameLen(rest)
		if n == 0 {
			return fail(rest, "no field name")
		}
		steps, rest = append(steps, step{kind: stepField, name: rest[:n]}), rest[n:]
	}
	return steps, nil
}

// parseIndex reads what follows a "[" up to the "]"; what is what it misses.
func parseIndex(s string) (st step, rest, what string) {
	switch {
	case s == "":
		return st, "", "no index"
	case s[0] == '"' || s[0] == '`':
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return st, "", "malformed string"
		}
		st.kind = stepKey
		if st.name, err = strconv.Unquote(quoted); err != nil {
			return st, "", "malformed string"
		}
		s = s[len(quoted):]
	default:
		n := 0
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		if n == 0 || n > 1 && s[0] == '0' {
			return st, "", "neither a decimal nor a quoted string"
		}
		var err error
		st.kind = stepIndex
		if st.index, err = strconv.Atoi(s[:n]); err != nil {
			return st, "", "index out of range"
		}
		s = s[n:]
	}
	if s == "" || s[0] != ']' {
		return st, "", `no "]"`
	}
	return st, s[1:], ""
}

// nameLen returns the length of the Go identifier that s starts with.
func nameLen(s string) int {
	for i, r := range s {
		switch {
		case r == '_' || unicode.IsLetter(r):
		case i > 0 && unicode.IsDigit(r):
		default:
			return i
		}
	}
	return len(s)
}
