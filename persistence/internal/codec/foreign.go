package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// CheckOrigin returns an error if data does not begin as a record does: another program wrote it.
// It says what data looks like.
func CheckOrigin(data []byte) error {
	if hasMark(data) {
		return nil
	}
	if kind := looksLike(data); kind != "" {
		return fmt.Errorf("not a record of Brine: it looks like %s", kind)
	}
	return errors.New("not a record of Brine: it does not begin as one")
}

// hasMark reports whether data begins as a record of any version.
func hasMark(data []byte) bool {
	return len(data) > len(headStart) && data[0]&0xf0 == codeFixArray && string(data[1:len(headStart)]) == headStart[1:]
}

// signatures are the first bytes of what other programs store.
var signatures = []struct{ start, kind string }{
	{"\x80\x02", pickle}, {"\x80\x03", pickle}, {"\x80\x04\x95", pickle}, {"\x80\x05\x95", pickle},
	{"ccopy_reg\n", pickle}, {"ccopyreg\n", pickle}, {"c__builtin__\n", pickle}, {"(dp", pickle}, {"(lp", pickle}, {"(i__main__\n", pickle},
	{"\xac\xed\x00\x05", "a serialized Java object"},
	{"SQLite format 3\x00", "a SQLite database"},
	{"\x1f\x8b", "data compressed by gzip"},
	{"\x78\x01", zlib}, {"\x78\x5e", zlib}, {"\x78\x9c", zlib}, {"\x78\xda", zlib},
	{"\x28\xb5\x2f\xfd", "data compressed by zstd"},
	{"BZh", "data compressed by bzip2"},
	{"\xfd7zXZ\x00", "data compressed by xz"},
	{"PK\x03\x04", "a zip file"},
	{"\x7fELF", "a program"}, {"#!", "a script"},
	{"%PDF-", "a PDF file"}, {"\x89PNG\r\n", "a picture"}, {"\xff\xd8\xff", "a picture"},
	{"\xa7brine", "a file of Brine's directory store"}, {"\xa7brinem", "a file of Brine's directory store"},
	{"<?xml", "XML"}, {"-----BEGIN ", "a PEM file"},
}

const (
	pickle = "a Python pickle"
	zlib   = "data compressed by zlib"
)

// looksLike names what data, which is no record, probably is; "" if it may be anything.
func looksLike(data []byte) string {
	if len(data) == 0 {
		return "nothing: it has no bytes"
	}
	for _, s := range signatures {
		if bytes.HasPrefix(data, []byte(s.start)) {
			return s.kind
		}
	}
	if (data[0] == '{' || data[0] == '[') && json.Valid(data) {
		return "JSON"
	}
	// Pickles of the first protocols end with a dot: what they begin with depends on the object.
	if len(data) > 3 && data[len(data)-1] == '.' && (data[0] == '}' || data[0] == ']') && (data[1] == 'q' || data[1] == 'r') {
		return pickle
	}
	if isText(data) {
		return "text"
	}
	if len(bytes.TrimLeft(data, "\x00")) == 0 {
		return fmt.Sprintf("%d zero bytes", len(data))
	}
	return ""
}

func isText(data []byte) bool {
	if !utf8.Valid(data) {
		return false
	}
	for _, r := range string(data) {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' && r != '\r' {
			return false
		}
	}
	return true
}
