package stress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/brine-go/brine/persistence"
)

// An operation is a write under way.
type operation struct {
	w     *worker
	entry Entry
	since time.Time
	text  string // the last error that was neither nil nor definite
}

func (w *worker) begin(e Entry) *operation {
	w.ops++
	e.Worker, e.Op, e.What = w.name, w.ops, Begin
	w.j.write(e)
	return &operation{w: w, entry: e, since: time.Now()}
}

func (o *operation) end(what string) {
	o.entry.What, o.entry.Text = what, o.text
	o.w.j.write(o.entry)
}

// endWith ends an operation by an error that the client did not expect.
func (o *operation) endWith(err error) {
	o.w.violation("%s %s: %v", o.entry.Verb, o.entry.Key, err)
	if o.entry.Uncertain > 0 {
		o.end(Doubt)
	} else {
		o.end(Fail)
	}
}

func (w *worker) violation(format string, args ...any) {
	w.over = true
	w.j.write(Entry{Worker: w.name, What: Violation, Text: fmt.Sprintf(format, args...)})
}

// Definite reports whether err says something about the objects, which a repetition would not
// change: ErrNotFound, ErrExists, ErrConflict, ErrDangling and what concerns the value itself. Any
// other error is of the server or the way to it. A client then repeats its call, after a pause:
// with the same object where it saves one, as Save then finds out by itself whether an attempt of
// uncertain outcome (ErrUncertain) had succeeded. The store reconnects by itself.
func Definite(err error) bool {
	for _, target := range []error{
		persistence.ErrNotFound, persistence.ErrExists, persistence.ErrConflict, persistence.ErrDangling, persistence.ErrInvalidID,
		persistence.ErrType, persistence.ErrUnknownType, persistence.ErrUnstorable, persistence.ErrCorrupt,
		persistence.ErrTooLarge, persistence.ErrClosed, context.Canceled, context.DeadlineExceeded,
	} {
		// ErrUncertain may come together with another: then nothing is definite.
		if errors.Is(err, target) {
			return !errors.Is(err, persistence.ErrUncertain)
		}
	}
	return false
}

// do repeats call until it succeeds, or fails for a reason that stays, or RetryFor is over.
func (o *operation) do(ctx context.Context, call func() error) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := call()
		if err == nil || Definite(err) {
			return err
		}
		o.text = err.Error()
		if errors.Is(err, persistence.ErrUncertain) {
			o.entry.Uncertain++
		} else {
			o.entry.Lost++
		}
		if o.w.cfg.Strict || time.Since(o.since) > o.w.cfg.RetryFor {
			return err
		}
		select {
		case <-time.After(rand.N(pause) + pause/2):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// load loads an object, or a part of one.
func (o *operation) load(ctx context.Context, id persistence.ID) (n *Node, err error) {
	err = o.do(ctx, func() error {
		n, err = persistence.Load[Node](ctx, o.w.s, id)
		return err
	})
	o.w.loads++
	return n, err
}

// create stores a new object; nil: something went wrong.
func (w *worker) create(ctx context.Context, kind string) *owned {
	w.keys++
	n := newNode(fmt.Sprintf("%s#%d", w.name, w.keys), kind)
	o := w.begin(Entry{Verb: Create, Key: n.Key, Kind: kind})
	err := o.do(ctx, func() error {
		_, err := w.s.Save(ctx, n)
		return err
	})
	if err != nil {
		o.endWith(err)
		return nil
	}
	for _, part := range n.all() {
		id := part.PersistentID()
		o.entry.IDs = append(o.entry.IDs, id)
		if seq, err := strconv.ParseInt(string(id), 10, 64); err == nil {
			w.biggest = max(w.biggest, seq)
		}
	}
	o.end(Ack)
	mine := &owned{n.Key, kind, n.PersistentID()}
	w.own = append(w.own, mine)
	return mine
}

// raise loads an object, counts one more and saves it; a conflict starts it over. mine is the
// worker's own object, or nil.
func (w *worker) raise(ctx context.Context, id persistence.ID, mine *owned) {
	var o *operation
	look := &operation{w: w, since: time.Now()} // before the key is known there is nothing to say in the journal
	for {
		n, err := look.load(ctx, id)
		switch {
		case errors.Is(err, persistence.ErrNotFound) && (o == nil || o.entry.Uncertain == 0):
			if o != nil {
				o.end(Fail)
			}
			w.missed(mine)
			return
		case errors.Is(err, persistence.ErrNotFound):
			o.end(Doubt)
			w.missed(mine)
			return
		case err == nil:
			err = n.whole()
		}
		if err != nil {
			w.violation("raise: load %s: %v", id, err)
			if o != nil {
				o.end(Doubt)
			}
			return
		}
		want := w.raised[n.Key] + 1
		if o == nil {
			o = w.begin(Entry{Verb: Raise, Key: n.Key, Kind: n.Kind, Value: want})
			look.entry.Key = n.Key
		}
		switch has := n.By[w.name]; {
		case has == want && o.entry.Uncertain > 0: // an attempt of uncertain outcome had succeeded
			w.raised[n.Key] = want
			o.end(Ack)
			return
		case has == want:
			w.violation("raise %s: it was saved, and the error said that it was not: %s", n.Key, o.text)
		case has != want-1:
			w.violation("raise %s: lost update: raised %d times by %s, and %d times is what is there", n.Key, want-1, w.name, has)
		}
		if w.over {
			o.end(Doubt)
			return
		}
		n.raise(w.name)
		err = w.save(ctx, o, n)
		switch {
		case err == nil:
			w.raised[n.Key], o.entry.Total = want, n.N
			o.end(Ack)
			return
		case errors.Is(err, persistence.ErrConflict):
			w.conflicts++
		case errors.Is(err, context.DeadlineExceeded):
			w.cancelled++
		default:
			o.endWith(err)
			return
		}
		o.text = err.Error()
		if time.Since(o.since) > 2*w.cfg.RetryFor {
			o.endWith(err)
			return
		}
	}
}

// save saves an object that was loaded; at times with a context that ends in the middle of it.
func (w *worker) save(ctx context.Context, o *operation, n *Node) error {
	if w.cfg.Cancel && w.random.IntN(10) == 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Duration(w.random.IntN(5000))*time.Microsecond)
		defer cancel()
	}
	return o.do(ctx, func() error {
		_, err := w.s.Save(ctx, n)
		return err
	})
}

// replace overwrites one of the worker's own notes, whatever revision it has.
func (w *worker) replace(ctx context.Context, mine *owned) {
	want := w.raised[mine.key] + 1
	o := w.begin(Entry{Verb: Replace, Key: mine.key, Kind: mine.kind, Value: want})
	n := newNode(mine.key, mine.kind)
	n.N, n.By[w.name] = want, want
	n.fill()
	err := o.do(ctx, func() error { return w.s.Replace(ctx, mine.id, n) })
	switch {
	case err == nil:
		w.raised[mine.key] = want
		o.end(Ack)
	case errors.Is(err, persistence.ErrNotFound):
		if o.entry.Uncertain > 0 {
			o.end(Doubt)
		} else {
			o.end(Fail)
		}
		w.missed(mine)
	default:
		o.endWith(err)
	}
}

// reload loads one of the worker's own objects, which must be as it was left.
func (w *worker) reload(ctx context.Context, mine *owned) {
	o := &operation{w: w, since: time.Now()}
	n, err := o.load(ctx, mine.id)
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		w.missed(mine)
		return
	case err == nil:
		err = n.whole()
	}
	switch {
	case err != nil:
		w.violation("load %s, which is %s: %v", mine.id, mine.key, err)
	case n.Key != mine.key:
		w.violation("%s holds %s, and %s was stored there", mine.id, n.Key, mine.key)
	case n.By[w.name] != w.raised[n.Key]:
		w.violation("%s: lost update: raised %d times by %s, and %d times is what is there", n.Key, w.raised[n.Key], w.name, n.By[w.name])
	}
}

// visit goes to an object of anyone, chosen at random, and looks at it, raises it, or removes it.
func (w *worker) visit(ctx context.Context) {
	o := &operation{w: w, since: time.Now()}
	q := &persistence.Query{After: persistence.ID(strconv.FormatInt(w.random.Int64N(w.biggest+1), 10)), Limit: 1}
	var id persistence.ID
	err := o.do(ctx, func() error {
		for found, err := range w.s.List(ctx, q) {
			if err != nil {
				return err
			}
			id = found
		}
		return nil
	})
	if err != nil {
		w.violation("list: %v", err)
		return
	}
	if id == "" {
		return
	}
	n, err := o.load(ctx, id)
	if errors.Is(err, persistence.ErrNotFound) {
		return // removed since
	}
	if err == nil {
		err = n.sound()
	}
	if err == nil && n.Part != 0 && len(n.Peers) > 0 {
		n = n.Peers[0] // its graph came with it
		id = n.PersistentID()
	}
	if err == nil {
		err = n.whole()
	}
	if err != nil {
		w.violation("load %s: %v", id, err)
		return
	}
	switch {
	case n.Kind == graph && w.random.IntN(2) == 0:
		w.raise(ctx, id, nil)
	case n.Kind == note && w.random.IntN(4) == 0:
		w.take(ctx, n)
	}
}

// remove removes one of the worker's own objects.
func (w *worker) remove(ctx context.Context, mine *owned) {
	o := &operation{w: w, since: time.Now()}
	n, err := o.load(ctx, mine.id)
	switch {
	case err == nil:
		w.take(ctx, n)
		w.forget(mine)
	case errors.Is(err, persistence.ErrNotFound):
		w.missed(mine)
	default:
		w.violation("load %s, which is %s: %v", mine.id, mine.key, err)
	}
}

// take removes an object, all its nodes in one step.
func (w *worker) take(ctx context.Context, n *Node) {
	o := w.begin(Entry{Verb: Remove, Key: n.Key, Kind: n.Kind})
	var ids []persistence.ID
	for _, part := range n.all() {
		ids = append(ids, part.PersistentID())
	}
	err := o.do(ctx, func() error { return w.s.Remove(ctx, ids...) })
	switch {
	case err == nil:
		o.end(Ack)
	case errors.Is(err, persistence.ErrNotFound) && o.entry.Uncertain > 0:
		o.end(Doubt) // by this worker's first attempt, or by someone else
	case errors.Is(err, persistence.ErrNotFound):
		o.end(Fail)
		w.j.write(Entry{Worker: w.name, What: Missed, Key: n.Key})
	default:
		o.endWith(err)
	}
}

// missed notes that an object of the worker's own is gone: somebody must have removed it.
func (w *worker) missed(mine *owned) {
	if mine == nil {
		return
	}
	w.j.write(Entry{Worker: w.name, What: Missed, Key: mine.key})
	w.forget(mine)
}

func (w *worker) forget(mine *owned) {
	for i, o := range w.own {
		if o == mine {
			w.own = append(w.own[:i], w.own[i+1:]...)
			return
		}
	}
}
