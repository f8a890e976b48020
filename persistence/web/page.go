package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/brine-go/brine/persistence"
)

//go:embed templates static
var files embed.FS

// assetVersion stands in the addresses of the style sheet and the script, which browsers may keep.
var assetVersion = func() string {
	h := sha256.New()
	for _, name := range []string{"style.css", "live.js", "icon.svg"} {
		b, err := files.ReadFile("static/" + name)
		if err != nil {
			panic(err)
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

func serveAsset(name string) http.HandlerFunc {
	b, err := files.ReadFile("static/" + name)
	if err != nil {
		panic(err)
	}
	contentType := mime.TypeByExtension(path.Ext(name))
	if name == "live.js" {
		contentType = "text/javascript; charset=utf-8"
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if r.URL.Query().Get("v") == assetVersion {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		_, _ = w.Write(b)
	}
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"cell":    func(s string) string { return cut(cellLength, s) },
	"label":   func(s string) string { return cut(labelLength, s) },
	"full":    func(s string) string { return cut(valueLength, s) },
	"lines":   lines,
	"json":    escaped,
	"key":     url.QueryEscape, // tells one row of a list from another
	"number":  grouped,
	"size":    bytesText,
	"time":    timeText,
	"seconds": seconds,
	"value":   showValue,
	"colour":  colourClass,
	"exact":   func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"record":  recordLink,
	"graph":   func(id persistence.ID) string { return graphQuery{id: id}.link() },
	"version": func() string { return assetVersion },
}).ParseFS(files, "templates/*.html"))

// A view is what a page shows.
type view struct {
	name  string // of the template
	title string
	nav   string // the entry of the navigation that is the current one
	live  bool   // the page is read again by itself
	data  any
}

// A page reads what a request asks for. ctx ends with the request or its time limit.
type page func(ctx context.Context, r *http.Request) (*view, error)

// A layout is what the frame of each page shows.
type layout struct {
	Site, Title, Nav string
	Live             bool
	Now              time.Time
	Data             any
}

func (s *site) serve(f page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.timeLimit)
		defer cancel()
		var v *view
		err := readable(r)
		if err == nil {
			v, err = f(ctx, r)
		}
		status := http.StatusOK
		if err != nil {
			status, v = s.problem(ctx, err)
		}
		s.write(w, status, v)
	}
}

func (s *site) write(w http.ResponseWriter, status int, v *view) {
	var b bytes.Buffer
	l := layout{Site: cut(cellLength, s.title), Title: v.title, Nav: v.nav, Live: v.live, Now: time.Now(), Data: v.data}
	if err := templates.ExecuteTemplate(&b, v.name, l); err != nil {
		http.Error(w, "The page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// answers returns an error if the store does not answer. It is asked where the time was up before
// anything was found: that may be because there is much to look at, or because nobody is there.
func (s *site) answers(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, min(s.timeLimit/4, 2*time.Second))
	defer cancel()
	return s.store.Ping(limited)
}

// A badRequest is an error in what the request asks for.
type badRequest struct{ text string }

func (e badRequest) Error() string { return e.text }

func badRequestf(format string, args ...any) error { return badRequest{fmt.Sprintf(format, args...)} }

var errNoPage = errors.New("there is no such page")

// A problemPage says what happened, and what can be done.
type problemPage struct {
	Heading, Text, Advice string
}

// problem returns the page of an error, and its status. An error of the store names the store by
// its URL without the password.
func (s *site) problem(ctx context.Context, err error) (int, *view) {
	status, p := http.StatusInternalServerError, problemPage{
		Heading: "The store could not be read", Text: err.Error(),
		Advice: "Is the database there, and may this program read it? The page works again as soon as the store does.",
	}
	bad, isBad := errors.AsType[badRequest](err)
	switch {
	case errors.Is(err, errNoPage):
		status, p = http.StatusNotFound, problemPage{Heading: "There is no such page"}
	case isBad:
		status, p = http.StatusBadRequest, problemPage{Heading: "This cannot be asked", Text: bad.text}
	case isQueryError(err):
		status, p = http.StatusBadRequest, problemPage{Heading: "This cannot be asked", Text: err.Error()}
	case ctx.Err() != nil:
		status, p = http.StatusServiceUnavailable, problemPage{
			Heading: "This takes too long",
			Text:    "It was not done after " + seconds(s.timeLimit) + ", and was given up: " + err.Error(),
			Advice:  "A filter or an order by a column without an index reads every record. Filter by the state or by an indexed column first.",
		}
	case errors.Is(err, persistence.ErrNotFound):
		status, p = http.StatusNotFound, problemPage{
			Heading: "There is no such record", Text: err.Error(),
			Advice: "It may have been removed, or put into quarantine.",
		}
	case errors.Is(err, persistence.ErrClosed):
		status, p.Heading, p.Advice = http.StatusServiceUnavailable, "The store is closed", ""
	case errors.Is(err, errors.ErrUnsupported):
		status, p.Heading, p.Advice = http.StatusNotImplemented, "This store cannot do that", ""
	}
	p.Text = cut(valueLength, p.Text)
	return status, &view{name: "problem.html", title: p.Heading, data: p}
}

// isQueryError reports whether an error says that a query is wrong: they come before any I/O, with
// this beginning.
func isQueryError(err error) bool {
	e, ok := errors.AsType[*persistence.Error](err)
	return ok && strings.HasPrefix(e.Err.Error(), "query: ")
}

func (s *site) unknownPage(context.Context, *http.Request) (*view, error) { return nil, errNoPage }

// concernsOneRecord reports whether an error of an iteration concerns one record, so that the
// iteration goes on.
func concernsOneRecord(err error) bool {
	return errors.Is(err, persistence.ErrCorrupt) || errors.Is(err, persistence.ErrTooLarge) ||
		errors.Is(err, persistence.ErrUnknownType) || errors.Is(err, errors.ErrUnsupported)
}

// readable returns an error if a parameter of the address cannot be read: without it, a list would
// have other records than those that were asked for.
func readable(r *http.Request) error {
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return badRequestf("The parameters of the address: %v.", err)
	}
	return nil
}

// idOf returns the ID that a request names.
func idOf(r *http.Request) (persistence.ID, error) {
	id := persistence.ID(r.URL.Query().Get("id"))
	if id == "" {
		return "", badRequestf("The address names no record: it wants ?id=….")
	}
	return id, nil
}

// link returns an address of a page. The parameters are names and values in turn; what is "" is
// left out.
func link(page string, parameters ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		if parameters[i+1] != "" {
			v.Add(parameters[i], parameters[i+1])
		}
	}
	if len(v) == 0 {
		return page
	}
	return page + "?" + v.Encode()
}

func recordLink(id persistence.ID) string { return link("record", "id", string(id)) }
