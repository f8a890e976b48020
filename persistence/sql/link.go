package sql

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// A link is the network connection under a connection of the pool. It tells whether a statement has
// been sent, whether the server has hung up, and can be cut, which ends a statement that the server
// never answers.
type link struct {
	net.Conn
	written atomic.Int64
}

// Write implements [net.Conn].
func (l *link) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	l.written.Add(int64(n))
	return n, err
}

// cut ends the link, and with it whatever waits for the server. It may be called at any time, by
// any goroutine.
func (l *link) cut() { _ = l.Close() }

// A connecting is the making of one connection, during which its links are reported.
type connecting struct {
	mu   sync.Mutex
	link *link // the last one
	cut  bool
}

type connectingKey struct{}

// Dialed tells the engine of a network connection that is the beginning of a connection to the
// server, and returns what to use in its place. ctx is the context of the connector's Connect. A
// dialect whose driver lets it dial should do so: else a server that falls silent can make a call
// wait longer than its context, and a statement that was lost on the way cannot be told from one
// that was never sent. mine is false where the engine did not ask for the connection: nc comes back
// as it was.
func Dialed(ctx context.Context, nc net.Conn) (_ net.Conn, mine bool) {
	c, ok := ctx.Value(connectingKey{}).(*connecting)
	if !ok {
		return nc, false
	}
	l := &link{Conn: nc}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		l.cut()
	}
	c.link = l
	return l, true
}

// abort cuts the link that there is, and each that comes.
func (c *connecting) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	if c.link != nil {
		c.link.cut()
	}
}

// made returns the link of the connection once it is made; nil: none was reported.
func (c *connecting) made() *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

// A pulse is what can be told of a link without asking the server.
type pulse uint8

const (
	alive   pulse = iota
	dead          // the server has hung up
	unclear       // there is something to read, perhaps the server's last message; or nothing is known
)
