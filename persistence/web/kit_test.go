package web_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/all"
	"github.com/brine-go/brine/persistence/web"
)

func TestMain(m *testing.M) {
	testserver.Main(m, func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// A Task is what most tests store.
type Task struct {
	persistence.Persistable
	Name     string
	State    string
	Priority int
	Due      time.Time
	Deps     []*Task
	Next     persistence.Ref[Task]
	Note     map[string]any
}

func init() { persistence.Register[Task]("web.Task") }

func fields() []extrafields.Field {
	return []extrafields.Field{
		extrafields.Of("name", func(t *Task) string { return t.Name }),
		extrafields.Of("priority", func(t *Task) int { return t.Priority }).Indexed(),
		extrafields.Of("due", func(t *Task) time.Time { return t.Due }),
	}
}

// backends runs a test on a store of each backend that differs for a reader.
func backends(t *testing.T, test func(t *testing.T, s *persistence.Store)) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{"mem", "fs", "sqlite", "postgres", "mariadb"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, storeURL(t, name), &persistence.Options{ExtraFields: fields()}))
		})
	}
}

func storeURL(t testing.TB, backend string) string {
	t.Helper()
	switch backend {
	case "fs":
		return "file:" + filepath.Join(t.TempDir(), "store")
	case "sqlite":
		return "sqlite:" + filepath.Join(t.TempDir(), "store.db")
	case "postgres":
		s := testserver.SharedPostgres(t)
		return s.URL(s.NewDB(t))
	case "mariadb":
		s := testserver.SharedMariaDB(t)
		return s.URL(s.NewDB(t))
	}
	return "mem:"
}

func open(t testing.TB, url string, o *persistence.Options) *persistence.Store {
	t.Helper()
	if o == nil {
		o = &persistence.Options{}
	}
	o.Logger = slog.New(slog.DiscardHandler)
	s, err := persistence.MakeStore(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// save saves objects and returns the IDs.
func save(t testing.TB, s *persistence.Store, objs ...any) []persistence.ID {
	t.Helper()
	ids, err := s.SaveAll(context.Background(), objs...)
	check(t, err)
	return ids
}

// An answer is what a page said.
type answer struct {
	code   int
	header http.Header
	body   string
}

// ask sends a GET for a page, as a browser on this machine does.
func ask(t testing.TB, h http.Handler, path string) answer {
	t.Helper()
	return send(t, h, http.MethodGet, "127.0.0.1:8080", path)
}

func send(t testing.TB, h http.Handler, method, host, path string) answer {
	t.Helper()
	path, _, _ = strings.Cut(path, "#") // which a browser keeps
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	res := w.Result()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	check(t, err)
	return answer{res.StatusCode, res.Header, string(b)}
}

// page asks for a page and expects it.
func page(t testing.TB, h http.Handler, path string) string {
	t.Helper()
	a := ask(t, h, path)
	if a.code != http.StatusOK {
		t.Fatalf("%s: %d: %s", path, a.code, text(a.body))
	}
	return a.body
}

func wants(t testing.TB, body string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(body, w) {
			t.Errorf("the page does not have %q: %s", w, text(body))
		}
	}
}

var (
	tags   = regexp.MustCompile(`(?s)<[^>]*>`)
	blanks = regexp.MustCompile(`\s+`)
)

// text returns what a page says without its tags.
func text(body string) string {
	if i := strings.Index(body, "<main"); i >= 0 {
		body = body[i:]
	}
	return strings.TrimSpace(blanks.ReplaceAllString(tags.ReplaceAllString(body, " "), " "))
}

var rowKey = regexp.MustCompile(`<tr data-key="([^"]*)">`)

// rows returns the keys of the rows of a page, in their order.
func rows(body string) []string {
	var keys []string
	for _, m := range rowKey.FindAllStringSubmatch(body, -1) {
		keys = append(keys, m[1])
	}
	return keys
}

// linkTo returns the address of the link with a relation, or "".
func linkTo(body, rel string) string {
	m := regexp.MustCompile(`<a href="([^"]*)" rel="` + rel + `"`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return "/" + strings.ReplaceAll(m[1], "&amp;", "&")
}

var dotNodes = regexp.MustCompile(`(?m)^\t([nm]\d+) \[.*label="([^"]*)".*class="([^"]*)".*URL="([^"]*)"`)

// draw stands for Graphviz: it draws a box for each node, one below the other.
func draw(dot []byte) ([]byte, error) {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="100pt" height="100pt"><g id="graph0" class="graph">`)
	for i, m := range dotNodes.FindAllStringSubmatch(string(dot), -1) {
		fmt.Fprintf(&b, `<g id="%s" class="node %s"><title>%s</title><a xlink:href="%s"><polygon points="0,%d 9,9"/><text x="1" y="%d">%s</text></a></g>`,
			m[1], m[3], m[1], m[4], i, i, m[2])
	}
	b.WriteString("</g></svg>")
	return []byte(b.String()), nil
}

func handler(s *persistence.Store) http.Handler { return web.Handler(s, &web.Options{Draw: draw}) }

// query makes a query string of names and values in turn.
func query(path string, parameters ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		v.Add(parameters[i], parameters[i+1])
	}
	return path + "?" + v.Encode()
}
