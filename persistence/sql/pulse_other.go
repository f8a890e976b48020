//go:build !unix

package sql

// pulse cannot look at a socket here.
func (l *link) pulse() pulse { return unclear }

// pulseTells: a socket can be looked at.
const pulseTells = false
