package web

import (
	"crypto/sha256"
	"fmt"
	"net/http"
)

// mobileconfig gives a configuration profile for macOS, iOS and iPadOS (Apple's "Configuration Profile Reference", payload com.apple.mail.managed). It holds no
// password: the device asks. The same archive and login always give the same identifiers, so that a profile replaces its predecessor.
func (p *page) mobileconfig(w http.ResponseWriter, r *http.Request) {
	servers := p.reachable(r)
	if len(servers) == 0 {
		http.Error(w, "the archive is served on its own machine only", http.StatusNotFound)
		return
	}
	login := p.login(r.URL.Query().Get("login"))
	h := w.Header()
	h.Set("Content-Type", "application/x-apple-aspen-config")
	h.Set("Content-Disposition", `attachment; filename="mailkeep.mobileconfig"`)
	w.Write(plist(p.profile(login, servers[0])))
}

func (p *page) profile(l Login, s Server) dict {
	profileID, accountID := p.uuid("profile", l), p.uuid("account", l)
	account := dict{
		{"PayloadType", "com.apple.mail.managed"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", "mailkeep." + profileID + ".account"},
		{"PayloadUUID", accountID},
		{"PayloadDisplayName", l.title()},
		{"EmailAccountType", "EmailTypeIMAP"},
		{"EmailAccountDescription", "mailkeep: " + l.title()},
		{"EmailAccountName", l.address()},
		{"EmailAddress", l.address()},
		{"IncomingMailServerAuthentication", "EmailAuthPassword"},
		{"IncomingMailServerHostName", s.Host},
		{"IncomingMailServerPortNumber", s.Port},
		{"IncomingMailServerUseSSL", s.Security != Plain}, // Apple's programs try both kinds of TLS
		{"IncomingMailServerUsername", l.User},
		{"OutgoingMailServerAuthentication", "EmailAuthNone"},
		{"OutgoingMailServerHostName", noOutgoing},
		{"PreventMove", false}, // moving from here to a live account is how a message is restored
	}
	return dict{
		{"PayloadType", "Configuration"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", "mailkeep." + profileID},
		{"PayloadUUID", profileID},
		{"PayloadDisplayName", "mailkeep: " + l.title()},
		{"PayloadDescription", "Adds the mail archive, which can be read and copied from but not changed, to Mail."},
		{"PayloadRemovalDisallowed", false},
		{"PayloadContent", []any{account}},
	}
}

// uuid is made from the archive and the login (RFC 9562 section 5.8: version 8, of one's own choice).
func (p *page) uuid(kind string, l Login) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "mailkeep %q %q %q", kind, p.Archive, l.User))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
