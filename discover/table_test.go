package discover

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestServicesByAddress(t *testing.T) {
	f := &Finder{} // the table asks nobody
	tests := []struct{ address, name, host, user string }{
		{"me@gmail.com", "Gmail", "imap.gmail.com:993", "me@gmail.com"},
		{"Me@GoogleMail.com", "Gmail", "imap.gmail.com:993", "Me@GoogleMail.com"},
		{"me@yahoo.co.uk", "Yahoo", "imap.mail.yahoo.com:993", "me@yahoo.co.uk"},
		{"me@yahoo.de", "Yahoo", "imap.mail.yahoo.com:993", "me@yahoo.de"},
		{"me@aol.com", "AOL", "imap.aol.com:993", "me@aol.com"},
		{"me@gmx.de", "GMX", "imap.gmx.net:993", "me@gmx.de"},
		{"me@gmx.us", "GMX", "imap.gmx.com:993", "me@gmx.us"},
		{"me@web.de", "WEB.DE", "imap.web.de:993", "me@web.de"},
		{"me@icloud.com", "iCloud", "imap.mail.me.com:993", "me"},
		{"me@pm.me", "Proton Mail", "127.0.0.1:1143", "me@pm.me"},
		{"me@fastmail.com", "Fastmail", "imap.fastmail.com:993", "me@fastmail.com"},
		{"me@hotmail.fr", "Outlook", "outlook.office365.com:993", "me@hotmail.fr"},
		{"me@tuta.com", "Tuta", "", ""},
	}
	for _, test := range tests {
		s, err := f.Find(t.Context(), test.address)
		if err != nil || s.Name != test.name || s.Host != test.host || s.User != test.user || (s.Refusal != "") != (test.host == "") || s.Unproven {
			t.Errorf("%s: %+v, %v", test.address, s, err)
		}
	}
	if s, err := f.Find(t.Context(), "me@example.org"); !errors.Is(err, ErrUnknown) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, _ := f.Find(t.Context(), "me@outlook.com"); !s.Access.OAuth || s.Access.Password {
		t.Errorf("Outlook takes OAuth only: %+v", s)
	}
	for _, domain := range []string{"example.org", "live.example.com", "yahoo.evil.example", "notgmail.com", "gmail.com.example.org", "yahoo"} {
		if s, ok := byDomain(domain); ok {
			t.Errorf("%s is taken for %s", domain, s.name)
		}
	}
}

// TestTables keeps the tables consistent.
func TestTables(t *testing.T) {
	used := map[string]bool{}
	for _, table := range []map[string]string{domains, exchangers} {
		for domain, id := range table {
			if _, ok := services[id]; !ok {
				t.Errorf("%s belongs to the unknown service %q", domain, id)
			}
			if domain != strings.ToLower(domain) {
				t.Errorf("%s is not in lower case", domain)
			}
			used[id] = true
		}
	}
	for id, s := range services {
		if !used[id] {
			t.Errorf("no address belongs to %s", id)
		}
		if s.refusal != "" {
			continue
		}
		host, port, err := net.SplitHostPort(s.host)
		if err != nil || s.advice == "" || s.name == "" || port != "993" && s.tls != StartTLS || !isHostName(host) && id != "proton" {
			t.Errorf("%s: %+v", id, s)
		}
	}
}

func TestExchangers(t *testing.T) {
	for host, name := range map[string]string{
		"aspmx.l.google.com": "Google Workspace", "alt1.aspmx.l.google.com": "Google Workspace", "smtp.google.com": "Google Workspace", "aspmx2.googlemail.com": "Google Workspace",
		"contoso-com.mail.protection.outlook.com": "Microsoft 365", "contoso-com.b-v1.mx.microsoft": "Microsoft 365", "in1-smtp.messagingengine.com": "Fastmail",
		"mx01.mail.icloud.com": "iCloud", "mail.protonmail.ch": "Proton Mail", "mx00.kundenserver.de": "IONOS", "mxbiz1.qq.com": "Tencent Exmail",
	} {
		if s, ok := byExchanger(host); !ok || s.name != name {
			t.Errorf("%s: %+v, %v", host, s, ok)
		}
	}
	for _, host := range []string{"mail.example.org", "google.com.example.org", "notgoogle.com", "outlook.com", "", "."} {
		if s, ok := byExchanger(host); ok {
			t.Errorf("%s is taken for %s", host, s.name)
		}
	}
}
