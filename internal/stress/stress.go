// Package stress puts a store under load and proves afterwards that nothing was lost.
//
// [Run] is a client: goroutines that save, load, replace and remove objects of one store, and raise
// counters under revision control. Before each operation that writes, a client says in its
// [Journal] what it is about to do, and after it what came of it. When all clients have ended, or
// were killed, [Check] reads the journals and the store and finds whatever is in one and not in the
// other.
//
// A client goes on by itself when its server goes away: see [Definite] for what it does with an
// error.
package stress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/brine-go/brine/persistence"
)

// Config says what one client does.
type Config struct {
	Name       string           // of the client; unique among all that share the store and its journals
	Goroutines int              // default 4
	Hot        []persistence.ID // the objects of Prepare, which all clients raise
	Strict     bool             // nothing goes wrong with the server: an error that is not Definite is a violation
	Cancel     bool             // some calls get a context that ends in the middle of them
	RetryFor   time.Duration    // how long an operation is repeated while the server is away; default 60s
	Keep       int              // objects that each goroutine keeps of its own, about; default 30
}

// Run puts the store under load until stop is closed, and then finishes the operations under way.
// What goes wrong is written to the journal, where Check finds it; the error is of the journal
// alone.
func Run(ctx context.Context, s *persistence.Store, j *Journal, cfg Config, stop <-chan struct{}) error {
	if cfg.Goroutines <= 0 {
		cfg.Goroutines = 4
	}
	if cfg.RetryFor <= 0 {
		cfg.RetryFor = time.Minute
	}
	if cfg.Keep <= 0 {
		cfg.Keep = 30
	}
	var wg sync.WaitGroup
	for g := range cfg.Goroutines {
		wg.Go(func() {
			w := newWorker(s, j, cfg, g)
			for !w.over && ctx.Err() == nil {
				select {
				case <-stop:
					w.over = true
				default:
					w.step(ctx)
				}
			}
			j.write(Entry{Worker: w.name, What: Tally, Loads: w.loads, Conflicts: w.conflicts, Cancelled: w.cancelled})
		})
	}
	wg.Wait()
	return j.Err()
}

// Prepare stores objects that every client is to raise, and that none removes: single counters and
// graphs.
func Prepare(ctx context.Context, s *persistence.Store, j *Journal, counters, graphs int) ([]persistence.ID, error) {
	w := newWorker(s, j, Config{Name: "setup", Strict: true}, 0)
	var ids []persistence.ID
	for i := range counters + graphs {
		kind := counter
		if i >= counters {
			kind = graph
		}
		o := w.create(ctx, kind)
		if o == nil {
			return nil, fmt.Errorf("the %s for all could not be stored: see the journal", kind)
		}
		ids = append(ids, o.id)
	}
	return ids, j.Err()
}

// worker is one goroutine of a client.
type worker struct {
	s      *persistence.Store
	j      *Journal
	cfg    Config
	name   string
	random *rand.Rand

	ops     int64            // operations begun
	keys    int64            // objects made
	own     []*owned         // those of them that are there, as far as the worker knows
	raised  map[string]int64 // by key: how often the worker has raised the object
	biggest int64            // the highest ID it was given
	over    bool

	loads, conflicts, cancelled int64
}

// owned is an object that the worker has made.
type owned struct {
	key  string
	kind string
	id   persistence.ID
}

func newWorker(s *persistence.Store, j *Journal, cfg Config, g int) *worker {
	return &worker{s: s, j: j, cfg: cfg, name: fmt.Sprintf("%s.%d", cfg.Name, g),
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), raised: map[string]int64{}}
}

// step does one operation, chosen at random.
func (w *worker) step(ctx context.Context) {
	if len(w.own) < 3 || len(w.own) < w.cfg.Keep && w.random.IntN(4) == 0 {
		w.create(ctx, w.pick(note, note, note, graph))
		return
	}
	mine := w.own[w.random.IntN(len(w.own))]
	switch n := w.random.IntN(100); {
	case n < 35 && len(w.cfg.Hot) > 0:
		w.raise(ctx, w.cfg.Hot[w.random.IntN(len(w.cfg.Hot))], nil)
	case n < 50:
		w.raise(ctx, mine.id, mine)
	case n < 60 && mine.kind == note:
		w.replace(ctx, mine)
	case n < 75:
		w.reload(ctx, mine)
	case n < 90:
		w.visit(ctx)
	default:
		w.remove(ctx, mine)
	}
}

func (w *worker) pick(kinds ...string) string { return kinds[w.random.IntN(len(kinds))] }
