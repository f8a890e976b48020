package url

import "strings"

// memory is the path of a private SQLite database in memory.
const memory = ":memory:"

// hasDrive reports whether a path starts with the drive of a Windows path.
func hasDrive(p string) bool { return len(p) >= 2 && isLetter(p[0]) && p[1] == ':' }

// barePath returns the path that a text without a scheme is.
func barePath(s string) string {
	if hasDrive(s) {
		s = strings.ReplaceAll(s, `\`, "/")
	}
	return cleanPath(s)
}

// localPath returns the path of a file: or sqlite: URL. raw is p.path before decoding: a
// colon that is escaped there is none of a drive, and so every path can be written.
func (p *parts) localPath(raw string) string {
	abs := strings.TrimLeft(raw, "/")
	switch {
	case p.scheme == "sqlite" && strings.HasPrefix(raw, "/") && abs == memory:
		return memory // as SQLAlchemy writes it, sqlite:///:memory:
	case strings.HasPrefix(raw, "/") && hasDrive(abs):
		return cleanPath(strings.TrimLeft(p.path, "/"))
	}
	return cleanPath(p.path)
}

// cleanPath drops what has no meaning in a path: repeated slashes, "."
// elements and slashes at the end. It keeps "..", and a leading "./" where the path would read as
// something else without.
func cleanPath(p string) string {
	if p == "" || p == memory {
		return p
	}
	var b strings.Builder
	if p[0] == '/' {
		b.WriteByte('/')
	}
	start := b.Len()
	for elem := range strings.SplitSeq(p, "/") {
		if elem == "" || elem == "." {
			continue
		}
		if b.Len() > start {
			b.WriteByte('/')
		}
		b.WriteString(elem)
	}
	clean := b.String()
	switch {
	case clean == "":
		return "."
	case p[0] == '.' && (clean == memory || hasDrive(clean)):
		return "./" + clean
	case len(clean) == 2 && hasDrive(clean) && len(p) > 2:
		return clean + "/" // the root of a drive, where "C:" alone is its current folder
	}
	return clean
}
