package web

import (
	"bytes"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// way is one server and one login: all that a mail program has to be told.
type way struct {
	Server
	Login
	Number  int // from 1; tells the stores of an mbsync configuration apart
	Address string
}

// URL is the mailbox INBOX as mutt and curl write it (RFC 5092).
func (w way) URL() string {
	scheme := "imap"
	if w.Security == TLS {
		scheme = "imaps"
	}
	u := url.URL{Scheme: scheme, User: url.User(w.User), Host: net.JoinHostPort(w.Host, strconv.Itoa(w.Port)), Path: "/INBOX"}
	return strings.ReplaceAll(u.String(), "'", "%27") // it stands between such quotes for the shell
}

// SSLType is mbsync's word for the security.
func (w way) SSLType() string {
	return [...]string{Plain: "None", StartTLS: "STARTTLS", TLS: "IMAPS"}[w.Security]
}

// Plain tells that nothing is encrypted.
func (w way) Plain() bool { return w.Security == Plain }

// connect explains how each mail program is connected.
func (p *page) connect(w http.ResponseWriter, r *http.Request) {
	view := struct {
		Ways        []way
		Fingerprint string
	}{}
	if p.Fingerprint != nil {
		view.Fingerprint = p.Fingerprint()
	}
	for _, l := range p.Logins {
		for _, s := range p.reachable(r) {
			view.Ways = append(view.Ways, way{s, l, len(view.Ways) + 1, l.address()})
		}
	}
	var b bytes.Buffer
	if err := p.connectPage.Execute(&b, view); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}
