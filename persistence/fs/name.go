package fs

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/brine-go/brine/persistence/driver"
)

const (
	maxName  = 200 // bytes of an escaped name; file systems allow 255
	keptName = 100 // bytes kept of a longer one
	hashSep  = '~' // stands in no escaped name
)

// storable reports whether id is an ID that a record may have.
func storable(id driver.ID, integers bool) bool {
	if id == "" || len(id) > driver.MaxIDLen || strings.IndexByte(string(id), 0) >= 0 || !utf8.ValidString(string(id)) {
		return false
	}
	if integers {
		_, ok := integer(string(id))
		return ok
	}
	return true
}

// integer returns the value of a canonical decimal.
func integer(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, false
	}
	var buf [20]byte
	return n, string(strconv.AppendInt(buf[:0], n, 10)) == s
}

// fileName returns the name of the file that holds the record with the ID.
func fileName(id driver.ID) string {
	s := string(id)
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	special := reserved(s)
	for i := range len(s) {
		c := s[i]
		if !plainByte(c) || c == '.' && (i == 0 || i == len(s)-1) || i == 0 && special {
			const digits = "0123456789ABCDEF"
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
			continue
		}
		b.WriteByte(c)
	}
	name := b.String()
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(s))
	return name[:keptName] + string(hashSep) + hex.EncodeToString(sum[:])
}

// idOf returns the ID that a file name stands for. The name of a long ID, of
// which the file alone knows the whole, is hashed. A name that no ID has is not ok.
func idOf(name string) (id driver.ID, hashed, ok bool) {
	if isPlain(name) {
		return driver.ID(name), false, true
	}
	if len(name) == keptName+1+2*sha256.Size && name[keptName] == hashSep {
		return "", true, true
	}
	s, ok := unescape(name)
	if !ok || s == "" || fileName(driver.ID(s)) != name {
		return "", false, false
	}
	return driver.ID(s), false, true
}

func unescape(name string) (string, bool) {
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b = append(b, name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", false
		}
		n, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b = append(b, byte(n))
		i += 2
	}
	return string(b), true
}

// isPlain reports whether s is an ID that is its own file name.
func isPlain(s string) bool {
	if s == "" || len(s) > maxName || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		if !plainByte(s[i]) {
			return false
		}
	}
	return !reserved(s)
}

func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// reserved reports whether Windows keeps a name for a device, whatever its letter case and
// extension.
func reserved(s string) bool {
	if len(s) < 3 {
		return false
	}
	stem, _, _ := strings.Cut(s, ".")
	switch len(stem) {
	case 3:
		switch strings.ToLower(stem) {
		case "con", "prn", "aux", "nul":
			return true
		}
	case 4:
		switch strings.ToLower(stem[:3]) {
		case "com", "lpt":
			return '0' <= stem[3] && stem[3] <= '9'
		}
	}
	return false
}
