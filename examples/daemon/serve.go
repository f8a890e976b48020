package main

import (
	"context"
	"errors"
	"log"
	"os"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence"
)

// serve is the daemon: it takes task after task until ctx ends (by a signal) or its record says
// that it shall stop. The task at hand is finished and saved first.
func serve(ctx context.Context, store *persistence.Store) error {
	now := time.Now().UTC()
	me := &Daemon{State: Running, Host: hostname(), Pid: os.Getpid(), Started: now, Beat: now}
	if _, err := store.Save(ctx, me); err != nil {
		return err
	}
	log.Printf("daemon %s begins, pid %d", me.PersistentID(), me.Pid)
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	// Two goroutines, and each object belongs to one of them: the daemon's own record to
	// keepBeating, the tasks to the worker. The tasks refer to me, but saving them with SaveOnly
	// reads only its ID.
	w := &worker{store: store, me: me, seen: observations{}}
	quit := make(chan struct{})
	latest := me
	var beating sync.WaitGroup
	beating.Go(func() { latest = keepBeating(store, me, quit, stop) })
	err := w.work(ctx)
	close(quit)
	beating.Wait()

	err = errors.Join(err, persist(func() (err error) {
		latest, err = update(store, latest, func(d *Daemon) { d.State = Stopped })
		return err
	}))
	log.Printf("daemon %s ends", me.PersistentID())
	return err
}

// keepBeating renews the record of the daemon until quit is closed, and calls stop when the record
// says that it shall stop. It returns the record as last saved.
func keepBeating(store *persistence.Store, d *Daemon, quit <-chan struct{}, stop func()) *Daemon {
	for {
		select {
		case <-quit:
			return d
		case <-time.After(beat):
		}
		var err error
		if d, err = update(store, d, func(d *Daemon) { d.Beat = time.Now().UTC() }); err != nil {
			log.Print(err) // a server may be restarting: the next beat will tell
		} else if d.State != Running {
			stop()
		}
	}
}

// update changes and saves the record of the daemon. If someone else has written it meanwhile, it
// loads that, changes it instead and returns it: nobody's change is lost.
func update(store *persistence.Store, d *Daemon, change func(*Daemon)) (*Daemon, error) {
	ctx := context.Background()
	for {
		change(d)
		_, err := store.SaveOnly(ctx, d)
		if !errors.Is(err, persistence.ErrConflict) {
			return d, err
		}
		fresh, err := persistence.Load[Daemon](ctx, store, d.PersistentID())
		if err != nil {
			return d, err
		}
		d = fresh
	}
}

// A worker takes tasks and does them, one at a time.
type worker struct {
	store *persistence.Store
	me    *Daemon // what its tasks refer to
	seen  observations
}

func (w *worker) work(ctx context.Context) error {
	for ctx.Err() == nil {
		var t *Task
		err := persist(func() (err error) { t, err = w.take(); return err })
		if err != nil {
			return err
		}
		if t == nil {
			_ = sleep(ctx, poll)
		} else if err := w.perform(t); err != nil {
			return err
		}
	}
	return nil
}

// take makes a task this daemon's own and returns it: one that a dead daemon has left, or else one
// that waits. It returns nil if there is none.
func (w *worker) take() (*Task, error) {
	ctx := context.Background()
	for _, q := range []persistence.Query{
		{State: []string{string(Running)}},
		{State: []string{string(Waiting)}, Limit: 10}, // the first ones, in case that others take them too
	} {
		for t, err := range persistence.All[Task](ctx, w.store, &q) {
			if err != nil {
				return nil, err
			}
			changed := []any{t}
			if owner := t.By; t.State == Running && !persistence.Same(owner, w.me) {
				if !w.seen.gone(owner) {
					continue
				}
				// Both are saved in one step: if the owner renews its Beat at this moment, the save
				// conflicts and the owner keeps the task.
				if owner.State != Stopped {
					owner.State = Lost
				}
				changed = append(changed, owner)
			}
			t.State, t.By = Running, w.me
			t.Attempts++
			_, err := w.store.SaveOnly(ctx, changed...)
			if errors.Is(err, persistence.ErrConflict) {
				continue // someone else was faster
			}
			return t, err
		}
	}
	return nil, nil
}

// perform does the work of a task. A daemon that is told to stop finishes it first.
func (w *worker) perform(t *Task) error {
	log.Printf("%s begins, attempt %d", t.Name, t.Attempts)
	time.Sleep(t.Takes) // a real daemon would run a command here, say
	t.State = Done
	err := persist(func() error { _, err := w.store.SaveOnly(context.Background(), t); return err })
	if errors.Is(err, persistence.ErrConflict) {
		log.Printf("%s is lost: someone took this daemon for dead and has taken the task over", t.Name)
		return nil
	}
	if err == nil {
		log.Printf("%s is done", t.Name)
	}
	return err
}

// persist calls f until it succeeds, for ten seconds at most, in case a server restarts.
func persist(f func() error) error {
	var err error
	for range 20 {
		if err = f(); err == nil || errors.Is(err, persistence.ErrConflict) {
			return err
		}
		log.Print(err)
		time.Sleep(beat)
	}
	return err
}
