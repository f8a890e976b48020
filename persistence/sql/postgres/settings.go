package postgres

import (
	"errors"
	"fmt"
	"net"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/url"
)

const defaultPort = 5432

// settings are what a URL says.
type settings struct {
	config pq.Config
	schema string // "": the search_path of the user
	pooler string // "": not said
	pool   driver.Pool
}

// parse checks a URL.
func parse(u url.URL, o driver.Pool) (*settings, error) {
	known := append([]string{
		"application_name", "host", "load_balance_hosts", "options", "pooler", "port", "schema", "sslcert", "sslkey", "sslmode", "sslrootcert",
		"target_session_attrs",
	}, sql.PoolParams...)
	if err := driver.CheckParams(u, known...); err != nil {
		return nil, err
	}
	pool, err := sql.ParsePool(u, o)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	s := &settings{pool: pool, schema: q.Get("schema"), config: pq.Config{
		User: u.User(), Password: u.Password(), Database: strings.TrimPrefix(u.Path(), "/"),
		ApplicationName: "brine", Options: q.Get("options"),
		SSLMode: pq.SSLModePrefer, SSLSNI: true, SSLRootCert: q.Get("sslrootcert"), SSLCert: q.Get("sslcert"), SSLKey: q.Get("sslkey"),
		BinaryParameters: true, ClientEncoding: "UTF8", Datestyle: "ISO, MDY",
		MinProtocolVersion: "3.0", MaxProtocolVersion: "3.0",
	}}
	c := &s.config
	if q.Has("schema") && !driver.ValidName(s.schema) {
		return nil, fmt.Errorf("schema %q in a %s URL is no valid name: want letters, digits and _, at most 63, not starting with a digit", s.schema, u.Scheme())
	}
	if lower := strings.ToLower(s.schema); strings.HasPrefix(lower, "pg_") || lower == "information_schema" {
		return nil, fmt.Errorf("schema %q in a %s URL is the server's own", s.schema, u.Scheme())
	}
	if q.Has("application_name") {
		c.ApplicationName = q.Get("application_name")
	}
	if c.User == "" {
		if c.Password != "" {
			return nil, fmt.Errorf("a %s URL has a password and no user", u.Scheme())
		}
		me, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("a %s URL names no user: %w", u.Scheme(), err)
		}
		c.User = me.Username
	}
	if c.Database == "" || strings.ContainsRune(c.Database, '/') {
		return nil, fmt.Errorf("a %[1]s URL names a database: %[1]s://user@host/database", u.Scheme())
	}
	for _, x := range [...]struct {
		name   string
		values []string
		dest   *string
	}{
		{"sslmode", []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}, (*string)(&c.SSLMode)},
		{"target_session_attrs", []string{"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}, (*string)(&c.TargetSessionAttrs)},
		{"load_balance_hosts", []string{"disable", "random"}, (*string)(&c.LoadBalanceHosts)},
		{"pooler", []string{sessionPooler, transactionPooler}, &s.pooler},
	} {
		if !q.Has(x.name) {
			continue
		}
		if *x.dest = q.Get(x.name); !slices.Contains(x.values, *x.dest) {
			return nil, fmt.Errorf("%s %q in a %s URL is none of %s", x.name, *x.dest, u.Scheme(), strings.Join(x.values, ", "))
		}
	}
	if err := s.place(u); err != nil {
		return nil, err
	}
	return s, s.checkTLS(u.Scheme(), q.Has("sslmode"))
}

// place finds the hosts.
func (s *settings) place(u url.URL) error {
	q := u.Query()
	hosts := u.Hosts()
	if q.Has("host") {
		if len(hosts) > 1 || u.Host() != "" {
			return fmt.Errorf("a %s URL names a host twice", u.Scheme())
		}
		port := u.Port()
		hosts = nil
		for host := range strings.SplitSeq(q.Get("host"), ",") {
			if host == "" {
				return fmt.Errorf("host %q in a %s URL names no host", q.Get("host"), u.Scheme())
			}
			hosts = append(hosts, url.HostPort{Host: host, Port: port})
		}
	}
	if len(hosts) == 0 {
		hosts = []url.HostPort{{}}
	}
	ports := strings.Split(q.Get("port"), ",")
	if q.Has("port") && len(ports) != 1 && len(ports) != len(hosts) {
		return fmt.Errorf("a %s URL has %d ports for %d hosts", u.Scheme(), len(ports), len(hosts))
	}
	for i, h := range hosts {
		host, port := h.Host, uint64(defaultPort)
		if host == "" {
			host = "localhost"
		}
		text := h.Port
		if q.Has("port") {
			if text != "" {
				return fmt.Errorf("a %s URL names a port twice", u.Scheme())
			}
			text = ports[min(i, len(ports)-1)]
		}
		if text != "" {
			var err error
			if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
				return fmt.Errorf("port %q in a %s URL is no number between 1 and 65535", text, u.Scheme())
			}
		}
		if i == 0 {
			s.config.Host, s.config.Port = host, uint16(port)
		} else {
			s.config.Multi = append(s.config.Multi, pq.ConfigMultihost{Host: host, Port: uint16(port)})
		}
	}
	if n := len(hosts); n > 1 {
		// One that never answers must leave time for the others.
		s.config.ConnectTimeout = s.pool.ConnectTimeout / time.Duration(n)
	}
	return nil
}

// isSocket reports whether a host is the folder of a Unix socket, or an abstract one.
func isSocket(host string) bool { return filepath.IsAbs(host) || strings.HasPrefix(host, "@") }

// sockets reports whether every host is reached by a Unix socket.
func (s *settings) sockets() bool {
	return isSocket(s.config.Host) && !slices.ContainsFunc(s.config.Multi, func(m pq.ConfigMultihost) bool { return !isSocket(m.Host) })
}

func (s *settings) checkTLS(scheme string, chosen bool) error {
	c := &s.config
	files := c.SSLRootCert != "" || c.SSLCert != "" || c.SSLKey != ""
	if s.sockets() {
		if files || chosen && c.SSLMode != pq.SSLModeDisable && c.SSLMode != pq.SSLModeAllow && c.SSLMode != pq.SSLModePrefer {
			return fmt.Errorf("a %s URL asks for TLS on a socket, where there is none", scheme)
		}
		c.SSLMode = pq.SSLModeDisable
		return nil
	}
	switch {
	case files && c.SSLMode == pq.SSLModeDisable:
		return fmt.Errorf("sslmode=disable in a %s URL, and certificates for it", scheme)
	case (c.SSLCert == "") != (c.SSLKey == ""):
		return fmt.Errorf("sslcert and sslkey in a %s URL go together", scheme)
	case c.SSLRootCert != "" && !chosen:
		c.SSLMode = pq.SSLModeVerifyFull
	case c.SSLRootCert == "system" && c.SSLMode != pq.SSLModeVerifyFull:
		return errors.New("sslrootcert=system proves nothing but with sslmode=verify-full")
	}
	return nil
}

// choosy reports whether only a server that can be written will do.
func (s *settings) choosy() bool {
	t := s.config.TargetSessionAttrs
	return t == pq.TargetSessionAttrsReadWrite || t == pq.TargetSessionAttrsPrimary
}

// location names the database, without user or password.
func (s *settings) location() string {
	var hosts []string
	for _, h := range append([]pq.ConfigMultihost{{Host: s.config.Host, Port: s.config.Port}}, s.config.Multi...) {
		hosts = append(hosts, net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port))))
	}
	text := "postgres://" + strings.Join(hosts, ",") + "/" + s.config.Database
	if s.schema != "" {
		text += "?schema=" + s.schema
	}
	return text
}
