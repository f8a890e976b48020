package testserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// startTimeout is how long a server may take to answer: long enough for a machine that does much
// else.
const startTimeout = 2 * time.Minute

// errPortTaken means that somebody else took the port in the meantime.
var errPortTaken = errors.New("the port is taken")

// An instance is a server with its folder, running or not.
type instance struct {
	engine engine
	cfg    config
	dir    string
	port   int // 0: the socket alone

	// launchFlags, if any, are computed before each start.
	launchFlags func() ([]string, error)
	// ready, if any, says more than an answered ping.
	ready func(ctx context.Context, db *sql.DB) error

	mu     sync.Mutex
	proc   *process // nil: not running
	paused bool
	dbs    int
}

func (i *instance) data() string     { return filepath.Join(i.dir, "data") }
func (i *instance) socket() string   { return filepath.Join(i.dir, "s") }
func (i *instance) logFile() string  { return filepath.Join(i.dir, "log") }
func (i *instance) caFile() string   { return filepath.Join(i.dir, "ca.pem") }
func (i *instance) certFile() string { return filepath.Join(i.dir, "cert.pem") }
func (i *instance) keyFile() string  { return filepath.Join(i.dir, "key.pem") }
func (i *instance) addr() string     { return net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port)) }

// newInstance makes a folder with a copy of the template in it. A nil copyData means that;
// otherwise it fills the data folder.
func newInstance(e engine, cfg config, copyData func(i *instance) error) (*instance, error) {
	if copyData == nil {
		copyData = copyTemplate
	}
	dir, err := newDir("s")
	if err != nil {
		return nil, err
	}
	i := &instance{engine: e, cfg: cfg, dir: dir}
	if cfg.tcp {
		if i.port, err = freePort(); err != nil {
			return nil, errors.Join(err, i.remove())
		}
	}
	if cfg.tls {
		err = i.writeCertificates()
	}
	if err == nil {
		err = copyData(i)
	}
	if err == nil {
		err = e.prepare(i)
	}
	if err != nil {
		return nil, errors.Join(err, i.remove())
	}
	return i, nil
}

func copyTemplate(i *instance) error {
	from, err := i.engine.template()
	if err != nil {
		return err
	}
	return run(i.dir, "cp", "-R", from, i.data())
}

// launch makes an instance and starts it, on another port if the first was taken meanwhile.
func launch(e engine, cfg config) (*instance, error) {
	return retryPorts(func() (*instance, error) {
		i, err := newInstance(e, cfg, nil)
		if err != nil {
			return nil, err
		}
		if err := i.first(); err != nil {
			return nil, errors.Join(err, i.remove())
		}
		return i, nil
	})
}

func retryPorts[T any](f func() (T, error)) (v T, err error) {
	for range 5 {
		if v, err = f(); !errors.Is(err, errPortTaken) {
			break
		}
	}
	return v, err
}

// first is start for the first time.
func (i *instance) first() error {
	if err := i.start(); err != nil {
		return err
	}
	return i.with(func(ctx context.Context, db *sql.DB) error { return i.engine.settle(ctx, db, i) })
}

// start starts the server and waits until it answers.
func (i *instance) start() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proc != nil {
		return errors.New("the server runs already")
	}
	argv := i.engine.argv(i)
	if i.launchFlags != nil {
		more, err := i.launchFlags()
		if err != nil {
			return err
		}
		argv = append(argv, more...)
	}
	before := i.logSize()
	p, err := spawn(i.dir, i.logFile(), argv)
	if err != nil {
		return err
	}
	i.proc = p
	if err := i.await(p, before); err != nil {
		return errors.Join(err, i.stopLocked())
	}
	return nil
}

// await pings until the server answers or has ended.
func (i *instance) await(p *process, logFrom int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	db, err := i.engine.open(i, "")
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil && i.ready != nil {
			err = i.ready(ctx, db)
		}
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			log := i.log(logFrom)
			if strings.Contains(log, "ddress already in use") {
				err = errPortTaken
			}
			return fmt.Errorf("the server ended at once: %w\n%s", err, log)
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w\n%s", err, i.log(logFrom))
		case <-tick.C:
		}
	}
}

// kill ends the server with all its processes at once. Nothing happens if it does not run.
func (i *instance) kill() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stopLocked()
}

func (i *instance) stopLocked() error {
	if i.proc == nil {
		return nil
	}
	if err := i.proc.kill(); err != nil {
		return err
	}
	i.engine.released(i.data())
	i.proc, i.paused = nil, false
	return nil
}

// restart ends the server in good order if it runs, and starts it again. A port that somebody else
// took meanwhile is waited for.
func (i *instance) restart() error {
	if err := i.shutdown(); err != nil {
		return err
	}
	deadline := time.Now().Add(startTimeout)
	for {
		err := i.start()
		if !errors.Is(err, errPortTaken) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (i *instance) shutdown() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proc == nil {
		return nil
	}
	if err := i.resumeLocked(); err != nil {
		return err
	}
	if i.proc.signal(i.engine.shutdown()) == nil {
		select {
		case <-i.proc.done:
		case <-time.After(startTimeout):
		}
	}
	return i.stopLocked()
}

func (i *instance) pause() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proc == nil {
		return errors.New("the server does not run")
	}
	i.paused = true
	return i.proc.freeze()
}

func (i *instance) resume() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proc == nil {
		return errors.New("the server does not run")
	}
	return i.resumeLocked()
}

func (i *instance) resumeLocked() error {
	if !i.paused {
		return nil
	}
	i.paused = false
	return i.proc.thaw()
}

// remove kills the server and removes its folder.
func (i *instance) remove() error {
	if err := i.kill(); err != nil {
		return err
	}
	return os.RemoveAll(i.dir)
}

// answers reports whether a call of the server may be expected to come back.
func (i *instance) answers() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.proc != nil && !i.paused && !i.proc.ended()
}

// with calls f with a superuser's handle on the server.
func (i *instance) with(f func(ctx context.Context, db *sql.DB) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	h, err := i.engine.open(i, "")
	if err != nil {
		return err
	}
	defer h.Close()
	return f(ctx, h)
}

func (i *instance) logSize() int64 {
	fi, err := os.Stat(i.logFile())
	if err != nil {
		return 0
	}
	return fi.Size()
}

// log is the end of what the server has logged since an offset.
func (i *instance) log(from int64) string {
	b, err := os.ReadFile(i.logFile())
	if err != nil {
		return ""
	}
	const most = 24000
	return string(b[max(min(int64(len(b)), from), int64(len(b)-most)):])
}
