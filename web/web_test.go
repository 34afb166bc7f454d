package web

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var testOptions = Options{
	Servers: []Server{{"", 1993, TLS}, {"127.0.0.1", 1143, Plain}},
	Logins:  []Login{{User: "archive"}, {User: "o'<work>&", Account: "me@example.org"}},
	Hosts:   []string{"archive.example.org"},
	Archive: "/home/me/MailStore",
}

// get asks a handler as a client at an address does.
func get(t *testing.T, o Options, client, url string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", url, nil)
	r.RemoteAddr = client + ":4711"
	w := httptest.NewRecorder()
	Handler(o).ServeHTTP(w, r)
	return w.Result()
}

const near, far = "127.0.0.1", "192.0.2.7"

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHosts(t *testing.T) {
	for host, status := range map[string]int{
		"127.0.0.1:8143": 200, "localhost:8143": 200, "LOCALHOST.": 200, "[::1]:8143": 200, "[::1]": 200, "192.0.2.1": 200, "archive.example.org": 200, "Archive.Example.Org.:443": 200,
		"evil.example.com": 421, "localhost.evil.example.com:8143": 421, "127.0.0.1.evil.example.com": 421, "archive.example.org.evil.example.com": 421, "xarchive.example.org": 421,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.RemoteAddr = host, near+":1"
		w := httptest.NewRecorder()
		Handler(testOptions).ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%q: status %d, want %d", host, w.Code, status)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%q: policy %q", host, csp)
		}
		if status != 200 && strings.Contains(w.Body.String(), "1143") {
			t.Errorf("%q is told %q", host, w.Body)
		}
	}
}

func TestOnlyReading(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
		r := httptest.NewRequest(method, "http://localhost/mail/config-v1.1.xml", nil)
		w := httptest.NewRecorder()
		Handler(testOptions).ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", method, w.Code)
		}
	}
	for _, path := range []string{"/nothing", "/static/../templates/connect.html", "/templates/connect.html", "/.well-known/", "/mail/"} {
		if res := get(t, testOptions, near, "http://localhost"+path); res.StatusCode == 200 {
			t.Errorf("%s is served: %q", path, body(t, res))
		}
	}
}

func TestAutoconfig(t *testing.T) {
	for _, test := range []struct {
		client, url, domain, user string
		servers                   []configServer
	}{
		{near, "http://localhost:8143/mail/config-v1.1.xml?emailaddress=archive@example.net", "example.net", "archive", []configServer{
			{"imap", "localhost", 1993, "SSL", "password-cleartext", "archive"}, {"imap", "127.0.0.1", 1143, "plain", "password-cleartext", "archive"}}},
		{far, "https://archive.example.org/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=me%40example.org", "example.org", "o'<work>&", []configServer{
			{"imap", "archive.example.org", 1993, "SSL", "password-cleartext", "o'<work>&"}}},
		{far, "https://[2001:db8::1]/mail/config-v1.1.xml", "2001:db8::1", "archive", []configServer{{"imap", "2001:db8::1", 1993, "SSL", "password-cleartext", "archive"}}},
		{near, "http://localhost/mail/config-v1.1.xml?emailaddress=%3C/domain%3E@x%3Cy%3E", "x<y>", "archive", nil},
	} {
		res := get(t, testOptions, test.client, test.url)
		text := body(t, res)
		var doc clientConfig
		if err := xml.Unmarshal([]byte(text), &doc); err != nil || res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/xml") {
			t.Fatalf("%s: %v, %v\n%s", test.url, res.Status, err, text)
		}
		p := doc.Provider
		if doc.Version != "1.1" || p.ID != test.domain || p.Domain != test.domain || p.Incoming[0].Username != test.user {
			t.Errorf("%s: %+v", test.url, p)
		}
		if test.servers != nil && !equal(p.Incoming, test.servers) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", test.url, p.Incoming, test.servers)
		}
	}
}

func equal(a, b []configServer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// A server on loopback is of no use to other machines, and must not be offered to them.
func TestNothingForOtherMachines(t *testing.T) {
	o := testOptions
	o.Servers = o.Servers[1:]
	for _, path := range []string{"/mail/config-v1.1.xml", "/mailkeep.mobileconfig"} {
		if res := get(t, o, far, "https://archive.example.org"+path); res.StatusCode != 404 {
			t.Errorf("%s: %s", path, body(t, res))
		}
	}
	if text := body(t, get(t, o, far, "https://archive.example.org/")); !strings.Contains(text, "on its own machine only") || strings.Contains(text, "1143") {
		t.Error(text)
	}
}

// value is an element of a property list, read back.
type value struct {
	XMLName xml.Name
	Text    string  `xml:",chardata"`
	Nodes   []value `xml:",any"`
}

// dictionary gives a dict's values by their keys; each key must be there once.
func (v value) dictionary(t *testing.T) map[string]value {
	t.Helper()
	if v.XMLName.Local != "dict" || len(v.Nodes)%2 != 0 {
		t.Fatalf("not a dict: %+v", v)
	}
	out := map[string]value{}
	for i := 0; i < len(v.Nodes); i += 2 {
		key := v.Nodes[i].Text
		if _, again := out[key]; again || v.Nodes[i].XMLName.Local != "key" || key == "" {
			t.Fatalf("key %d: %+v", i, v.Nodes[i])
		}
		out[key] = v.Nodes[i+1]
	}
	return out
}

// profileOf fetches a profile and gives its keys and those of its one payload.
func profileOf(t *testing.T, o Options, client, url string) (profile, account map[string]value) {
	t.Helper()
	res := get(t, o, client, url)
	text := body(t, res)
	var list struct {
		Version string  `xml:"version,attr"`
		Nodes   []value `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(text), &list); err != nil || list.Version != "1.0" || len(list.Nodes) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	if kind := res.Header.Get("Content-Type"); kind != "application/x-apple-aspen-config" {
		t.Errorf("content type %q", kind)
	}
	if strings.Contains(strings.ToLower(text), "serverpassword") {
		t.Errorf("a password in\n%s", text)
	}
	profile = list.Nodes[0].dictionary(t)
	content := profile["PayloadContent"]
	if content.XMLName.Local != "array" || len(content.Nodes) != 1 {
		t.Fatalf("content %+v", content)
	}
	return profile, content.Nodes[0].dictionary(t)
}

func TestMobileconfig(t *testing.T) {
	profile, account := profileOf(t, testOptions, far, "https://archive.example.org/mailkeep.mobileconfig?login=o%27%3Cwork%3E%26")
	for key, want := range map[string]string{
		"PayloadType": "com.apple.mail.managed", "EmailAccountType": "EmailTypeIMAP", "EmailAddress": "me@example.org", "IncomingMailServerHostName": "archive.example.org",
		"IncomingMailServerPortNumber": "1993", "IncomingMailServerUsername": "o'<work>&", "IncomingMailServerAuthentication": "EmailAuthPassword",
		"OutgoingMailServerHostName": noOutgoing,
	} {
		if got := account[key].Text; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if got := account["IncomingMailServerUseSSL"].XMLName.Local; got != "true" {
		t.Errorf("IncomingMailServerUseSSL is %s", got)
	}
	if got := profile["PayloadType"].Text; got != "Configuration" {
		t.Errorf("PayloadType is %q", got)
	}

	again, _ := profileOf(t, testOptions, near, "http://localhost/mailkeep.mobileconfig?login=o%27%3Cwork%3E%26")
	_, other := profileOf(t, testOptions, near, "http://localhost/mailkeep.mobileconfig")
	plain := testOptions
	plain.Servers, plain.Archive = plain.Servers[1:], "/elsewhere"
	elsewhere, unencrypted := profileOf(t, plain, near, "http://localhost/mailkeep.mobileconfig?login=o%27%3Cwork%3E%26")
	id := profile["PayloadUUID"].Text
	if id != again["PayloadUUID"].Text {
		t.Error("the identifier changes")
	}
	for _, v := range []value{account["PayloadUUID"], other["PayloadUUID"], elsewhere["PayloadUUID"]} {
		if v.Text == id || len(v.Text) != 36 || v.Text[14] != '8' {
			t.Errorf("identifiers %s and %s", id, v.Text)
		}
	}
	if got := unencrypted["IncomingMailServerUseSSL"].XMLName.Local; got != "false" {
		t.Errorf("without TLS IncomingMailServerUseSSL is %s", got)
	}
	if got := other["EmailAddress"].Text; got != "archive@mailkeep.invalid" {
		t.Errorf("EmailAddress is %q", got)
	}
}

func TestConnectPage(t *testing.T) {
	o := testOptions
	o.Fingerprint = func() string { return "AA:BB" }
	text := body(t, get(t, o, near, "http://localhost:8143/"))
	for _, want := range []string{
		"<code>AA:BB</code>", "o&#39;&lt;work&gt;&amp; (me@example.org) at localhost, port 1993", "imaps://o%27%3Cwork%3E&amp;@localhost:1993/INBOX",
		`href="/mailkeep.mobileconfig?login=o%27%3cwork%3e%26"`, "imap://archive@127.0.0.1:1143/INBOX", "<td>SSL/TLS</td>", "<td>None</td>", "SSLType IMAPS", "SSLType None",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "<work>") || strings.Contains(text, "style=") {
		t.Error(text)
	}
	if res := get(t, o, near, "http://localhost/static/mailkeep.css"); res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") {
		t.Errorf("style sheet: %s, %q", res.Status, res.Header.Get("Content-Type"))
	}
}
