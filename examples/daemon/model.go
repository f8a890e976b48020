package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/brine-go/brine/persistence"
)

// A State is how far a task has come, or a daemon.
type State string

// The states.
const (
	Waiting State = "WAITING" // a task that nobody has taken
	Running State = "RUNNING" // a task at work, or a daemon
	Done    State = "DONE"

	Stopping State = "STOPPING" // a daemon that was told to stop and finishes its task
	Stopped  State = "STOPPED"
	Lost     State = "LOST" // a daemon that was killed; whoever found that out has written it
)

// A Task is a piece of work.
type Task struct {
	persistence.Persistable
	Name     string
	State    State
	Takes    time.Duration
	Attempts int     // how often it was begun
	By       *Daemon // who has it, or had it last; nil while it waits
}

// A Daemon is a process in the background. Only its own process writes the record, but for the
// State: others ask it to stop through that.
type Daemon struct {
	persistence.Persistable
	State   State
	Host    string
	Pid     int
	Started time.Time
	Beat    time.Time // renewed twice a second, by its own clock: a daemon whose Beat stands still is dead
}

// The names that the types have in a store, for ever.
const (
	taskType   = "daemon.Task"
	daemonType = "daemon.Daemon"
)

func init() {
	persistence.Register[Task](taskType)
	persistence.Register[Daemon](daemonType)
}

const (
	poll       = 100 * time.Millisecond // how often to look whether there is something new
	beat       = 500 * time.Millisecond // how often a daemon shows that it lives
	maxSilence = 5 * time.Second        // how long a daemon may be silent before others take it for dead
)

// active returns the daemons that have not ended, as far as they could tell.
func active(ctx context.Context, store *persistence.Store) ([]*Daemon, error) {
	var ds []*Daemon
	for d, err := range persistence.All[Daemon](ctx, store, &persistence.Query{State: []string{string(Running), string(Stopping)}}) {
		if err != nil {
			return nil, err
		}
		ds = append(ds, d)
	}
	return ds, nil
}

// count returns how many tasks there are in a state.
func count(ctx context.Context, store *persistence.Store, s State) (int64, error) {
	return store.Count(ctx, &persistence.Query{Type: taskType, State: []string{string(s)}})
}

// hostname names this machine; "" if it has no name.
func hostname() string {
	name, _ := os.Hostname()
	return name
}

// observations tell dead daemons from living ones, by the clock of this process: that of another
// machine may be wrong, but every process can see that its Beat changes.
type observations map[persistence.ID]observation

type observation struct {
	beat time.Time // the daemon's
	at   time.Time // when this process saw it first
}

// gone reports whether the daemon, which was loaded just now, has ended. For a daemon on another
// machine it takes several calls, over the time of maxSilence, before that is known.
//
// It may be wrong: a daemon that was only suspended gets ErrConflict when it saves its task.
func (s observations) gone(d *Daemon) bool {
	if d.State == Stopped || d.State == Lost || d.Host == hostname() && !alive(d.Pid) {
		return true
	}
	last, ok := s[d.PersistentID()]
	if !ok || !last.beat.Equal(d.Beat) {
		s[d.PersistentID()] = observation{d.Beat, time.Now()}
		return false
	}
	return time.Since(last.at) > maxSilence
}

// alive reports whether this machine has a process of that number. It may be another one by now.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false // Windows says so here
	}
	defer func() { _ = p.Release() }()
	return !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) // Unix says so here
}
