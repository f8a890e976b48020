package driver

import "time"

// A Pool configures the connections to a server. A zero field means the default.
type Pool struct {
	Size           int           // maximum number of connections; default 10
	Idle           int           // maximum number of idle connections; default Size, negative: none
	Lifetime       time.Duration // a connection older than this is replaced before use; default, and negative: never
	IdleTime       time.Duration // a connection idle for so long is closed; default, and negative: never
	ConnectTimeout time.Duration // for making one connection; default 10s
	PrePing        bool          // check before each use of a connection whether it is alive: one more round trip
}

// Stats describe the connections of a backend at one moment, with totals since it was opened.
type Stats struct {
	Limit  int // maximum number of connections; 0 if the backend has none
	InUse  int
	Idle   int
	Opened int64 // connections made
	Closed int64 // connections closed, including lost ones

	Waits    int64         // calls that had to wait for a connection
	WaitTime time.Duration // how long they waited, in total
}

// A Statser is a Backend that keeps connections. Stats may be called at any time, by any goroutine.
type Statser interface {
	Stats() Stats
}
