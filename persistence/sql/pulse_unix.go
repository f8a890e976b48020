//go:build unix

package sql

import (
	"errors"
	"syscall"
)

// pulse reads from the socket, without waiting and without taking anything out of it.
func (l *link) pulse() pulse {
	sc, ok := l.Conn.(syscall.Conn)
	if !ok {
		return unclear
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return dead
	}
	state := unclear
	err = raw.Read(func(fd uintptr) bool {
		var buf [1]byte
		switch n, _, err := syscall.Recvfrom(int(fd), buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT); {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EWOULDBLOCK):
			state = alive
		case err != nil && !errors.Is(err, syscall.EINTR), err == nil && n == 0:
			state = dead
		}
		return true
	})
	if err != nil {
		return dead
	}
	return state
}

// pulseTells: a socket can be looked at.
const pulseTells = true
