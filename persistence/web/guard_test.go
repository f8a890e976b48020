package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/web"
)

// all are the pages of a store whose first record is 1.
var all = []string{
	"/", "/records", "/count", "/record?id=1", "/record?id=1&referrers=1", "/record.json?id=1", "/graph?id=1", "/graph?id=1&referrers=1",
	"/pairs", "/claims", "/quarantine", "/style.css", "/live.js", "/icon.svg",
}

func TestOnlyHostsOfThisMachineAreAnswered(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	save(t, s, &Task{Name: "secret name"})
	h := web.Handler(s, &web.Options{Hosts: []string{"Build.Example.org.", "192.0.2.7", "2001:DB8:0::7", ""}})
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8080": 200, "127.8.8.8:1": 200, "localhost:99": 200, "LOCALHOST": 200, "localhost.:80": 200,
		"[::1]": 200, "[::1]:8080": 200, "[::ffff:127.0.0.1]:80": 200,
		"build.example.org": 200, "Build.Example.org:443": 200, "192.0.2.7:80": 200, "[2001:db8::7]:80": 200,
		"evil.example": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example": 403, "192.0.2.8": 403, "": 403,
		"10.0.0.1": 403, "[2001:db8::8]": 403, ":80": 403, "[::2]": 403, "127.1": 403, "evil.example:8080@localhost": 403, "0.0.0.0:8080": 403, "x.build.example.org": 403,
	} {
		for _, path := range all {
			a := send(t, h, http.MethodGet, host, path)
			if a.code != want {
				t.Errorf("host %q: %s: %d, want %d", host, path, a.code, want)
			}
			if want != 200 && strings.Contains(a.body, "secret") {
				t.Errorf("host %q: %s shows something", host, path)
			}
		}
	}
}

func TestOnlyGetAndHeadAreAnswered(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	save(t, s, &Task{})
	h := web.Handler(s, nil)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
		for _, path := range append(all, "/nothing") {
			if a := send(t, h, method, "localhost", path); a.code != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.code, a.header.Get("Allow"))
			}
		}
	}
	for _, path := range all {
		if a := send(t, h, http.MethodHead, "localhost", path); a.code != 200 {
			t.Errorf("HEAD %s: %d", path, a.code)
		}
	}
}

func TestOtherSitesMayLinkAndNotLoad(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	save(t, s, &Task{})
	h := handler(s)
	for name, c := range map[string]struct {
		site, dest string
		want       int
	}{
		"no browser":                {"", "", 200},
		"typed into the address":    {"none", "document", 200},
		"a link in these pages":     {"same-origin", "document", 200},
		"a script of these pages":   {"same-origin", "empty", 200},
		"a link in another site":    {"cross-site", "document", 200},
		"a picture in another site": {"cross-site", "image", 403},
		"a frame in another site":   {"cross-site", "iframe", 403},
		"a script of another site":  {"cross-site", "empty", 403},
		"a script of another port":  {"same-site", "empty", 403},
	} {
		for _, path := range all {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = "localhost:8080"
			if c.site != "" {
				r.Header.Set("Sec-Fetch-Site", c.site)
				r.Header.Set("Sec-Fetch-Dest", c.dest)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%s: %s: %d, want %d", name, path, w.Code, c.want)
			}
		}
	}
}

// outside are addresses that a browser would load from, and what runs or styles inside a page.
var outside = regexp.MustCompile(`(?i)(src|action|srcset|poster|formaction)="(https?:)?//|href="(https?:)?//|\sstyle=|<style|\son[a-z]+=|javascript:|<iframe|<object|<embed|<base|http-equiv`)

func TestPagesForbidWhatTheyDoNotNeed(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	save(t, s, &Task{Name: "a", Deps: []*Task{{Name: "b"}}})
	h := handler(s)
	for _, path := range append(all, "/nothing", "/record?id=none", "/records?c=no&o=eq&v=") {
		a := ask(t, h, path)
		policy := a.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "data:") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other sites may read it", path)
		}
		if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			continue
		}
		if m := outside.FindString(a.body); m != "" {
			t.Errorf("%s has %q", path, m)
		}
		if n := strings.Count(a.body, "<script"); n != 1 {
			t.Errorf("%s has %d scripts", path, n)
		}
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q", path, got)
		}
	}
}

func TestPagesStandBelowAnyPath(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	var tasks []any
	for range 120 {
		tasks = append(tasks, &Task{State: "NEW"})
	}
	save(t, s, tasks...)
	mux := http.NewServeMux()
	mux.Handle("/stores/one/", http.StripPrefix("/stores/one", handler(s)))
	absolute := regexp.MustCompile(`(href|src|action|data-load)="/`)
	for _, path := range all {
		a := ask(t, mux, "/stores/one"+path)
		if a.code != 200 {
			t.Errorf("%s: %d", path, a.code)
		}
		if m := absolute.FindString(a.body); m != "" {
			t.Errorf("%s has an address that is not relative: %s", path, m)
		}
	}
}

func TestAClosedStoreIsAnErrorPage(t *testing.T) {
	t.Parallel()
	s, err := persistence.MakeStore(t.Context(), "mem:", nil)
	check(t, err)
	save(t, s, &Task{})
	h := handler(s)
	check(t, s.Close())
	for _, path := range []string{"/", "/records", "/record?id=1", "/record.json?id=1", "/graph?id=1", "/count", "/pairs", "/claims", "/quarantine"} {
		a := ask(t, h, path)
		if a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "The store is closed") {
			t.Errorf("%s: %d: %s", path, a.code, text(a.body))
		}
	}
}
