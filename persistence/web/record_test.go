package web_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/web"
)

func TestEveryPageShowsTheStore(t *testing.T) {
	backends(t, func(t *testing.T, s *persistence.Store) {
		ctx := t.Context()
		b := &Task{Name: "compile", State: "DONE", Priority: 3}
		c := &Task{Name: "test", State: "FAILED"}
		save(t, s, c)
		a := &Task{Name: "all", State: "RUNNING", Due: day, Deps: []*Task{b, c}, Next: persistence.RefTo(c), Note: map[string]any{"log": "line 1\nline 2", "n": 7}}
		id := save(t, s, a)[0]
		gone := &Task{Name: "gone"}
		lonely := save(t, s, &Task{Name: "lonely", State: "NEW", Deps: []*Task{gone}})[0]
		check(t, s.Remove(ctx, gone.PersistentID()))
		check(t, s.KV().Set(ctx, "version", int64(42)))
		check(t, s.KV().Set(ctx, "who", map[string]any{"name": "me"}))
		claims, err := s.Claim(ctx, &persistence.Query{State: []string{"RUNNING"}}, persistence.ClaimOptions{Owner: "worker 7", Lease: time.Hour})
		check(t, err)
		if len(claims) != 1 {
			t.Fatalf("%d claims", len(claims))
		}
		away := save(t, s, &Task{Name: "away"})[0]
		check(t, s.Quarantine(ctx, "looked odd", away))
		h := handler(s)

		wants(t, text(page(t, h, "/")), "4 records", "DONE 1 25.0 %", "web.Task 4", "priority int yes yes web.Task", "name text no yes web.Task")
		wants(t, text(page(t, h, "/records")), "compile", "RUNNING", "2026-11-27 00:00:00")
		body := page(t, h, query("/record", "id", string(id)))
		wants(t, text(body), "web.Task "+string(id)+" RUNNING", "Claimed by worker 7 until", "priority 0", "due 2026-11-27 00:00:00",
			"Deps 2 elements", "web.Task DONE", "web.Task FAILED", "lazy", "line 1 line 2", "n 7", "Refers to")
		wants(t, body, "record?id="+string(b.PersistentID()), "<pre class=\"text\">line 1\nline 2</pre>")
		wants(t, text(page(t, h, query("/record", "id", string(lonely)))), string(gone.PersistentID())+" missing")
		wants(t, text(page(t, h, query("/record", "id", string(c.PersistentID()), "referrers", "1"))), "Referred to by "+string(id)+" web.Task RUNNING")
		wants(t, text(page(t, h, query("/record", "id", string(lonely), "referrers", "1"))), "Nothing refers to it")
		graph := page(t, h, query("/graph", "id", string(id)))
		wants(t, text(graph), "Task "+string(id), "Task "+string(b.PersistentID()))
		wants(t, graph, `class="node c3 centre"`, `class="node c1"`, `class="node c2"`)
		wants(t, text(page(t, h, query("/graph", "id", string(lonely)))), "missing "+string(gone.PersistentID()))
		wants(t, text(page(t, h, "/pairs")), "version 42", "who", "me")
		wants(t, text(page(t, h, "/pairs?prefix=w")), "who")
		if got := rows(page(t, h, "/pairs?prefix=w")); len(got) != 1 {
			t.Errorf("pairs of a prefix: %v", got)
		}
		wants(t, text(page(t, h, "/claims")), string(id)+" web.Task RUNNING worker 7")
		wants(t, text(page(t, h, "/quarantine")), string(away)+" web.Task looked odd", "yes")

		answer := ask(t, h, query("/record.json", "id", string(id)))
		rec, err := s.Record(ctx, id)
		check(t, err)
		want, err := rec.MarshalJSON()
		check(t, err)
		if answer.header.Get("Content-Type") != "application/json; charset=utf-8" || strings.TrimSpace(answer.body) != string(want) || !json.Valid([]byte(answer.body)) {
			t.Errorf("the JSON is %s of %s, want %s", answer.body, answer.header.Get("Content-Type"), want)
		}
	})
}

func TestLongTextsOfColumnsAreWholeOnThePageOfTheirRecord(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", &persistence.Options{ExtraFields: fields()})
	long := strings.Repeat("long name ", 40) + "end"
	id := save(t, s, &Task{Name: long})[0]
	h := handler(s)
	wants(t, page(t, h, query("/record", "id", string(id))), `>`+long+`</bdi></td>`)
	wants(t, page(t, h, "/records"), `title="`+long+`"`, `>`+long[:60]+`…</bdi></td>`)
}

func TestAnEmptyStoreIsShown(t *testing.T) {
	backends(t, func(t *testing.T, s *persistence.Store) {
		h := handler(s)
		wants(t, text(page(t, h, "/")), "0 records", "The store is empty")
		wants(t, text(page(t, h, "/records")), "No record is there")
		wants(t, text(page(t, h, "/records?c=state&o=eq&v=x")), "No record matches")
		wants(t, text(page(t, h, "/records?c=name&o=eq&v=x")), "No record matches")
		wants(t, text(page(t, h, "/count")), "0 records")
		wants(t, text(page(t, h, "/pairs")), "There are no pairs")
		wants(t, text(page(t, h, "/claims")), "Nothing is claimed")
		wants(t, text(page(t, h, "/quarantine")), "The quarantine is empty")
	})
}

func TestADamagedRecordIsShownAsDamaged(t *testing.T) {
	t.Parallel()
	url := storeURL(t, "sqlite")
	s := open(t, url, &persistence.Options{ExtraFields: fields()})
	bad := &Task{Name: "bad", State: "NEW"}
	good := save(t, s, &Task{Name: "good", State: "DONE", Deps: []*Task{bad}})[0]
	db, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	check(t, err)
	defer db.Close()
	_, err = db.Exec("UPDATE store SET data = ? WHERE id = ?", []byte("\x94\x01nonsense"), string(bad.PersistentID()))
	check(t, err)
	h := handler(s)
	if got := rows(page(t, h, "/records")); len(got) != 2 {
		t.Errorf("rows %v", got)
	}
	wants(t, text(page(t, h, "/")), "2 records")
	body := page(t, h, query("/record", "id", string(bad.PersistentID()), "referrers", "1"))
	wants(t, text(body), "This record cannot be read", "corrupt", "NEW", "Referred to by "+string(good))
	wants(t, text(page(t, h, query("/record", "id", string(good)))), "good", string(bad.PersistentID())+" web.Task NEW")
	wants(t, text(page(t, h, query("/graph", "id", string(good)))), "Task "+string(bad.PersistentID()), "not read")
	wants(t, text(page(t, h, query("/graph", "id", string(bad.PersistentID())))), "not read")
	a := ask(t, h, query("/record.json", "id", string(bad.PersistentID())))
	if a.code != http.StatusBadRequest || !strings.Contains(a.body, "cannot be read") {
		t.Errorf("the JSON: %d %s", a.code, text(a.body))
	}
}

// Knot has values that refer to themselves and each other.
type Knot struct {
	persistence.Persistable
	Self  *Inner
	Twice [2]*Inner
	Deep  any
	Many  []int
	Bytes []byte
	Text  string
	Times map[time.Time]int
}

type Inner struct {
	Name string
	Me   *Inner
}

func TestValuesOfAnyShapeAreShown(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	self := &Inner{Name: "ring"}
	self.Me = self
	shared := &Inner{Name: "both"}
	k := &Knot{
		Self: self, Twice: [2]*Inner{shared, shared}, Many: make([]int, 1200), Bytes: make([]byte, 5000),
		Text: strings.Repeat("x", 1<<20), Times: map[time.Time]int{day: 1},
	}
	var deep any = "bottom"
	for range 500 {
		deep = []any{deep}
	}
	k.Deep = deep
	id := save(t, s, k)[0]
	body := page(t, handler(s), query("/record", "id", string(id)))
	wants(t, text(body), "in which it stands", "is the same as", "1,200 elements", "700 more: see the JSON", "5 kB", "(1.05 MB)", "2026-11-27T00:00:00Z")
	if len(body) > 1<<20 {
		t.Errorf("the page has %d bytes", len(body))
	}
	if n := strings.Count(body, "<details"); n > 80 {
		t.Errorf("%d parts that unfold", n)
	}
}

func TestALargeRecordIsShownWhenAsked(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	id := save(t, s, &Task{Name: "large", Note: map[string]any{"bytes": make([]byte, 5<<20)}})[0]
	h := handler(s)
	body := page(t, h, query("/record", "id", string(id)))
	wants(t, text(body), "This record is large", "5.24 MB", "Show it all the same")
	if strings.Contains(body, `class="tree"`) {
		t.Error("it is shown")
	}
	wants(t, page(t, h, query("/record", "id", string(id), "whole", "1")), `class="tree"`)
}

// A slowReader takes no answer until it is told to.
type slowReader struct {
	*httptest.ResponseRecorder
	started chan<- struct{}
	goOn    <-chan struct{}
}

func (r slowReader) Write(b []byte) (int, error) {
	r.started <- struct{}{}
	<-r.goOn
	return r.ResponseRecorder.Write(b)
}

func TestFewLargeRecordsAreReadAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	large := query("/record.json", "id", string(save(t, s, &Task{Note: map[string]any{"bytes": make([]byte, 5<<20)}})[0]))
	small := query("/record.json", "id", string(save(t, s, &Task{})[0]))
	h := web.Handler(s, &web.Options{TimeLimit: 2 * time.Second, Draw: draw})
	started, goOn := make(chan struct{}, 4), make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, large, nil)
			r.Host = "localhost"
			h.ServeHTTP(slowReader{httptest.NewRecorder(), started, goOn}, r)
		})
		<-started
	}
	for _, path := range []string{large, strings.Replace(large, "record.json", "record", 1) + "&whole=1", strings.Replace(large, "record.json", "graph", 1)} {
		if a := ask(t, h, path); a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "This takes too long") {
			t.Errorf("%s while two are read: %d", path, a.code)
		}
	}
	for _, path := range []string{small, strings.Replace(large, "record.json", "record", 1)} {
		if a := ask(t, h, path); a.code != http.StatusOK {
			t.Errorf("%s: %d", path, a.code)
		}
	}
	close(goOn)
	readers.Wait()
	if a := ask(t, h, large); a.code != http.StatusOK || len(a.body) < 5<<20 {
		t.Errorf("after that: %d, %d bytes", a.code, len(a.body))
	}
}

func TestLongValuesOfPairsAreWhole(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	value := strings.Repeat("a long value, ", 15) + "and its end"
	check(t, s.KV().Set(t.Context(), "key", value))
	wants(t, page(t, handler(s), "/pairs"), "<bdi>"+value+"</bdi></td>")
}

func TestManyReferencesAreFoldedUp(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	h := handler(s)
	for n, folded := range map[int]bool{30: false, 31: true, 1000: true} {
		task := &Task{}
		for range n {
			task.Deps = append(task.Deps, &Task{})
		}
		body := page(t, h, query("/record", "id", string(save(t, s, task)[0])))
		_, section, _ := strings.Cut(body, `id="h-refs"`)
		section, _, _ = strings.Cut(section, "</section>")
		if got := strings.Contains(section, "<details><summary>"); got != folded {
			t.Errorf("%d references: folded up: %t", n, got)
		}
		if n == 1000 {
			wants(t, text(section), "1,000 records", "and 700 more")
		}
	}
}

func TestNoPageHasAPassword(t *testing.T) {
	t.Parallel()
	const password = "s3cret-w0rd"
	server := testserver.Postgres(t, testserver.TCP(), testserver.Password("reader", password))
	url := "postgres://reader:" + password + "@" + server.TCP() + "/" + server.NewDB(t) + "?sslmode=disable"
	s := open(t, url, nil)
	id := save(t, s, &Task{Name: "a"})[0]
	h := web.Handler(s, &web.Options{TimeLimit: 600 * time.Millisecond})
	paths := []string{"/", "/records", "/count", query("/record", "id", string(id)), query("/graph", "id", string(id)), query("/record.json", "id", string(id)), "/pairs", "/claims", "/quarantine"}
	patient := web.Handler(s, nil) // however slow the machine is
	for _, path := range paths {
		if strings.Contains(page(t, patient, path), password) || strings.Contains(ask(t, h, path).body, password) {
			t.Errorf("%s has the password", path)
		}
	}
	server.Kill()
	time.Sleep(1100 * time.Millisecond) // until the counts are too old
	for _, path := range paths {
		a := ask(t, h, path)
		if a.code < 500 || !strings.Contains(a.body, `id="problem"`) {
			t.Errorf("%s of a server that is gone: %d: %s", path, a.code, text(a.body))
		}
		if strings.Contains(a.body, password) {
			t.Errorf("%s has the password: %s", path, text(a.body))
		}
	}
}

func TestThePagesAreForManyAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, storeURL(t, "sqlite"), &persistence.Options{ExtraFields: fields()})
	hundred(t, s)
	h := handler(s)
	done := make(chan error)
	for i := range 8 {
		go func() {
			for j := range 20 {
				path := all[(i+j)%len(all)]
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
				r.Host = "localhost"
				w := &discard{header: http.Header{}}
				h.ServeHTTP(w, r)
				if w.code != 200 && w.code != 0 {
					done <- fmt.Errorf("%s: %d", path, w.code)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A discard is a http.ResponseWriter that keeps the status alone.
type discard struct {
	header http.Header
	code   int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(code int)        { d.code = code }
