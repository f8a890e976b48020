package driver

import "time"

// A Pool says how a backend keeps its connections to a server. A field that is zero means
// the default.
type Pool struct {
	Size           int           // connections at most; default 10
	Idle           int           // connections kept while not in use, at most; default Size, negative: none
	Lifetime       time.Duration // a connection older than this is replaced before its next use; default, and negative: never
	IdleTime       time.Duration // a connection not used for so long is closed; default, and negative: never
	ConnectTimeout time.Duration // of making one connection; default 10s
	PrePing        bool          // ask the server, at each use of a connection, whether it is alive: a round trip more
}

// Stats are the connections of a backend at one moment, and what they have been through since it was opened.
type Stats struct {
	Limit  int // connections at most; 0 where a backend has none
	InUse  int
	Idle   int
	Opened int64 // connections made
	Closed int64 // connections closed, lost ones included

	Waits    int64         // calls that had to wait for a connection
	WaitTime time.Duration // how long they waited, all together
}

// A Statser is a Backend that keeps connections. Stats may be called at any time, by any goroutine.
type Statser interface {
	Stats() Stats
}
