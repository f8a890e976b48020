// Package web shows a store to people: an [http.Handler] with pages of its types and states, its
// records, the values in them, and the graph around a record. It needs none of the types of the
// program that fills the store, and it never writes.
//
//	store, err := persistence.MakeStore(ctx, "sqlite:tasks.db?mode=ro", nil)
//	…
//	err = http.ListenAndServe("127.0.0.1:8080", web.Handler(store, nil))
//
// The pages show the extra columns that the Store declares in its Options, and no others.
//
// # Who may look
//
// The handler knows no users. Whoever reaches it can read the store, so listen on a loopback
// address, or put a proxy that asks for a password in front of it.
//
// A loopback address alone does not keep other web sites out. A browser on the same machine opens
// any page, and the owner of a domain may let its name lead to 127.0.0.1 after the page was loaded
// (DNS rebinding): the browser then takes the store for a part of that site, and the site reads it.
// Its requests still carry the name of the site. So the handler refuses every request whose Host
// header is neither a loopback address, nor localhost, nor in Options.Hosts. Other sites may link
// to the pages, but not load them.
//
// What the store holds is not trusted either. Names and values are text wherever they appear, a
// Content-Security-Policy forbids scripts and styles but the handler's own, of the pictures that
// Options.Draw makes only shapes, text and links to the handler's own pages are kept, and a page
// loads nothing from elsewhere.
//
// # What a page costs
//
// A page reads what it shows: some dozens of records, or at most 300 of a graph. What has no index
// is counted for a limited time, and the page says how far that went. A request that takes longer
// than Options.TimeLimit ends with a page that says so.
package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/brine-go/brine/persistence"
)

// Options configure a [Handler]. nil means all defaults.
type Options struct {
	// Title is the heading of the pages. Default: the URL of the store, without its password.
	Title string
	// Draw makes a picture, as SVG, of a graph in the language of Graphviz. It may be called by
	// several goroutines, but not at the same time. Links in the picture are kept. nil: the page of
	// a graph is a list with links alone, and says so.
	Draw func(dot []byte) (svg []byte, err error)
	// Columns describe the extra columns. Default: those of [persistence.Store.Columns]. A program
	// that declares the columns of another one, without its types, asks before it declares them:
	// what it declares is for all types, and counts as incomplete.
	Columns []persistence.ColumnInfo
	// Hosts are the names and addresses, without ports, under which browsers may ask for the pages
	// besides localhost and the loopback addresses.
	Hosts []string
	// TimeLimit is the maximum duration of a request. Default: 10 s.
	TimeLimit time.Duration
	// CountLimit is for how long a request counts. Default: 300 ms.
	CountLimit time.Duration
}

const (
	defaultTimeLimit  = 10 * time.Second
	defaultCountLimit = 300 * time.Millisecond
)

// A site is the handler of one store.
type site struct {
	store      *persistence.Store
	title      string
	timeLimit  time.Duration
	countLimit time.Duration
	columns    columnCache
	counts     countCache
	painter    painter
	large      chan struct{} // has an element for each large record that is being read
}

// Handler returns a handler that shows the store. o may be nil. The handler answers GET and HEAD
// alone, and is safe for concurrent use. Its links are relative: it can stand below any path that
// ends in a slash, with [http.StripPrefix].
//
// It does not close the store. After the store is closed, its pages are errors.
func Handler(store *persistence.Store, o *Options) http.Handler {
	if o == nil {
		o = &Options{}
	}
	s := &site{
		store: store, title: o.Title, timeLimit: o.TimeLimit, countLimit: o.CountLimit,
		columns: columnCache{given: slices.Clone(o.Columns)}, painter: painter{draw: o.Draw, busy: make(chan struct{}, 1)},
		large: make(chan struct{}, manyLarge),
	}
	if s.timeLimit <= 0 {
		s.timeLimit = defaultTimeLimit
	}
	if s.countLimit <= 0 {
		s.countLimit = defaultCountLimit
	}
	if s.title == "" {
		s.title = store.URL().String()
	}
	if s.title == "" {
		s.title = "store"
	}
	mux := http.NewServeMux()
	for path, f := range map[string]page{
		"/{$}":        s.overview,
		"/records":    s.records,
		"/count":      s.count,
		"/record":     s.record,
		"/graph":      s.graph,
		"/pairs":      s.pairs,
		"/claims":     s.claims,
		"/quarantine": s.quarantine,
		"/":           s.unknownPage,
	} {
		mux.HandleFunc(path, s.serve(f))
	}
	mux.HandleFunc("/record.json", s.recordJSON)
	for _, name := range []string{"style.css", "live.js", "icon.svg"} {
		mux.HandleFunc("/"+name, serveAsset(name))
	}
	hosts := make(map[string]bool, len(o.Hosts))
	for _, h := range o.Hosts {
		if h := hostOf(h); h != "" {
			hosts[h] = true
		}
	}
	return guard(hosts, mux)
}
