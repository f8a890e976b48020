package drivertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// The password of the tests, plain and as written in a URL.
const (
	password        = "s3cr/t pass"
	passwordEscaped = "s3cr%2Ft%20pass"
)

// testSecrets checks that errors about a URL are complete but never contain its password.
func testSecrets(t *testing.T, s *suite) {
	t.Run("no error and no log shows a password", func(t *testing.T) {
		t.Parallel()
		good := s.URL(t)
		scheme, _, _ := strings.Cut(good, ":")
		for _, c := range []struct{ name, url string }{
			{"a server that is not there", scheme + "://user:PW@127.0.0.1:1/db"},
			{"a server that is not there, and a table", scheme + "://user:PW@127.0.0.1:1/db#table=jobs"},
			{"a host without a name server", scheme + "://user:PW@no-such-host.invalid:99/db"},
			{"a user alone", scheme + "://user:PW@/no/such/folder\x7f/x"},
			{"a path in a file", scheme + "://user:PW@localhost/dev/null/x"},
			{"an unknown parameter", scheme + "://user:PW@127.0.0.1:1/db?no_such_parameter=1"},
			{"a password as a parameter", addParam(good, "password=PW")},
			{"a password as a parameter twice", addParam(good, "passwd=PW&passwd=PW")},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				raw := strings.ReplaceAll(c.url, "PW", passwordEscaped)
				if _, err := url.Parse(raw); err != nil {
					t.Skipf("no URL: %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				log := &logged{}
				b, err := openRaw(ctx, raw, driver.OpenOptions{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
				if err == nil {
					_, err = b.Init(ctx, driver.Schema{})
					err = errors.Join(err, b.Close())
				}
				if err == nil {
					t.Fatal("Open or Init must fail for a URL that names no store")
				}
				checkSecret(t, "an error", err.Error())
				checkSecret(t, "an error", fmt.Sprintf("%+v", err))
				checkSecret(t, "the log", log.String())
			})
		}
	})

	t.Run("an unknown parameter is named, before anything is touched", func(t *testing.T) {
		t.Parallel()
		b, err := openRaw(t.Context(), addParam(s.URL(t), "no_such_parameter=1"), driver.OpenOptions{})
		if err == nil {
			t.Fatal("Open must refuse an unknown parameter", b.Close())
		}
		if !strings.Contains(err.Error(), "no_such_parameter") {
			t.Errorf("the error of an unknown parameter must name it: %v", err)
		}
	})

	t.Run("a good URL shows no password in an error of a record", func(t *testing.T) {
		t.Parallel()
		k := &kit{suite: s}
		st := k.fresh(t)
		u, err := url.Parse(st.url)
		if err != nil || u.Password() == "" {
			t.Skip("the URLs of the harness have no password")
		}
		_, err = st.Apply(t.Context(), []driver.Mutation{update(k.plain(1), 0)})
		if err == nil {
			t.Fatal("an Update of a record that is absent must fail")
		}
		if strings.Contains(err.Error(), u.Password()) {
			t.Error("an error must not hold the password of the URL")
		}
	})
}

// addParam adds a parameter to a URL.
func addParam(rawURL, param string) string {
	rawURL, fragment, found := strings.Cut(rawURL, "#")
	sep := "?"
	if strings.Contains(rawURL, "?") {
		sep = "&"
	}
	rawURL += sep + param
	if found {
		rawURL += "#" + fragment
	}
	return rawURL
}

func checkSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{password, passwordEscaped, strings.ReplaceAll(password, " ", "+"), strings.ReplaceAll(password, " ", "%20"), "s3cr"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s must not show the password of a URL: %q", what, text)
			return
		}
	}
}

// logged is a log kept in memory.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
