package web

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// guard refuses requests that were sent to another name, and forbids browsers everything that the pages do not need.
func (p *page) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !p.knows(hostOf(r)) {
			// A page of another site whose name suddenly points here would be allowed to read the answer.
			http.Error(w, "this is not a name of this server; add it to serve.names in mailkeep.toml", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knows tells whether a host means this machine. No other site can have an IP address for its name.
func (p *page) knows(host string) bool {
	return host == "localhost" || net.ParseIP(host) != nil || slices.Contains(p.Hosts, host)
}

// hostOf is the name or address to which a request was sent, in lower case, without its port.
func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
