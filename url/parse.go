package url

import (
	"errors"
	"fmt"
	"net/netip"
	neturl "net/url"
	"strconv"
	"strings"
)

// Parse reads a store URL or a bare path; the package comment says what is
// accepted. No error quotes more of s than its scheme, since any
// other part may hold a password.
func Parse(s string) (URL, error) {
	if s == "" {
		return URL{}, errEmpty
	}
	if strings.Contains(s, "\x00") {
		return URL{}, errors.New("NUL in a store URL")
	}
	scheme, rest, ok := cutScheme(s)
	if !ok {
		if before, _, found := strings.Cut(s, "://"); found && !strings.Contains(before, "/") && !hasDrive(s) {
			return URL{}, errScheme
		}
		return newURL(parts{scheme: "file", path: barePath(s)}), nil
	}
	var p parts
	var suffix bool
	p.scheme, p.driver, suffix = strings.Cut(strings.ToLower(scheme), "+")
	if len(p.scheme) < 2 || suffix && p.driver == "" {
		return URL{}, errScheme
	}
	if err := p.parse(rest); err != nil {
		return URL{}, fmt.Errorf("%s URL: %w", p.scheme, err)
	}
	return newURL(p), nil
}

// cutScheme cuts the scheme off. A single letter is none: it is a drive.
func cutScheme(s string) (scheme, rest string, ok bool) {
	for i := range len(s) {
		switch c := s[i]; {
		case isLetter(c):
		case c == ':':
			return s[:i], s[i+1:], i > 1
		case i == 0 || !isDigit(c) && c != '+' && c != '-' && c != '.':
			return "", "", false
		}
	}
	return "", "", false
}

// isPathScheme reports whether the URLs of a scheme name a place in the file system and so have
// no host.
func isPathScheme(scheme string) bool { return scheme == "file" || scheme == "sqlite" }

// parse reads what follows the scheme and its colon.
func (p *parts) parse(s string) error {
	hier, authority := strings.CutPrefix(s, "//")
	switch {
	case authority && isPathScheme(p.scheme):
		host := hier[:endOfAuthority(hier)]
		if host != "" && !strings.EqualFold(host, "localhost") {
			return fmt.Errorf("names a host: an absolute path is written %[1]s:///path, a relative one %[1]s:path", p.scheme)
		}
		s = hier[len(host):]
	case authority:
		var err error
		if s, err = p.parseAuthority(hier); err != nil {
			return err
		}
	}
	if strings.Contains(s, "@") && !isPathScheme(p.scheme) {
		// It may be the end of a password with a raw '/', '?' or '#' in it, of
		// which the rest would be printed as part of the host, path or query.
		return errors.New(`doubtful '@': a host is written after "//", and any other '@' as %40`)
	}
	s, fragment, _ := strings.Cut(s, "#")
	rawPath, query, _ := strings.Cut(s, "?")
	var err error
	if p.path, err = unescape(rawPath, "path"); err != nil {
		return err
	}
	if p.fragment, err = unescape(fragment, "fragment"); err != nil {
		return err
	}
	if isPathScheme(p.scheme) {
		p.path = p.localPath(rawPath)
	}
	values, err := neturl.ParseQuery(query)
	if err != nil { // its text quotes values
		return errors.New("malformed query")
	}
	p.query = values.Encode()
	if strings.Contains(p.query, "%00") {
		return errors.New("NUL in the query")
	}
	return nil
}

// endOfAuthority returns the index of the first byte of s that ends an authority.
func endOfAuthority(s string) int {
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		return i
	}
	return len(s)
}

// parseAuthority reads user, password and hosts, and returns what follows them.
func (p *parts) parseAuthority(s string) (rest string, err error) {
	userinfo, hostport, rest := splitAuthority(s)
	user, password, _ := strings.Cut(userinfo, ":")
	if p.user, err = unescape(user, "user name"); err != nil {
		return "", err
	}
	if p.password, err = unescape(password, "password"); err != nil {
		return "", err
	}
	hosts, err := parseHosts(hostport)
	if err != nil {
		return "", err
	}
	if len(hosts) == 1 {
		p.host, p.port = hosts[0].Host, hosts[0].Port
	} else {
		p.host = printHosts(hosts)
	}
	return rest, nil
}

// splitAuthority finds the end of the user information and that of the hosts.
func splitAuthority(s string) (userinfo, hosts, rest string) {
	end := endOfAuthority(s)
	if at := strings.LastIndexByte(s[:end], '@'); at >= 0 {
		return s[:at], s[at+1 : end], s[end:]
	}
	hosts, rest = s[:end], s[end:]
	if hs, err := parseHosts(hosts); err == nil && !strings.HasSuffix(hosts, ":") || len(hs) > 1 {
		return "", hosts, rest
	}
	// What should be a port is none: perhaps it is the beginning of a password
	// with one of "/?#" in it. Then hosts follow an '@' further on.
	for at := end; at < len(s); at++ {
		if s[at] != '@' {
			continue
		}
		tail := s[at+1:]
		n := endOfAuthority(tail)
		if _, err := parseHosts(tail[:n]); err == nil {
			return s[:at], tail[:n], tail[n:]
		}
	}
	return "", hosts, rest
}

// parseHosts reads "host:port" or several of them with commas between. The result is never
// empty; one host may be empty.
func parseHosts(s string) ([]HostPort, error) {
	var hosts []HostPort
	for part := range strings.SplitSeq(s, ",") {
		h, err := parseHost(part)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, h)
	}
	if len(hosts) > 1 {
		for _, h := range hosts {
			if h.Host == "" {
				return nil, errors.New("empty host in a list of hosts")
			}
		}
	}
	return hosts, nil
}

var (
	errEmpty  = errors.New("empty store URL")
	errScheme = errors.New("store URL with a malformed scheme")
	errHost   = errors.New("malformed host")
	errPort   = errors.New("malformed port (or a character in the password that must be percent-escaped)")
)

func parseHost(s string) (HostPort, error) {
	if v6, ok := strings.CutPrefix(s, "["); ok {
		v6, after, ok := strings.Cut(v6, "]")
		if !ok || after != "" && after[0] != ':' {
			return HostPort{}, errHost
		}
		if addr, zone, ok := strings.Cut(v6, "%25"); ok {
			v6 = addr + "%" + zone
		}
		addr, err := netip.ParseAddr(v6)
		if err != nil || !addr.Is6() || !isHostname(addr.Zone()) || !isASCII(addr.Zone()) {
			return HostPort{}, errHost
		}
		port, err := parsePort(strings.TrimPrefix(after, ":"))
		return HostPort{addr.String(), port}, err
	}
	host, port, _ := strings.Cut(s, ":")
	port, err := parsePort(port)
	if err != nil {
		return HostPort{}, err
	}
	if host, err = unescape(host, "host"); err != nil {
		return HostPort{}, err
	}
	switch {
	case strings.HasPrefix(host, "/"):
		if strings.ContainsRune(host, ',') {
			return HostPort{}, errHost // would read as a list
		}
	case isHostname(host):
		host = lowerASCII(host)
	default:
		return HostPort{}, errHost
	}
	return HostPort{host, port}, nil
}

func parsePort(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return "", errPort
	}
	return strconv.FormatUint(n, 10), nil
}

func isHostname(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && !isDigit(c) && c != '-' && c != '.' && c != '_' && c != '~' && c < 0x80 {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// lowerASCII leaves the bytes of other characters alone, valid or not.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// unescape decodes percent escapes; '+' stands for itself.
func unescape(s, what string) (string, error) {
	t, err := neturl.PathUnescape(s)
	if err != nil { // its text quotes the escape
		return "", fmt.Errorf("malformed percent escape in the %s (a '%%' itself is written %%25)", what)
	}
	if strings.Contains(t, "\x00") {
		return "", fmt.Errorf("NUL in the %s", what)
	}
	return t, nil
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
