package mysql

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

func parsed(t *testing.T, rawURL string) (*settings, error) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return parse(u, driver.Pool{})
}

// certificate writes a certificate and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, typ string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}

// dsnEnd is what every DSN ends in.
const dsnEnd = "clientFoundRows=true&collation=utf8mb4_bin"

func TestAURLBecomesADSN(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, url, dsn, location string
	}{
		{"host and port", "mysql://u:p@db.example:3307/jobs", "u:p@tcp(db.example:3307)/jobs?" + dsnEnd, "mysql://db.example:3307/jobs"},
		{"no port", "mysql://u@db/jobs", "u@tcp(db:3306)/jobs?" + dsnEnd, "mysql://db:3306/jobs"},
		{"no host", "mysql:///jobs", "tcp(127.0.0.1:3306)/jobs?" + dsnEnd, "mysql://127.0.0.1:3306/jobs"},
		{"IPv6", "mysql://[::1]:3307/jobs", "tcp([::1]:3307)/jobs?" + dsnEnd, "mysql://[::1]:3307/jobs"},
		{"a driver suffix", "mysql+pymysql://u@db/jobs", "u@tcp(db:3306)/jobs?" + dsnEnd, "mysql://db:3306/jobs"},
		{"a password of every sort", "mysql://u:a%3A%2F%40%3F%23%25@db/jobs", "u:a:/@?#%@tcp(db:3306)/jobs?" + dsnEnd, "mysql://db:3306/jobs"},
		{"a database with a strange name", "mysql://u@db/my%3Fjobs", "u@tcp(db:3306)/my%3Fjobs?" + dsnEnd, "mysql://db:3306/my?jobs"},
		{"a socket", "mysql://u@/jobs?socket=/run/x.sock", "u@unix(/run/x.sock)/jobs?" + dsnEnd, "mysql:/run/x.sock/jobs"},
		{"a socket as host", "mysql://u@%2Frun%2Fx.sock/jobs", "u@unix(/run/x.sock)/jobs?" + dsnEnd, "mysql:/run/x.sock/jobs"},
		{"several hosts", "mysql://u@a,b:3307/jobs", "u@tcp(a:3306)/jobs?" + dsnEnd, "mysql://a:3306,b:3307/jobs"},
		{"timeouts", "mysql://u@db/jobs?read_timeout=2&write_timeout=3s", "u@tcp(db:3306)/jobs?" + dsnEnd + "&readTimeout=2s&writeTimeout=3s", "mysql://db:3306/jobs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := parsed(t, tt.url)
			if err != nil {
				t.Fatal(err)
			}
			dsn := strings.Replace(s.config.FormatDSN(), "&maxAllowedPacket=0", "", 1)
			if dsn == s.config.FormatDSN() {
				t.Error("the driver is to ask the server for max_allowed_packet")
			}
			if d := cmp.Diff(tt.dsn, dsn); d != "" {
				t.Errorf("DSN (-want +got):\n%s", d)
			}
			if s.location() != tt.location {
				t.Errorf("location %q, want %q", s.location(), tt.location)
			}
		})
	}
}

func TestWrongURLsAreRefused(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	for _, tt := range []struct{ name, url, want string }{
		{"an unknown parameter", "mysql://u:s3cret@db/jobs?sockte=/x", `did you mean "socket"?`},
		{"the driver's own parameters", "mysql://u:s3cret@db/jobs?parseTime=true", `unknown parameter "parseTime"`},
		{"a parameter of the pool, misspelt", "mysql://u:s3cret@db/jobs?poolsize=3", `did you mean "pool_size"?`},
		{"a size of the pool that is none", "mysql://u:s3cret@db/jobs?pool_size=many", "pool_size"},
		{"a parameter twice", "mysql://u:s3cret@db/jobs?tls=true&tls=false", "twice"},
		{"no database", "mysql://u:s3cret@db", "names a database"},
		{"no database but a slash", "mysql://u:s3cret@db/", "names a database"},
		{"a path", "mysql://u:s3cret@db/a/b", "names a database"},
		{"a password and no user", "mysql://:s3cret@db/jobs", "no user"},
		{"a socket and a host", "mysql://u:s3cret@db/jobs?socket=/run/x", "a socket and a host"},
		{"a socket twice", "mysql://u:s3cret@%2Frun%2Fx/jobs?socket=/run/x", "another place"},
		{"a relative socket", "mysql://u:s3cret@/jobs?socket=x", "no absolute path"},
		{"an empty socket", "mysql://u:s3cret@/jobs?socket=", "no absolute path"},
		{"a strange tls", "mysql://u:s3cret@db/jobs?tls=maybe", "none of"},
		{"an empty tls", "mysql://u:s3cret@db/jobs?tls=", "none of"},
		{"TLS on a socket", "mysql://u:s3cret@/jobs?socket=/x&tls=true", "socket"},
		{"certificates without TLS", "mysql://u:s3cret@db/jobs?tls=false&tls_ca=" + cert, "tls=false"},
		{"a CA that nobody asks", "mysql://u:s3cret@db/jobs?tls=skip-verify&tls_ca=" + cert, "verifies nothing"},
		{"a CA that is not there", "mysql://u:s3cret@db/jobs?tls_ca=/no/such/file", "/no/such/file"},
		{"a CA that is none", "mysql://u:s3cret@db/jobs?tls_ca=" + key, "no certificate"},
		{"a certificate without its key", "mysql://u:s3cret@db/jobs?tls_cert=" + cert, "go together"},
		{"a key that does not fit", "mysql://u:s3cret@db/jobs?tls_cert=" + cert + "&tls_key=" + cert, "tls_cert and tls_key"},
		{"a timeout that is none", "mysql://u:s3cret@db/jobs?read_timeout=soon", "no duration"},
		{"a negative timeout", "mysql://u:s3cret@db/jobs?write_timeout=-5s", "no duration"},
		{"a wait that is none", "mysql://u:s3cret@db/jobs?wsrep_sync_wait=yes", "wsrep_sync_wait"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parsed(t, tt.url)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestTLSIsAsTheURLSays(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	for _, tt := range []struct {
		name, params           string
		tls, insecure, falling bool
		roots                  bool
		certificates           int
	}{
		{name: "none"},
		{name: "false", params: "?tls=false"},
		{name: "true", params: "?tls=true", tls: true},
		{name: "skip-verify", params: "?tls=skip-verify", tls: true, insecure: true},
		{name: "preferred", params: "?tls=preferred", tls: true, insecure: true, falling: true},
		{name: "a CA means true", params: "?tls_ca=" + cert, tls: true, roots: true},
		{name: "a certificate of the client", params: "?tls=true&tls_cert=" + cert + "&tls_key=" + key, tls: true, certificates: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := parsed(t, "mysql://u@db/jobs"+tt.params)
			if err != nil {
				t.Fatal(err)
			}
			c := s.config.TLS
			if (c != nil) != tt.tls || s.config.AllowFallbackToPlaintext != tt.falling {
				t.Fatalf("TLS %v, falling back %v", c != nil, s.config.AllowFallbackToPlaintext)
			}
			if c != nil && (c.InsecureSkipVerify != tt.insecure || (c.RootCAs != nil) != tt.roots || len(c.Certificates) != tt.certificates) {
				t.Errorf("TLS %+v", c)
			}
		})
	}
}
