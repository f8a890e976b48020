package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// policy is the Content-Security-Policy of every answer. Scripts, styles, the icon and what the
// script fetches come from the handler itself; a form leads to it; no site may frame a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard refuses requests that h must not see: those for a host that is neither this machine nor in
// hosts, those that are neither GET nor HEAD, and those that load something into another site.
func guard(hosts map[string]bool, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if host := hostOf(r.Host); !isLoopback(host) && !hosts[host] {
			http.Error(w, "This server shows a store to this machine alone, and the request was for another host. "+
				"The program that runs it can permit more hosts (Options.Hosts).", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "This server only shows a store: GET and HEAD are all that it answers.", http.StatusMethodNotAllowed)
			return
		}
		if loadsForAnotherSite(r) {
			http.Error(w, "A page of another site asked for this. It may link to the pages of this server, and not load them.", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// loadsForAnotherSite reports whether a browser asks because a page of another site loads
// something, such as a picture: that site could not read the answer, but make the store work.
func loadsForAnotherSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site": // the latter is another port of this machine
		return r.Header.Get("Sec-Fetch-Dest") != "document"
	}
	return false
}

// hostOf returns the host of a Host header, without its port, in the one form that hosts are
// compared in: names in lower case, addresses as netip writes them.
func hostOf(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = header
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return host
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
