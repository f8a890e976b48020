package testserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// root is the folder that holds all that this process starts.
var root struct {
	mu    sync.Mutex
	dir   string
	guard *watchdog
	n     int
}

// newDir makes a folder that belongs to the user who runs the servers. The names are short: a
// socket's path may have 107 bytes at most.
func newDir(prefix string) (string, error) {
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.dir == "" {
		dir, err := os.MkdirTemp(tempDir(), "brine-")
		if err != nil {
			return "", err
		}
		guard, err := watch(dir)
		if err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
		root.dir, root.guard = dir, guard
		if err := os.Chmod(dir, 0o711); err != nil {
			return "", err
		}
	}
	root.n++
	dir := filepath.Join(root.dir, fmt.Sprintf("%s%d", prefix, root.n))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return dir, giveAway(dir)
}

// tempDir is the usual place unless its path is too long for a socket, or other users may not enter
// it.
func tempDir() string {
	dir := os.TempDir()
	if len(dir) > 40 || !filepath.IsAbs(dir) {
		return "/tmp"
	}
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if fi, err := os.Stat(d); err != nil || fi.Mode().Perm()&1 == 0 {
			return "/tmp"
		}
	}
	return dir
}

func removeRoot() error {
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.dir == "" {
		return nil
	}
	err := os.RemoveAll(root.dir)
	root.guard.dismiss()
	root.dir, root.guard = "", nil
	return err
}

var ports struct {
	mu   sync.Mutex
	used map[int]bool
}

// freePort finds a port of 127.0.0.1 on which nobody listens, outside of the range from which
// systems give clients theirs: a server that is down for a while finds its port free when it comes
// back.
func freePort() (int, error) {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	var last error
	for range 200 {
		p := 15000 + rand.IntN(17000)
		if ports.used[p] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			last = err
			continue
		}
		_ = l.Close()
		if ports.used == nil {
			ports.used = map[int]bool{}
		}
		ports.used[p] = true
		return p, nil
	}
	return 0, fmt.Errorf("no free port: %w", last)
}
