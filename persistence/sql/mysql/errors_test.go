package mysql_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
)

const (
	password = "s3cr/t pass"
	escaped  = "s3cr%2Ft%20pass"
)

// logged is a log that goroutines write.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
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

func TestWhatIsWrongWithAServerIsSaid(t *testing.T) {
	t.Parallel()
	s := testserver.MariaDB(t, testserver.TLS(), testserver.Password("worker", password))
	expired := testserver.MariaDB(t, testserver.ExpiredTLS(), testserver.Password("worker", password))
	db := s.NewDB(t)
	socket := strings.TrimPrefix(s.URL(db)[strings.Index(s.URL(db), "socket="):], "socket=")

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()

	for _, tt := range []struct {
		name, url string
		want      []string
	}{
		{"a wrong password", "mysql://worker:wrong-" + escaped + "@/" + db + "?socket=" + socket, []string{"Access denied", "worker", db}},
		{"an unknown user", "mysql://nobody:" + escaped + "@" + s.TCP() + "/" + db, []string{"nobody", s.TCP()}},
		{"an unknown database", "mysql://worker:" + escaped + "@/nosuch?socket=" + socket, []string{"nosuch", "Unknown database"}},
		{"a server that is down", "mysql://worker:" + escaped + "@" + closed.Addr().String() + "/" + db, []string{closed.Addr().String(), "refused"}},
		{"a socket that is not there", "mysql://worker:" + escaped + "@/" + db + "?socket=/no/such/socket", []string{"/no/such/socket", "no such file"}},
		{"a server that accepts and never answers", "mysql://worker:" + escaped + "@" + silent.Addr().String() + "/" + db, []string{silent.Addr().String()}},
		{"a server that never answers, and a limit of its own", "mysql://worker:" + escaped + "@" + silent.Addr().String() + "/" + db + "?connect_timeout=200ms", []string{silent.Addr().String()}},
		{"a certificate that has expired", "mysql://worker:" + escaped + "@" + expired.TCP() + "/x?tls_ca=" + expired.CA(), []string{"expired"}},
		{"a certificate that nobody knows", "mysql://worker:" + escaped + "@" + s.TCP() + "/" + db + "?tls=true", []string{"certificate", s.TCP()}},
		{"several hosts, and none answers", "mysql://worker:" + escaped + "@" + closed.Addr().String() + "," + closed.Addr().String() + "/" + db, []string{"refused"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log := &logged{}
			b, err := openBackend(tt.url, driver.OpenOptions{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			begin := time.Now()
			_, err = b.Init(ctx, integers)
			took := time.Since(begin)
			if closed := b.Close(); closed != nil {
				t.Error(closed)
			}
			if err == nil {
				t.Fatal("the store opened")
			}
			if took > 10*time.Second { // five times the deadline: a call that does not look at it takes for ever
				t.Errorf("took %v with a deadline of 2s", took)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			for _, text := range []string{err.Error(), log.String()} {
				if strings.Contains(text, "s3cr") {
					t.Errorf("the password is shown: %s", text)
				}
			}
		})
	}

	for name, params := range map[string]string{
		"verified": "?tls_ca=" + s.CA(), "not verified": "?tls=skip-verify", "preferred": "?tls=preferred", "none": "", "none, in words": "?tls=false",
	} {
		t.Run("TLS "+name, func(t *testing.T) {
			t.Parallel()
			open(t, "mysql://worker:"+escaped+"@"+s.TCP()+"/"+s.NewDB(t)+params, integers, driver.OpenOptions{})
		})
	}
	t.Run("one of several hosts answers", func(t *testing.T) {
		t.Parallel()
		b, _ := open(t, "mysql://worker:"+escaped+"@"+closed.Addr().String()+","+s.TCP()+"/"+s.NewDB(t), integers, driver.OpenOptions{})
		apply(t, b, create("1", "x"))
	})
}

func TestAHostThatCannotBeWrittenIsPassedOver(t *testing.T) {
	t.Parallel()
	replica := testserver.MariaDB(t, testserver.TCP(), testserver.Flags("--read-only"))
	primary := testserver.MariaDB(t, testserver.TCP())
	db := primary.NewDB(t)
	run(t, replica.Open(t, ""), "CREATE DATABASE "+db)
	hosts := func(list string) string { return strings.Replace(primary.TCPURL(db), primary.TCP(), list, 1) }
	b, _ := open(t, hosts(replica.TCP()+","+primary.TCP()), integers, driver.OpenOptions{})
	apply(t, b, create("1", "x"))
	var n int
	if err := primary.Open(t, db).QueryRowContext(t.Context(), "SELECT count(*) FROM store").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d records on the primary, %v", n, err)
	}
	alone, err := openBackend(hosts(replica.TCP()+","+replica.TCP()), driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alone.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("hosts that cannot be written alone: %v", err)
	}
	if err := alone.Close(); err != nil {
		t.Error(err)
	}
}

func TestPreferredTLSFallsBack(t *testing.T) {
	t.Parallel()
	s := testserver.MariaDB(t, testserver.TCP(), testserver.Password("worker", password))
	b, _ := open(t, "mysql://worker:"+escaped+"@"+s.TCP()+"/"+s.NewDB(t)+"?tls=preferred", integers, driver.OpenOptions{})
	var wg sync.WaitGroup
	for i := range 8 { // many connections at once: the driver's configuration is shared
		wg.Go(func() {
			if _, err := b.Apply(t.Context(), []driver.Mutation{create(driver.ID(rune('1'+i)), "x")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestAServerThatCannotBeWrittenIsReadOnly(t *testing.T) {
	t.Parallel()
	s := testserver.MariaDB(t)
	rawURL := s.URL(s.NewDB(t))
	admin := raw(t, rawURL)
	b, _ := open(t, rawURL, integers, driver.OpenOptions{})
	apply(t, b, create("1", "x"))
	run(t, admin, "CREATE USER reader@'%'", "GRANT SELECT ON *.* TO reader@'%'", "CREATE USER writer@'%'", "GRANT ALL ON *.* TO writer@'%'",
		"REVOKE READ ONLY ADMIN, SUPER ON *.* FROM writer@'%'", "SET GLOBAL read_only = 1")
	for _, user := range []string{"reader", "writer"} {
		t.Run(user, func(t *testing.T) {
			as := strings.Replace(rawURL, "//root@", "//"+user+"@", 1)
			if as == rawURL {
				t.Fatal("the URL has another user")
			}
			b, _ := open(t, as, integers, driver.OpenOptions{})
			if len(get(t, b, everything, "1")) != 1 {
				t.Error("the record cannot be read")
			}
			for _, ms := range [][]driver.Mutation{{create("2", "x")}, {create("2", "x"), create("3", "x")}} {
				if _, err := b.Apply(t.Context(), ms); !errors.Is(err, driver.ErrReadOnly) {
					t.Errorf("%d mutations: %v", len(ms), err)
				}
			}
			if _, err := b.NextIDs(t.Context(), 1); !errors.Is(err, driver.ErrReadOnly) {
				t.Errorf("number: %v", err)
			}
			other, err := openBackend(as, driver.OpenOptions{Table: "other"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = other.Init(t.Context(), integers); !errors.Is(err, driver.ErrReadOnly) {
				t.Errorf("making a table: %v", err)
			}
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	run(t, admin, "SET GLOBAL read_only = 0")
}
