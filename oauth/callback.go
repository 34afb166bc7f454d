package oauth

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Limits of the web server that waits for the browser.
const (
	readTimeout   = 10 * time.Second
	answerTimeout = 3 * time.Minute // until the code is exchanged and the login tried
	maxHeader     = 32 << 10        // bytes: the code stands in the first line
	closeTimeout  = 2 * time.Second // for the browser to take its page
)

// callback is a web server on this machine that takes one answer of a browser.
type callback struct {
	server    *http.Server
	listeners []net.Listener
}

// visitor takes the parameters that a browser brings, and returns after the login is done. Its error is shown.
type visitor func(context.Context, url.Values) error

// listenFor listens at the redirect address, and completes it with a port when it has none.
func listenFor(redirect *url.URL, visit visitor) (*callback, error) {
	host := redirect.Hostname()
	first := host
	if strings.EqualFold(host, "localhost") {
		first = "127.0.0.1"
	}
	port := redirect.Port()
	if port == "" {
		port = "0"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(first, port))
	if err != nil {
		return nil, err
	}
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	redirect.Host = net.JoinHostPort(host, port)
	c := &callback{listeners: []net.Listener{ln}}
	if first != host {
		// To a browser "localhost" may be the other one first; where there is no IPv6 it is not.
		if six, err := net.Listen("tcp", net.JoinHostPort("::1", port)); err == nil {
			c.listeners = append(c.listeners, six)
		}
	}
	path := redirect.Path
	if path == "" {
		path = "/"
	}
	c.server = &http.Server{
		Handler: handler(path, visit), ReadTimeout: readTimeout, WriteTimeout: answerTimeout, IdleTimeout: readTimeout, MaxHeaderBytes: maxHeader,
	}
	for _, ln := range c.listeners {
		go c.server.Serve(ln) // ends with close
	}
	return c, nil
}

// close lets the browser take the page that is on its way.
func (c *callback) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if c.server.Shutdown(ctx) != nil {
		c.server.Close()
	}
	for _, ln := range c.listeners {
		ln.Close() // Serve may not have begun
	}
}

func handler(path string, visit visitor) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r) // such as /favicon.ico
			return
		}
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "this page can only be looked at", http.StatusMethodNotAllowed)
			return
		}
		err := visit(r.Context(), r.URL.Query())
		status := http.StatusOK
		switch {
		case errors.Is(err, errUsed):
			status = http.StatusGone
		case err != nil:
			status = http.StatusBadRequest
		}
		writePage(w, status, err)
	})
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// writePage shows the outcome. The address of the page holds the code, so that nothing may be loaded from it or keep it.
func writePage(w http.ResponseWriter, status int, err error) {
	data := struct{ Problem string }{}
	if err != nil {
		data.Problem = err.Error()
	}
	var out bytes.Buffer
	if err := page.Execute(&out, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Connection", "close")
	w.WriteHeader(status)
	w.Write(out.Bytes()) // a browser that has gone misses its page only
}
