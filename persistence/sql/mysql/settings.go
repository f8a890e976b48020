package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	neturl "net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/url"
)

const defaultPort = "3306"

// settings are what a URL says.
type settings struct {
	config *mysql.Config // of the first host
	vars   []pin         // session variables besides those that are always set
	addrs  []string      // host:port of each host; one path of a socket
	socket bool
	pool   driver.Pool
}

// parse checks a URL, and reads the files that it names.
func parse(u url.URL, pool driver.Pool) (*settings, error) {
	known := append([]string{"read_timeout", "socket", "tls", "tls_ca", "tls_cert", "tls_key", "write_timeout", "wsrep_sync_wait"}, sql.PoolParams...)
	if err := driver.CheckParams(u, known...); err != nil {
		return nil, err
	}
	s := &settings{config: mysql.NewConfig()}
	c := s.config
	q := u.Query()
	c.User, c.Passwd = u.User(), u.Password()
	if c.User == "" && c.Passwd != "" {
		return nil, errors.New("a mysql URL has a password and no user")
	}
	c.DBName = strings.TrimPrefix(u.Path(), "/")
	if c.DBName == "" || strings.ContainsRune(c.DBName, '/') {
		return nil, errors.New("a mysql URL names a database: mysql://user@host/database")
	}
	if err := s.place(u); err != nil {
		return nil, err
	}
	for name, d := range map[string]*time.Duration{"read_timeout": &c.ReadTimeout, "write_timeout": &c.WriteTimeout} {
		if !q.Has(name) {
			continue
		}
		var err error
		if *d, err = time.ParseDuration(q.Get(name)); err != nil {
			*d, err = time.ParseDuration(q.Get(name) + "s")
		}
		if err != nil || *d < 0 {
			return nil, fmt.Errorf("%s %q in a mysql URL is no duration such as 30s", name, q.Get(name))
		}
	}
	c.MaxAllowedPacket = 0 // the server is asked
	c.ClientFoundRows = true
	c.Collation = "utf8mb4_bin"
	if q.Has("wsrep_sync_wait") {
		n, err := strconv.Atoi(q.Get("wsrep_sync_wait"))
		if err != nil || n < 0 || n > 15 {
			return nil, fmt.Errorf("wsrep_sync_wait %q in a mysql URL is no number between 0 and 15", q.Get("wsrep_sync_wait"))
		}
		s.vars = append(s.vars, pin{name: "wsrep_sync_wait", value: strconv.Itoa(n)})
	}
	var err error
	if s.pool, err = sql.ParsePool(u, pool); err != nil {
		return nil, err
	}
	return s, s.tls(q)
}

// place finds the addresses.
func (s *settings) place(u url.URL) error {
	q := u.Query()
	path := q.Get("socket")
	if strings.HasPrefix(u.Host(), "/") { // mysql://%2Frun%2Fx.sock/db
		if path != "" || u.Port() != "" {
			return errors.New("a mysql URL names a socket and another place")
		}
		path = u.Host()
	} else if q.Has("socket") && (u.Host() != "" || u.Port() != "") {
		return errors.New("a mysql URL names a socket and a host")
	}
	if path != "" || q.Has("socket") {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("socket %q in a mysql URL is no absolute path", path)
		}
		s.socket, s.addrs = true, []string{path}
		s.config.Net, s.config.Addr = "unix", path
		return nil
	}
	hosts := u.Hosts()
	if len(hosts) == 0 {
		hosts = []url.HostPort{{}}
	}
	for _, h := range hosts {
		host, port := h.Host, h.Port
		if host == "" {
			host = "127.0.0.1"
		}
		if port == "" {
			port = defaultPort
		}
		s.addrs = append(s.addrs, net.JoinHostPort(host, port))
	}
	s.config.Net, s.config.Addr = "tcp", s.addrs[0]
	return nil
}

// tls makes the TLS configuration.
func (s *settings) tls(q neturl.Values) error {
	mode := q.Get("tls")
	files := q.Has("tls_ca") || q.Has("tls_cert") || q.Has("tls_key")
	if !q.Has("tls") {
		if mode = "false"; files {
			mode = "true"
		}
	}
	var c tls.Config
	switch mode {
	case "false":
		if files {
			return errors.New("tls=false in a mysql URL, and certificates for it")
		}
		return nil
	case "true":
	case "skip-verify", "preferred":
		if q.Has("tls_ca") {
			return fmt.Errorf("tls=%s in a mysql URL verifies nothing: tls_ca is for tls=true", mode)
		}
		c.InsecureSkipVerify = true
		s.config.AllowFallbackToPlaintext = mode == "preferred"
	default:
		return fmt.Errorf("tls %q in a mysql URL is none of false, true, skip-verify, preferred", mode)
	}
	if s.socket {
		return errors.New("a mysql URL asks for TLS on a socket, where there is none")
	}
	if q.Has("tls_ca") {
		pem, err := os.ReadFile(q.Get("tls_ca"))
		if err != nil {
			return fmt.Errorf("tls_ca of a mysql URL: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("tls_ca of a mysql URL: %s has no certificate in it", q.Get("tls_ca"))
		}
	}
	if q.Has("tls_cert") || q.Has("tls_key") {
		if !q.Has("tls_cert") || !q.Has("tls_key") {
			return errors.New("tls_cert and tls_key in a mysql URL go together")
		}
		pair, err := tls.LoadX509KeyPair(q.Get("tls_cert"), q.Get("tls_key"))
		if err != nil {
			return fmt.Errorf("tls_cert and tls_key of a mysql URL: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	c.MinVersion = tls.VersionTLS12
	s.config.TLS = &c
	return nil
}

// location names the database, without user or password.
func (s *settings) location() string {
	if s.socket {
		return "mysql:" + s.addrs[0] + "/" + s.config.DBName
	}
	return "mysql://" + strings.Join(s.addrs, ",") + "/" + s.config.DBName
}
