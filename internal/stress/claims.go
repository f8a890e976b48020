package stress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence"
)

// A Task is what claimants look for: it is to be done once.
type Task struct {
	persistence.Persistable
	Key   string
	State string // open or closed
	Done  int    // how often it was done
}

const (
	open   = "open"
	closed = "closed"
)

func init() { persistence.Register[Task]("stress.Task") }

// ClaimConfig says what one claimant does.
type ClaimConfig struct {
	Name  string // unique among all
	Limit int    // tasks claimed at once
	Lease time.Duration
	Work  time.Duration // how long a task takes at most
}

// PrepareTasks stores so many tasks.
func PrepareTasks(ctx context.Context, s *persistence.Store, n int) error {
	objs := make([]any, n)
	for i := range objs {
		objs[i] = &Task{Key: fmt.Sprint("task ", i), State: open}
	}
	_, err := s.SaveAll(ctx, objs...)
	return err
}

// Claim claims tasks and does them until none is open any more, or stop is closed. The journal
// tells when it held what; what goes wrong is written there too. It goes on by itself when its
// server goes away.
func Claim(ctx context.Context, s *persistence.Store, j *Journal, cfg ClaimConfig, stop <-chan struct{}) error {
	w := &claimant{s: s, j: j, cfg: cfg}
	for !w.over {
		select {
		case <-stop:
			w.over = true
		default:
			w.round(ctx)
		}
	}
	j.write(Entry{Worker: cfg.Name, What: Tally, Conflicts: w.late, Cancelled: w.away})
	return j.Err()
}

// claimant is one who claims.
type claimant struct {
	s          *persistence.Store
	j          *Journal
	cfg        ClaimConfig
	over       bool
	late, away int64 // times that it came too late, or that the server was away
}

func (w *claimant) tell(what string, c *persistence.Claim, text string) {
	e := Entry{Worker: w.cfg.Name, What: what, Text: text, At: time.Now().UnixMicro()}
	if c != nil {
		e.Key, e.Value, e.Until = string(c.ID()), c.Token(), c.Until().UnixMicro()
	}
	w.j.write(e)
}

// failed reports whether there was an error, after which the claimant lets go of what it was about
// to do.
func (w *claimant) failed(what string, c *persistence.Claim, err error) bool {
	switch {
	case err == nil:
		return false
	case c != nil && errors.Is(err, persistence.ErrConflict):
		w.late++
		w.tell(Late, c, what)
	case Definite(err):
		w.tell(Violation, c, what+": "+err.Error())
		w.over = true
	default:
		w.away++
		time.Sleep(rand.N(20 * time.Millisecond))
	}
	return true
}

func (w *claimant) round(ctx context.Context) {
	q := &persistence.Query{State: []string{open}}
	claims, err := w.s.Claim(ctx, q, persistence.ClaimOptions{Owner: w.cfg.Name, Lease: w.cfg.Lease, Limit: w.cfg.Limit})
	if w.failed("claim", nil, err) {
		return
	}
	if len(claims) == 0 {
		left, err := w.s.Count(ctx, q)
		if !w.failed("count", nil, err) && left == 0 {
			w.over = true
		}
		time.Sleep(rand.N(10 * time.Millisecond)) // what is left is held by others
		return
	}
	for _, c := range claims {
		w.tell(Hold, c, "")
	}
	for _, c := range claims {
		w.do(ctx, c)
	}
}

func (w *claimant) do(ctx context.Context, c *persistence.Claim) {
	if rand.IntN(4) == 0 {
		if w.failed("extend", c, c.Extend(ctx, w.cfg.Lease)) {
			return
		}
		w.tell(Hold, c, "")
	}
	task, err := persistence.LoadClaimed[Task](ctx, c)
	if w.failed("load", c, err) {
		return
	}
	if w.cfg.Work > 0 {
		time.Sleep(rand.N(w.cfg.Work))
	}
	if rand.IntN(20) == 0 { // changes its mind
		w.tell(Drop, c, "")
		w.failed("release", c, c.Release(ctx))
		return
	}
	task.Done++
	task.State = closed
	w.tell(Drop, c, "")
	if !w.failed("done", c, c.Complete(ctx, task)) {
		w.tell(Ack, c, "")
	}
}

// A ClaimReport is what a check of claimants has found.
type ClaimReport struct {
	Holds    int64 // claims held
	Acked    int64 // tasks acknowledged as done
	Late     int64 // writes refused because somebody else had claimed
	Away     int64 // by claimants that were not killed: calls that met no server
	Findings []string
}

// String returns the figures.
func (r *ClaimReport) String() string {
	return fmt.Sprintf("%d claims, %d done and acknowledged, %d refused for coming late, %d calls without a server", r.Holds, r.Acked, r.Late, r.Away)
}

// A hold is one claim of one task.
type hold struct {
	worker           string
	token            int64
	from, until, end int64 // microseconds: when it was known to hold, until when it was to hold, when it was given up (0: never)
}

// last returns when the claim surely held last.
func (h *hold) last() int64 {
	if h.end != 0 {
		return min(h.until, h.end)
	}
	return h.until
}

// CheckClaims reads the store and the journals of all claimants. No claimant may still run. It
// tells what is wrong: a task that is not done or was done twice, a token given twice, two who held
// the same task at the same time.
func CheckClaims(ctx context.Context, s *persistence.Store, tasks int, journals ...string) (*ClaimReport, error) {
	r := &ClaimReport{}
	find := func(format string, args ...any) { r.Findings = append(r.Findings, fmt.Sprintf(format, args...)) }
	held := map[string]map[int64]*hold{} // by ID and token
	for _, path := range journals {
		err := readJournal(path, func(e Entry) {
			switch e.What {
			case Violation:
				find("%s saw: %s", e.Worker, e.Text)
			case Tally:
				r.Away += e.Cancelled
			case Late:
				r.Late++
			case Ack:
				r.Acked++
			case Hold, Drop:
				h := held[e.Key][e.Value]
				switch {
				case h == nil:
					if held[e.Key] == nil {
						held[e.Key] = map[int64]*hold{}
					}
					held[e.Key][e.Value] = &hold{worker: e.Worker, token: e.Value, from: e.At, until: e.Until}
					r.Holds++
				case h.worker != e.Worker:
					find("the token %d of %s was given to %s and to %s", e.Value, e.Key, h.worker, e.Worker)
				case e.What == Hold:
					h.until = e.Until
				default:
					h.end = e.At
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(held)) {
		findOverlaps(id, slices.Collect(maps.Values(held[id])), find)
	}
	n := 0
	for task, err := range persistence.All[Task](ctx, s, nil) {
		if err != nil {
			return nil, err
		}
		if n++; task.Done != 1 || task.State != closed {
			find("%s is %s, and was done %d times", task.Key, task.State, task.Done)
		}
	}
	if n != tasks {
		find("%d tasks are there, of %d", n, tasks)
	}
	if r.Acked > int64(tasks) {
		find("%d tasks were acknowledged as done, of %d", r.Acked, tasks)
	}
	for c, err := range s.Claims(ctx) {
		if err != nil {
			return nil, err
		}
		find("%s is done, and still claimed by %s", c.ID(), c.Owner())
	}
	return r, nil
}

// findOverlaps reports each two workers who held a task at the same time.
func findOverlaps(id string, hs []*hold, find func(format string, args ...any)) {
	slices.SortFunc(hs, func(a, b *hold) int { return cmp.Compare(a.token, b.token) })
	for i, later := range hs {
		for _, earlier := range hs[:i] {
			if later.from < earlier.last() && earlier.from < later.last() {
				find("%s was held by %s (token %d) until %d, and by %s (token %d) from %d on",
					id, earlier.worker, earlier.token, earlier.last(), later.worker, later.token, later.from)
			}
		}
	}
}
