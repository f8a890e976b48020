package stress

import (
	"fmt"

	"github.com/brine-go/brine/persistence"
)

// maxFindings bounds what a check tells: the first ones say enough.
const maxFindings = 30

// A Report is what a check has found.
type Report struct {
	Acked      map[string]int64 // by verb: operations acknowledged
	Doubt      int64            // operations that may have happened or not
	InFlight   int64            // operations cut off by the end of their client
	Failed     int64            // operations that surely did not happen, because somebody else had removed the object
	Uncertain  int64            // attempts that ended in ErrUncertain
	Lost       int64            // attempts of writes that ended in an error of the connection
	Loads      int64            // by clients that were not killed
	Conflicts  int64            // the same
	Cancelled  int64            // saves given up because their context had ended
	Records    int64            // in the store at the end
	Findings   []string         // what is wrong
	suppressed int
}

func (r *Report) find(format string, args ...any) {
	if len(r.Findings) >= maxFindings {
		r.suppressed++
		return
	}
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
}

// Acknowledged returns the number of writes acknowledged.
func (r *Report) Acknowledged() (n int64) {
	for _, verb := range r.Acked {
		n += verb
	}
	return n
}

// String returns the figures of the report, not its findings.
func (r *Report) String() string {
	return fmt.Sprintf("acknowledged %d (create %d, raise %d, replace %d, remove %d), in doubt %d, cut off %d, failed %d; "+
		"attempts uncertain %d, connection lost %d; loads %d, conflicts %d, cancelled %d; %d records at the end",
		r.Acknowledged(), r.Acked[Create], r.Acked[Raise], r.Acked[Replace], r.Acked[Remove], r.Doubt, r.InFlight, r.Failed,
		r.Uncertain, r.Lost, r.Loads, r.Conflicts, r.Cancelled, r.Records)
}

// span is how often a worker has raised an object: at least acked, at most begun times.
type span struct{ acked, begun int64 }

// history is all that the journals say of one object.
type history struct {
	kind      string
	ids       []persistence.ID // of an acknowledged create
	made      bool             // the create was acknowledged
	maybe     bool             // it was begun, and did not surely fail
	unsure    bool             // an attempt of it was uncertain: it may have been made, removed, and made again
	removed   int              // removes acknowledged
	removing  int              // removes that may have happened besides
	missed    bool             // somebody did not find it
	by        map[string]*span
	totals    map[int64]string // what N became -> who made it so
	revisions bool             // all its writes are raises, so that its revision follows
}

// book is what all the journals say.
type book struct {
	objects map[string]*history
	ids     map[persistence.ID]string // given to
	open    map[string]Entry          // by worker: the operation begun and not ended
	report  *Report
}

func newBook(r *Report) *book {
	return &book{objects: map[string]*history{}, ids: map[persistence.ID]string{}, open: map[string]Entry{}, report: r}
}

func (b *book) object(key string) *history {
	h := b.objects[key]
	if h == nil {
		h = &history{by: map[string]*span{}, totals: map[int64]string{}, revisions: true}
		b.objects[key] = h
	}
	return h
}

func (h *history) span(worker string) *span {
	s := h.by[worker]
	if s == nil {
		s = &span{}
		h.by[worker] = s
	}
	return s
}

// add takes in an entry. The entries of one worker come in their order.
func (b *book) add(e Entry) {
	switch e.What {
	case Violation:
		b.report.find("%s saw: %s", e.Worker, e.Text)
		return
	case Tally:
		b.report.Loads += e.Loads
		b.report.Conflicts += e.Conflicts
		b.report.Cancelled += e.Cancelled
		return
	case Missed:
		b.object(e.Key).missed = true
		return
	case Begin:
		if was, ok := b.open[e.Worker]; ok {
			b.report.find("journal: %s begins %d before the end of %d", e.Worker, e.Op, was.Op)
		}
		b.open[e.Worker] = e
		h := b.object(e.Key)
		switch e.Verb {
		case Create:
			h.kind = e.Kind
		case Replace:
			h.revisions = false
		}
		return
	}
	if was := b.open[e.Worker]; was.Op != e.Op || was.Verb != e.Verb {
		b.report.find("journal: %s ends %s %d, which it had not begun", e.Worker, e.Verb, e.Op)
		return
	}
	delete(b.open, e.Worker)
	b.report.Uncertain += int64(e.Uncertain)
	b.report.Lost += int64(e.Lost)
	switch e.What {
	case Ack:
		b.report.Acked[e.Verb]++
		b.ack(e)
	case Fail:
		b.report.Failed++
		if e.Verb != Create { // of a create the worker has written a violation
			b.object(e.Key).missed = true
		}
	case Doubt:
		b.report.Doubt++
		b.mayHave(e)
	}
}

func (b *book) ack(e Entry) {
	h := b.object(e.Key)
	switch e.Verb {
	case Create:
		h.made, h.maybe, h.ids, h.unsure = true, true, e.IDs, e.Uncertain > 0
		for _, id := range e.IDs {
			if other, dup := b.ids[id]; dup {
				b.report.find("the ID %s was given twice: to %s and to %s", id, other, e.Key)
			}
			b.ids[id] = e.Key
		}
	case Raise, Replace:
		s := h.span(e.Worker)
		s.acked, s.begun = e.Value, e.Value
		if e.Total != 0 {
			if other, dup := h.totals[e.Total]; dup {
				b.report.find("%s: lost update: %s and %s both raised it to %d", e.Key, other, e.Worker, e.Total)
			}
			h.totals[e.Total] = e.Worker
		}
	case Remove:
		h.removed++
	}
}

// mayHave takes in an operation that may have happened.
func (b *book) mayHave(e Entry) {
	h := b.object(e.Key)
	switch e.Verb {
	case Create:
		h.maybe, h.unsure = true, true
	case Raise, Replace:
		s := h.span(e.Worker)
		s.begun = max(s.begun, e.Value)
	case Remove:
		h.removing++
	}
}

// close ends the operations that were cut off.
func (b *book) close() {
	for _, e := range b.open {
		b.report.InFlight++
		b.mayHave(e)
	}
	for key, h := range b.objects {
		if h.removed > 1 && !h.unsure {
			b.report.find("%s was removed %d times", key, h.removed)
		}
		if h.missed && h.removed+h.removing == 0 && h.maybe {
			b.report.find("%s was not found by somebody, and nobody had removed it", key)
		}
	}
}
