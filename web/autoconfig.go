package web

import (
	"encoding/xml"
	"net/http"
	"strings"
)

// clientConfig is the document with which Thunderbird and others configure an account; its format is described at
// https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat.
type clientConfig struct {
	XMLName  xml.Name      `xml:"clientConfig"`
	Version  string        `xml:"version,attr"`
	Provider emailProvider `xml:"emailProvider"`
}

type emailProvider struct {
	ID        string         `xml:"id,attr"`
	Domain    string         `xml:"domain"`
	Name      string         `xml:"displayName"`
	ShortName string         `xml:"displayShortName"`
	Incoming  []configServer `xml:"incomingServer"`
	Outgoing  []configServer `xml:"outgoingServer"`
}

type configServer struct {
	Type           string `xml:"type,attr"`
	Hostname       string `xml:"hostname"`
	Port           int    `xml:"port"`
	SocketType     string `xml:"socketType"`
	Authentication string `xml:"authentication"`
	Username       string `xml:"username,omitempty"`
}

// socketTypes are the document's words for Security.
var socketTypes = [...]string{Plain: "plain", StartTLS: "STARTTLS", TLS: "SSL"}

// noOutgoing stands where a mail program insists on a server to send with. The name can belong to nobody (RFC 2606 section 2), so nothing is ever sent to anyone.
const noOutgoing = "an-archive-sends-no-mail.invalid"

// autoconfig answers the question how the address in "emailaddress" is read.
func (p *page) autoconfig(w http.ResponseWriter, r *http.Request) {
	servers := p.reachable(r)
	if len(servers) == 0 {
		http.Error(w, "the archive is served on its own machine only", http.StatusNotFound)
		return
	}
	asked := r.URL.Query().Get("emailaddress")
	login, domain := p.login(asked), hostOf(r)
	if _, after, found := strings.Cut(asked, "@"); found && after != "" {
		domain = after
	}
	doc := clientConfig{Version: "1.1", Provider: emailProvider{ID: domain, Domain: domain, Name: "mailkeep: " + login.title(), ShortName: "mailkeep"}}
	for _, s := range servers {
		doc.Provider.Incoming = append(doc.Provider.Incoming, configServer{"imap", s.Host, s.Port, socketTypes[s.Security], "password-cleartext", login.User})
	}
	doc.Provider.Outgoing = []configServer{{"smtp", noOutgoing, 587, socketTypes[StartTLS], "none", ""}}
	text, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		http.Error(w, "the document cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Write([]byte(xml.Header + string(text) + "\n"))
}

// title is what the login shows, for people.
func (l Login) title() string {
	if l.Account != "" {
		return "the archive of " + l.Account
	}
	return "the mail archive"
}

// address is an e-mail address for programs that want one: the account's where it is one.
func (l Login) address() string {
	for _, s := range []string{l.Account, l.User} {
		if local, domain, found := strings.Cut(s, "@"); found && local != "" && domain != "" {
			return s
		}
	}
	return l.User + "@mailkeep.invalid"
}

func localPart(address string) string {
	local, _, _ := strings.Cut(address, "@")
	return local
}
