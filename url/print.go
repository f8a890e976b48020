package url

import (
	neturl "net/url"
	"strings"
)

// redacted replaces a secret.
const redacted = "xxxxx"

// print writes the canonical spelling, which Parse reads back; redact hides the secrets.
func (p *parts) print(redact bool) string {
	var b strings.Builder
	b.WriteString(p.scheme)
	if p.driver != "" {
		b.WriteString("+" + p.driver)
	}
	b.WriteByte(':')
	hasUser := p.user != "" || p.password != ""
	if hasUser || p.host != "" || p.port != "" || strings.HasPrefix(p.path, "/") {
		b.WriteString("//")
	}
	if hasUser {
		b.WriteString(escape(p.user, ""))
		switch {
		case p.password == "":
		case redact:
			b.WriteString(":" + redacted)
		default:
			b.WriteString(":" + escape(p.password, ""))
		}
		b.WriteByte('@')
	}
	if strings.Contains(p.host, ",") {
		b.WriteString(p.host)
	} else {
		b.WriteString(printHosts([]HostPort{{p.host, p.port}}))
	}
	p.printPath(&b)
	if p.query != "" {
		b.WriteString("?" + printParams(p.query, redact, false))
	}
	if p.fragment != "" {
		b.WriteString("#" + printParams(escape(p.fragment, "/:?&="), redact, true))
	}
	return b.String()
}

func (p *parts) printPath(b *strings.Builder) {
	if !isPathScheme(p.scheme) {
		b.WriteString(escape(p.path, "/:&="))
		return
	}
	rest, abs := strings.CutPrefix(p.path, "/")
	if abs {
		b.WriteByte('/')
	}
	// An absolute path that reads like a drive, or like memory, has its colon escaped to say that
	// it is neither.
	switch {
	case abs && hasDrive(rest):
		b.WriteString(rest[:1] + "%3A")
		rest = rest[2:]
	case abs && rest == memory:
		b.WriteString("%3A")
		rest = rest[1:]
	}
	b.WriteString(escape(rest, "/:&=@"))
}

// printHosts writes hosts as parseHosts reads them.
func printHosts(hosts []HostPort) string {
	var b strings.Builder
	for i, h := range hosts {
		if i > 0 {
			b.WriteByte(',')
		}
		if strings.Contains(h.Host, ":") && !strings.HasPrefix(h.Host, "/") {
			b.WriteString("[" + strings.Replace(escape(h.Host, ":%"), "%", "%25", 1) + "]")
		} else {
			b.WriteString(escape(h.Host, ""))
		}
		if h.Port != "" {
			b.WriteString(":" + h.Port)
		}
	}
	return b.String()
}

// escape percent-escapes every byte but letters, digits, "-._~+," and those of keep. So
// no quote, backslash or space is ever printed.
func escape(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if isLetter(c) || isDigit(c) || strings.IndexByte("-._~+,", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}

// printParams redacts the values of escaped parameters.
func printParams(params string, redact, fragment bool) string {
	if !redact {
		return params
	}
	list := strings.Split(params, "&")
	for i, param := range list {
		name, value, ok := strings.Cut(param, "=")
		if !ok || value == "" {
			continue
		}
		decode := neturl.QueryUnescape
		if fragment {
			decode = neturl.PathUnescape
		}
		plain, err := decode(name)
		if err != nil || isSecret(plain) {
			list[i] = name + "=" + redacted
		}
	}
	return strings.Join(list, "&")
}

// isSecret reports whether the name of a parameter suggests a secret. It
// errs on the side of hiding: a false alarm spoils a message, the other thing a password.
func isSecret(name string) bool {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if 'a' <= r && r <= 'z' {
			b.WriteRune(r)
		}
	}
	name = b.String()
	switch name {
	case "pw", "key", "sig", "auth":
		return true
	}
	for _, smell := range []string{"pass", "pwd", "token", "secret", "credential", "apikey", "accesskey", "privatekey", "signature"} {
		if strings.Contains(name, smell) {
			return true
		}
	}
	return false
}
