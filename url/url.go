package url

import (
	"cmp"
	"fmt"
	"log/slog"
	neturl "net/url"
	"path"
	"runtime"
	"strings"
	"unique"
)

// URL names the place where a store lives. It is an immutable value: == is
// equality, also as a map key, and the zero value is no URL at all. Use [Parse]
// to make one. Its methods are safe for concurrent use.
type URL struct {
	// Package fmt prints the unexported fields of a struct raw, without calling
	// methods. So the text here is redacted, and the rest is
	// in a handle, which prints as an address. It must be one of an interface:
	// a pointer to a struct is followed where the verb does not fit (%s).
	text string
	h    unique.Handle[any] // of parts
}

// parts are all of a URL, decoded. Equal URLs have equal parts.
type parts struct {
	scheme, driver string
	user, password string
	host           string // one host without brackets, or the whole list of several
	port           string // of one host
	path           string
	query          string // canonical: as net/url.Values.Encode writes it
	fragment       string
	dsn            string // the whole, as print writes it
}

// newURL completes p and makes the URL of it.
func newURL(p parts) URL {
	p.dsn = p.print(false)
	return URL{text: p.print(true), h: unique.Make[any](p)}
}

func (u URL) parts() parts {
	if u.IsZero() {
		return parts{}
	}
	return u.h.Value().(parts)
}

// IsZero reports whether u is the zero value.
func (u URL) IsZero() bool { return u == URL{} }

// Equal reports whether u and v are the same URL, as == does.
func (u URL) Equal(v URL) bool { return u == v }

// Scheme returns the scheme in lower case and without the driver: "postgresql"
// for postgresql+psycopg2://host/db. It is kept as written otherwise: postgres and
// postgresql are two schemes.
func (u URL) Scheme() string { return u.parts().scheme }

// Driver returns what follows a '+' in the scheme, in lower case:
// "psycopg2" for postgresql+psycopg2://host/db; else "".
func (u URL) Driver() string { return u.parts().driver }

// User returns the user name; "" if there is none.
func (u URL) User() string { return u.parts().user }

// Password returns the password in clear; "" if there is none.
func (u URL) Password() string { return u.parts().password }

// Host returns the host in lower case, an IPv6 address without brackets, the path of a socket
// ("/run/x" for %2Frun%2Fx) as it is; "" if there is none. Of a URL with several hosts
// it returns the whole list, as "a:5432,b"; see [URL.Hosts].
func (u URL) Host() string { return u.parts().host }

// Port returns the port in decimal; "" if there is none or if there are several hosts.
func (u URL) Port() string { return u.parts().port }

// A HostPort is one of the hosts of a URL.
type HostPort struct {
	Host string // without brackets
	Port string // "" if not given
}

// Hosts returns the hosts in the order written; nil if there are none.
func (u URL) Hosts() []HostPort {
	p := u.parts()
	if p.host == "" && p.port == "" {
		return nil
	}
	if !strings.Contains(p.host, ",") {
		return []HostPort{{p.host, p.port}}
	}
	hosts, _ := parseHosts(p.host)
	return hosts
}

// Path returns the decoded path. That of a URL with a host, and any absolute one, starts with a
// slash ("/db"); "rel/path.db" for sqlite:rel/path.db; "C:/dir" for a Windows path.
func (u URL) Path() string { return u.parts().path }

// Query returns the query parameters; each call makes a fresh copy, never nil.
func (u URL) Query() neturl.Values {
	q, _ := neturl.ParseQuery(u.parts().query) // canonical, so it parses
	return q
}

// WithoutParam returns u without the query parameters of a name.
func (u URL) WithoutParam(name string) URL {
	q := u.Query()
	if !q.Has(name) {
		return u
	}
	q.Del(name)
	p := u.parts()
	p.query = q.Encode()
	return newURL(p)
}

// Fragment returns the decoded fragment.
func (u URL) Fragment() string { return u.parts().fragment }

// Table returns the name that a fragment like table=name gives; else "".
// Whether it is a valid name is for the backend to say.
func (u URL) Table() string {
	for part := range strings.SplitSeq(u.parts().fragment, "&") {
		if name, ok := strings.CutPrefix(part, "table="); ok {
			return name
		}
	}
	return ""
}

// String returns the URL in its canonical spelling, with "xxxxx" in place of the
// password and of the value of every query parameter whose name suggests a secret.
func (u URL) String() string { return u.text }

// DSN returns the URL in its canonical spelling, password included: Parse of it gives u again. It
// is not for logs or messages. The zero URL gives "".
func (u URL) DSN() string { return u.parts().dsn }

// Join returns u with the relative path rel added to its path. rel is a path, not a part
// of a URL: it is not decoded. It is cleaned first, and its ".." elements never lead
// above the path of u: Join("../x") is Join("x"). Query and fragment are kept. Where rel
// holds a NUL, or u is zero, Join returns the zero URL.
func (u URL) Join(rel string) URL {
	if u.IsZero() || strings.Contains(rel, "\x00") {
		return URL{}
	}
	p := u.parts()
	if isPathScheme(p.scheme) && (runtime.GOOS == "windows" || hasDrive(p.path)) {
		rel = strings.ReplaceAll(rel, `\`, "/")
	}
	rel = path.Clean("/" + rel)[1:]
	switch {
	case rel == "":
		return u
	case p.path == "" && (p.host != "" || p.port != "" || p.user != "" || p.password != ""):
		p.path = "/" + rel
	case p.path == "" && isPathScheme(p.scheme):
		p.path = "./" + rel
	case p.path == "" || strings.HasSuffix(p.path, "/"):
		p.path += rel
	default:
		p.path += "/" + rel
	}
	if isPathScheme(p.scheme) {
		p.path = cleanPath(p.path)
	}
	return newURL(p)
}

// Compare orders URLs by their spelling, with passwords last. It returns -1, 0 or 1,
// and 0 only for equal URLs.
func Compare(a, b URL) int {
	return cmp.Or(strings.Compare(a.text, b.text), strings.Compare(a.DSN(), b.DSN()))
}

// Format prints the URL as [URL.String] has it, for every verb.
func (u URL) Format(s fmt.State, verb rune) {
	if verb == 'v' && s.Flag('#') {
		fmt.Fprintf(s, "url.URL(%q)", u.text)
		return
	}
	fmt.Fprintf(s, fmt.FormatString(s, verb), u.text)
}

// LogValue gives log/slog what [URL.String] has.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.text) }

// MarshalJSON writes what [URL.String] has, as a string. There is no way back from that:
// JSON is for showing a URL, and [URL.MarshalBinary] for keeping it.
func (u URL) MarshalJSON() ([]byte, error) {
	// Every byte of the text is printable ASCII, and no quote or backslash is among them.
	return []byte(`"` + u.text + `"`), nil
}

// MarshalBinary returns the whole URL, password included, for it is data. The error is always nil.
func (u URL) MarshalBinary() ([]byte, error) { return []byte(u.DSN()), nil }

// UnmarshalBinary sets u to what [URL.MarshalBinary] gave. On an error u is unchanged.
func (u *URL) UnmarshalBinary(data []byte) error {
	v, err := fromStored(string(data))
	if err != nil {
		return err
	}
	*u = v
	return nil
}

// fromStored is Parse where the empty text is the zero URL.
func fromStored(dsn string) (URL, error) {
	if dsn == "" {
		return URL{}, nil
	}
	return Parse(dsn)
}
