package idfactory

import (
	"cmp"
	"strings"
)

// ID names one record of a store. IDs made by [Integers] are canonical
// decimals ("17"), those made by [Sequence] read PREFIX.N ("Task.17"); any
// other valid text is an ID too. The empty ID names nothing.
//
// An ID is a comparable value; use [Compare] to order IDs as a person would.
type ID string

// Prefix returns what precedes the last dot of an ID whose last part is a
// sequence number: "Task" for "Task.17", "" for "17" and for IDs of any other form.
func (id ID) Prefix() string {
	prefix, _, ok := id.split()
	if !ok {
		return ""
	}
	return prefix
}

// Seq returns the sequence number of the ID: 17 for "Task.17" and for "17". It
// reports false for IDs of any other form: a number that is negative, written
// with leading zeros or a sign, or beyond 63 bits is not a sequence number.
func (id ID) Seq() (int64, bool) {
	_, n, ok := id.split()
	return n, ok
}

// split takes an ID of the form N or PREFIX.N apart.
func (id ID) split() (prefix string, n int64, ok bool) {
	digits := string(id)
	if i := strings.LastIndexByte(digits, '.'); i >= 0 {
		if i == 0 {
			return "", 0, false
		}
		prefix, digits = digits[:i], digits[i+1:]
	}
	n, ok = parseDecimal(digits)
	if !ok || n < 0 {
		return "", 0, false
	}
	return prefix, n, true
}

// order takes an ID apart for Compare. Besides what split knows, a negative integer has a number.
func (id ID) order() (prefix string, n int64, ok bool) {
	if strings.HasPrefix(string(id), "-") {
		if n, ok := parseDecimal(string(id)); ok {
			return "", n, true
		}
	}
	return id.split()
}

// Compare orders IDs by prefix, then by sequence number, so that "Task.9" precedes "Task.10"
// and integers, also negative ones, come first, by value. IDs without a
// sequence number are ordered by their bytes. It returns -1, 0 or 1, and 0 only for equal IDs. It
// is for showing to people; a store orders text IDs by their bytes.
func Compare(a, b ID) int {
	ap, an, aok := a.order()
	bp, bn, bok := b.order()
	if aok && bok && ap == bp {
		return cmp.Compare(an, bn)
	}
	if !aok {
		ap = string(a)
	}
	if !bok {
		bp = string(b)
	}
	if c := cmp.Compare(ap, bp); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}
