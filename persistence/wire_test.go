package persistence_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

// A tap is a proxy between a client and a server that reads what the client sends.
type tap struct {
	// next reads one message of a client; first says whether it is the first one of a connection.
	// statement is what the message runs, or "".
	next func(r io.Reader, first bool) (message []byte, statement string, err error)

	received atomic.Int64 // bytes sent by the server

	mu   sync.Mutex
	seen []string // statements run: their text, or "prepared"

	prepares atomic.Int64 // statements that were prepared
}

// Write counts what the server sends.
func (p *tap) Write(b []byte) (int, error) {
	p.received.Add(int64(len(b)))
	return len(b), nil
}

// listen returns the address to connect to in place of target.
func (p *tap) listen(t *testing.T, target string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer client.Close()
				server, err := net.Dial("tcp", target)
				if err != nil {
					t.Error(err)
					return
				}
				all.Go(func() {
					_, _ = io.Copy(client, io.TeeReader(server, p))
					client.Close()
				})
				for first := true; ; first = false {
					message, statement, err := p.next(client, first)
					if statement == preparing {
						p.prepares.Add(1)
						statement = ""
					}
					if statement != "" { // recorded before the server can answer
						p.mu.Lock()
						p.seen = append(p.seen, statement)
						p.mu.Unlock()
					}
					if err == nil {
						_, err = server.Write(message)
					}
					if err != nil {
						break
					}
				}
				server.Close()
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

const preparing = "PREPARE" // not among those that during returns

// during returns the statements that fn sends.
func (p *tap) during(fn func()) []string {
	p.mu.Lock()
	p.seen = nil
	p.mu.Unlock()
	fn()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// postgresMessage reads a message of the PostgreSQL protocol: a type byte, which the first one
// lacks, and the length of the rest, including the length itself.
func postgresMessage(r io.Reader, first bool) (message []byte, statement string, err error) {
	head := make([]byte, 5)
	begin := 0
	if first {
		begin = 1
	}
	if _, err := io.ReadFull(r, head[begin:]); err != nil {
		return nil, "", err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, "", err
	}
	switch head[0] {
	case 'Q':
		statement = strings.TrimRight(string(body), "\x00")
	case 'E':
		statement = "prepared"
	case 'P':
		statement = preparing
	}
	return append(head[begin:], body...), statement, nil
}

// mysqlPacket reads a packet of the MySQL protocol: three bytes of length and a sequence
// number, which is 0 at the start of a command.
func mysqlPacket(r io.Reader, _ bool) (packet []byte, statement string, err error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, "", err
	}
	body := make([]byte, uint32(head[0])|uint32(head[1])<<8|uint32(head[2])<<16)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, "", err
	}
	if head[3] == 0 && len(body) > 0 {
		switch body[0] {
		case 0x03:
			statement = string(body[1:])
		case 0x17:
			statement = "prepared"
		case 0x16:
			statement = preparing
		}
	}
	return append(head, body...), statement, nil
}

// taps runs a test on a store of each server, through a tap and over a single connection.
func taps(t *testing.T, test func(t *testing.T, p *tap, s *persistence.Store)) {
	t.Helper()
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		srv := testserver.Postgres(t, testserver.TCP())
		p := &tap{next: postgresMessage}
		test(t, p, open(t, "postgres://test@"+p.listen(t, srv.TCP())+"/"+srv.NewDB(t)+"?sslmode=disable&pool_size=1", nil))
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		srv := testserver.MariaDB(t, testserver.TCP())
		p := &tap{next: mysqlPacket}
		test(t, p, open(t, "mysql://root@"+p.listen(t, srv.TCP())+"/"+srv.NewDB(t)+"?pool_size=1", nil))
	})
}

// levels returns the last of n jobs in depth levels. Each job refers to three of the previous
// level.
func levels(n, depth int) []any {
	var last []*Job
	for level := range depth {
		jobs := make([]*Job, n/depth)
		for i := range jobs {
			jobs[i] = &Job{JobData: jobData(level*len(jobs) + i)}
			for k := range min(3, len(last)) {
				jobs[i].Deps = append(jobs[i].Deps, last[(i+k)%len(last)])
			}
		}
		last = jobs
	}
	roots := make([]any, len(last))
	for i, j := range last {
		roots[i] = j
	}
	return roots
}

func TestSavesAndLoadsTakeFewRoundTrips(t *testing.T) {
	taps(t, func(t *testing.T, p *tap, s *persistence.Store) {
		ctx := t.Context()
		if err := s.Reserve(ctx, 20_000); err != nil {
			t.Fatal(err)
		}
		one := &Job{JobData: jobData(1)}
		for _, what := range []string{"a new object", "a changed object"} {
			one.Name = what
			if got := p.during(func() { must[persistence.ID](t)(s.Save(ctx, one)) }); len(got) != 1 {
				t.Errorf("%s: %q", what, got)
			}
		}

		id := one.PersistentID()
		load := func() { must[any](t)(s.Load(ctx, id)) }
		if got := p.during(load); len(got) != 1 {
			t.Errorf("an object that refers to none: %q", got)
		}
		one.Deps = []*Job{{JobData: jobData(2)}}
		must[persistence.ID](t)(s.Save(ctx, one))
		if got := p.during(load); len(got) != 5 {
			t.Errorf("an object that refers to another, after one that did not: %q, want one SELECT, and two in a transaction", got)
		}
		if got := p.during(load); len(got) != 4 {
			t.Errorf("an object that refers to another: %q, want two SELECTs in a transaction", got)
		}

		roots := levels(10_000, 20)
		var ids []persistence.ID
		got := p.during(func() { ids = must[[]persistence.ID](t)(s.SaveAll(ctx, roots...)) })
		begins, commits := 0, 0
		for _, text := range got {
			if strings.HasPrefix(text, "BEGIN") || strings.HasPrefix(text, "START TRANSACTION") {
				begins++
			}
			if text == "COMMIT" {
				commits++
			}
		}
		t.Logf("SaveAll of 10,000: %d statements", len(got))
		if begins != 1 || commits != 1 || got[len(got)-1] != "COMMIT" {
			t.Errorf("SaveAll: %d transactions begun, %d committed, the last statement is %q", begins, commits, got[len(got)-1])
		}

		got = p.during(func() {
			if n := len(must[[]any](t)(s.LoadAll(ctx, ids...))); n != len(roots) {
				t.Errorf("%d roots", n)
			}
		})
		t.Logf("Load of 10,000 in 20 levels: %d statements", len(got))
		if len(got) > 25 || len(got) < 3 {
			t.Errorf("Load of a graph 20 deep: %d statements: %q", len(got), got)
		}
	})
}

// A query that its reader ends leaves its statement prepared.
func TestQueriesAreNotPreparedAnew(t *testing.T) {
	taps(t, func(t *testing.T, p *tap, s *persistence.Store) {
		for range 30 {
			must[persistence.ID](t)(s.Save(t.Context(), &Task{State: "NEW", Deps: []*Task{{State: "DONE"}}}))
		}
		query := func() {
			for _, err := range s.All(t.Context(), &persistence.Query{State: []string{"NEW"}, Limit: 5}) {
				check(t, err)
			}
		}
		query()
		query()
		before := p.prepares.Load()
		query()
		if n := p.prepares.Load() - before; n != 0 {
			t.Errorf("the third time, %d statements were prepared", n)
		}
	})
}

func TestListingNeverReadsTheData(t *testing.T) {
	taps(t, func(t *testing.T, p *tap, s *persistence.Store) {
		ctx := t.Context()
		const objects, size = 50, 200_000
		for i := range objects {
			must[persistence.ID](t)(s.Save(ctx, &Task{State: "NEW", Meta: map[string]string{"long": strings.Repeat("x", size), "n": fmt.Sprint(i)}}))
		}
		must[[]*persistence.Claim](t)(s.Claim(ctx, nil, persistence.ClaimOptions{Owner: "me", Lease: time.Hour, Limit: 2}))
		byState := &persistence.Query{State: []string{"NEW"}, Order: []persistence.Order{persistence.Desc("created")}}
		before := p.received.Load()
		n := len(list(t, s, nil)) + len(list(t, s, byState)) + int(must[int64](t)(s.Count(ctx, byState)))
		for info, err := range s.StatAll(ctx, byState) {
			check(t, err)
			must[persistence.Info](t)(s.Stat(ctx, info.ID))
			n++
		}
		must[[]persistence.Group](t)(s.CountBy(ctx, "state", nil))
		for _, err := range s.Claims(ctx) {
			check(t, err)
			n++
		}
		if want := 4*objects + 2; n != want {
			t.Errorf("%d were listed, want %d", n, want)
		}
		got := p.received.Load() - before
		t.Logf("%d bytes for %d objects of %d bytes, listed in six ways", got, objects, size)
		if got > size {
			t.Errorf("%d bytes were read, of objects of %d", got, size)
		}
		list(t, s, nil)
		must[any](t)(s.Load(ctx, list(t, s, nil)[0]))
		if got := p.received.Load() - before; got < size {
			t.Errorf("the tap saw %d bytes, less than the object that was loaded", got)
		}
	})
}
