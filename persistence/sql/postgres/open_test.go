package postgres_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
)

const secret = "s3cr3t,p%w"

// openStore opens a store the way users do and returns the error, which must hold no password.
func openStore(ctx context.Context, t *testing.T, url string) error {
	t.Helper()
	s, err := persistence.MakeStore(ctx, url, nil)
	if err == nil {
		t.Cleanup(func() { s.Close() })
		return nil
	}
	for _, form := range []string{secret, "s3cr3t"} {
		if strings.Contains(err.Error(), form) {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	return err
}

func TestURLsThatCannotBe(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u@h":                                                     "names a database",
		"postgres://u@h/a/b":                                                 "names a database",
		"postgres://:s3cr3t@h/db":                                            "a password and no user",
		"postgres://u@h/db?sslmod=disable":                                   `did you mean "sslmode"?`,
		"postgres://u@h/db?sslmode=maybe":                                    `sslmode "maybe"`,
		"postgres://u@h/db?sslmode=disable&sslrootcert=/x":                   "certificates for it",
		"postgres://u@h/db?sslcert=/x":                                       "sslcert and sslkey",
		"postgres://u@h/db?sslrootcert=system&sslmode=require":               "verify-full",
		"postgres://u@/db?host=/run/pg&sslmode=require":                      "TLS on a socket",
		"postgres://u@h/db?host=/run/pg":                                     "a host twice",
		"postgres://u@a,b/db?host=c":                                         "a host twice",
		"postgres://u@h:1/db?port=2":                                         "a port twice",
		"postgres://u@h/db?port=70000":                                       "between 1 and 65535",
		"postgres://u@a,b/db?port=1,2,3":                                     "3 ports for 2 hosts",
		"postgres://u@h/db?schema=a-b":                                       `schema "a-b"`,
		"postgres://u@h/db?schema=pg_catalog":                                "the server's own",
		"postgres://u@h/db?target_session_attrs=readwrite":                   "none of any, read-write",
		"postgres://u@h/db?load_balance_hosts=yes":                           "none of disable, random",
		"postgres://u@h/db?pool_size=0":                                      "number between 1",
		"postgresql://u@h/db?pool_idle=x":                                    `pool_idle "x" in a postgresql URL`,
		"postgres://u@h/db?pool_lifetime=-1s":                                "duration",
		"postgres://u@h/db?connect_timeout=0":                                "duration",
		"postgres://u@h/db?pool_pre_ping=perhaps":                            "true or false",
		"postgres://u@h/db?poolsize=3":                                       `did you mean "pool_size"?`,
		"postgres://u@h/db?connect_timeout=3&connect_timeout=4":              "stands twice",
		"postgres://u@h/db?sslmode=verify-full&sslrootcert=/x&sslkey=/nokey": "go together",
	} {
		b, err := openBackend(url, driver.OpenOptions{})
		if err == nil {
			b.Close()
			t.Errorf("%s: opened", url)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	if _, err := openBackend("postgres://u@h/db", driver.OpenOptions{Pool: driver.Pool{Size: -1}}); err == nil {
		t.Error("a pool of -1 connections is accepted")
	}
}

func TestOpeningFails(t *testing.T) {
	t.Parallel()
	s := testserver.Postgres(t, testserver.TCP(), testserver.Password("jo", secret))
	db := s.NewDB(t)
	host, _, _ := strings.Cut(s.TCP(), ":")
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := nobody.Addr().String()
	nobody.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	user := "postgres://jo:s3cr3t%2Cp%25w@"
	if err := openStore(t.Context(), t, user+s.TCP()+"/"+db+"?sslmode=disable"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ url, want string }{
		"a wrong password":        {"postgres://jo:s3cr3t@" + s.TCP() + "/" + db + "?sslmode=disable", "password authentication failed"},
		"no password":             {"postgres://jo@" + s.TCP() + "/" + db + "?sslmode=disable", "password"},
		"an unknown database":     {user + s.TCP() + "/nowhere?sslmode=disable", `database "nowhere" does not exist`},
		"nobody listens":          {user + refusing + "/" + db, "connection refused"},
		"no socket":               {user + "/" + db + "?host=/nowhere", "/nowhere"},
		"a host without name":     {user + "nowhere.invalid/" + db, "nowhere.invalid"},
		"silence":                 {user + silent.Addr().String() + "/" + db + "?connect_timeout=300ms", "no answer within 300ms"},
		"silence before TLS":      {user + silent.Addr().String() + "/" + db + "?sslmode=require&connect_timeout=300ms", "no answer within 300ms"},
		"silence with a schema":   {user + silent.Addr().String() + "/" + db + "?schema=x&connect_timeout=300ms", "no answer within 300ms"},
		"TLS where there is none": {user + s.TCP() + "/" + db + "?sslmode=require", "SSL is not enabled"},
		"several hosts":           {user + refusing + "," + host + ":1/" + db, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := openStore(ctx, t, tt.url)
			if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("silence, and a deadline", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := openStore(ctx, t, user+silent.Addr().String()+"/"+db); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no PostgreSQL", func(t *testing.T) {
		t.Parallel()
		web := httptest.NewServer(nil)
		defer web.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := openStore(ctx, t, user+strings.TrimPrefix(web.URL, "http://")+"/"+db); err == nil || ctx.Err() != nil {
			t.Errorf("error %v", err)
		}
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	good, expired := testserver.Postgres(t, testserver.TLS()), testserver.Postgres(t, testserver.ExpiredTLS())
	for _, tt := range []struct {
		server *testserver.Server
		params string
		want   string // "": it opens
	}{
		{good, "", ""},
		{good, "?sslmode=disable", ""},
		{good, "?sslmode=require", ""},
		{good, "?sslmode=verify-full&sslrootcert=" + good.CA(), ""},
		{good, "?sslmode=verify-ca&sslrootcert=" + good.CA(), ""},
		{good, "?sslrootcert=" + good.CA(), ""},
		{good, "?sslmode=verify-full&sslrootcert=" + expired.CA(), "certificate"},
		{good, "?sslmode=verify-full&sslrootcert=/nowhere.pem", "/nowhere.pem"},
		{expired, "?sslmode=verify-full&sslrootcert=" + expired.CA(), "expired"},
		{expired, "?sslmode=require", ""},
	} {
		t.Run(tt.params, func(t *testing.T) {
			url := "postgres://test@" + tt.server.TCP() + "/" + tt.server.NewDB(t) + tt.params
			err := openStore(t.Context(), t, url)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	url := s.URL(s.NewDB(t)) + "&schema=Made_by_Brine"
	if err := openBackendAndInit(t, url, driver.OpenOptions{NoCreate: true}); err == nil || !strings.Contains(err.Error(), `no schema "Made_by_Brine"`) {
		t.Errorf("error %v", err)
	}
	apply(t, open(t, url, integers, driver.OpenOptions{}), create("1", "x"))
	var n int
	if err := raw(t, s.URL("")).QueryRow("SELECT 1").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if err := raw(t, url).QueryRow(`SELECT count(*) FROM "Made_by_Brine".store`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d records, error %v", n, err)
	}
	if err := openBackendAndInit(t, url, driver.OpenOptions{NoCreate: true}); err != nil {
		t.Error(err)
	}
}

func openBackendAndInit(t *testing.T, url string, o driver.OpenOptions) error {
	t.Helper()
	b, err := openBackend(url, o)
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.Init(t.Context(), integers)
	return err
}

func TestAUserThatMayOnlyRead(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	url := s.URL(s.NewDB(t))
	apply(t, open(t, url, integers, driver.OpenOptions{}), create("1", "x"))
	run(t, raw(t, url), "GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
	run(t, raw(t, s.URL("")), "CREATE ROLE reader LOGIN")
	const readOnly = "&options=-c%20default_transaction_read_only%3Don"
	for name, as := range map[string]func(url string) string{
		"by a setting":    func(url string) string { return url + readOnly },
		"by a permission": func(url string) string { return strings.Replace(url, "//test@", "//reader@", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, as(url), integers, driver.OpenOptions{})
			if got, err := get(t.Context(), b, "1"); err != nil || len(got) != 1 {
				t.Errorf("%d records, error %v", len(got), err)
			}
			for _, ms := range [][]driver.Mutation{{create("2", "x")}, {create("2", "x"), create("3", "x")}} {
				if _, err := b.Apply(t.Context(), ms); !errors.Is(err, driver.ErrReadOnly) {
					t.Errorf("error %v", err)
				}
			}
			if err := openBackendAndInit(t, as(s.URL(s.NewDB(t))), driver.OpenOptions{}); !errors.Is(err, driver.ErrReadOnly) {
				t.Errorf("error of creating %v", err)
			}
		})
	}
}
