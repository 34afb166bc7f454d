package integration

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/dovecot"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/need"
)

// secure is an archive served with a certificate of its own making, which has been compared by its fingerprint and put into a file.
type secure struct {
	login        // offers STARTTLS
	tls   string // address for TLS from the first byte
	file  string // the certificate as PEM
	want  account
}

func newSecure(t *testing.T) *secure {
	t.Helper()
	s, from := gmail(t, gmailsim.Options{})
	must(t, s.Load(gmailsim.Sample(100, 11), "R&D"))
	k := newKeeper(t, from)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	k.IMAPS = l.Addr().String()
	must(t, l.Close())
	must(t, k.Configure(from))
	run(t, k, "backup")
	running, err := k.Serve()
	must(t, err)
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := &secure{login: login{k.IMAP, k.User, k.Password}, tls: k.IMAPS, file: filepath.Join(t.TempDir(), "certificate.pem")}
	shown := certificateOf(t, k.IMAPS)
	var hex []string
	for _, b := range sha256.Sum256(shown) {
		hex = append(hex, fmt.Sprintf("%02X", b))
	}
	if !strings.Contains(running.Output(), strings.Join(hex, ":")) {
		t.Errorf("serve does not print the fingerprint %s:\n%s", strings.Join(hex, ":"), running.Output())
	}
	must(t, os.WriteFile(c.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown}), 0o600))
	c.want = served(t, c.login)
	return c
}

// certificateOf is what a server shows.
func certificateOf(t *testing.T, addr string) []byte {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // what it shows is compared with what it prints
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	must(t, err)
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
}

// Mail programs that check the certificate read the archive with TLS from the first byte, and with STARTTLS.
func TestTLSClients(t *testing.T) {
	c := newSecure(t)
	t.Run("imaplib", c.testImaplib)
	t.Run("curl", c.testCurl)
	t.Run("mbsync", c.testMbsync)
}

const imaplibTLSScript = `
import hashlib, imaplib, json, ssl, sys
host, plain, tls, user, password, cafile, box = sys.argv[1:8]
context = ssl.create_default_context(cafile=cafile)
first = imaplib.IMAP4(host, int(plain))
first.starttls(context)
second = imaplib.IMAP4_SSL(host, int(tls), ssl_context=context)
out = []
for m in first, second:
    m.authenticate("PLAIN", lambda challenge: ("\0%s\0%s" % (user, password)).encode() if challenge == b"" else None)
    m.select('"%s"' % box, readonly=True)
    out.append([hashlib.sha256(x[1]).hexdigest() for x in m.uid("FETCH", "1:*", "(BODY.PEEK[])")[1] if isinstance(x, tuple)])
    m.logout()
json.dump(out, sys.stdout)
`

func (c *secure) testImaplib(t *testing.T) {
	python := need.Program(t, "python3", "python3")
	const mailbox = "[Gmail]/All Mail"
	host, plain, _ := strings.Cut(c.addr, ":")
	_, encrypted, _ := strings.Cut(c.tls, ":")
	raw, err := client(t, time.Minute, python, "-c", imaplibTLSScript, host, plain, encrypted, c.user, c.password, c.file, mailbox)
	must(t, err)
	var got [][]string
	must(t, json.Unmarshal(raw, &got))
	var want []string
	for _, m := range c.want[mailbox] {
		want = append(want, fmt.Sprintf("%x", m.sum))
	}
	if len(got) != 2 || !slices.Equal(got[0], want) || !slices.Equal(got[1], want) || len(want) == 0 {
		t.Errorf("got %v, want twice %v", got, want)
	}
}

func (c *secure) testCurl(t *testing.T) {
	curl := need.Program(t, "curl", "curl")
	const path = "/INBOX;UID=1"
	want := c.want["INBOX"][0].raw
	for _, args := range [][]string{
		{"--ssl-reqd", "imap://" + c.addr + path},
		{"imaps://" + c.tls + path},
	} {
		got, err := client(t, time.Minute, curl, append([]string{"-s", "-S", "--cacert", c.file, "--user", c.user + ":" + c.password}, args...)...)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%v: %.200q, want %.200q", args, got, want)
		}
	}
	if out, err := client(t, time.Minute, curl, "-s", "-S", "--user", c.user+":"+c.password, "imaps://"+c.tls+path); err == nil {
		t.Errorf("curl believes a certificate that it does not know: %.200q", out)
	}
}

func (c *secure) testMbsync(t *testing.T) {
	mbsync := need.Program(t, "mbsync", "isync")
	for _, how := range []struct{ kind, addr string }{{"STARTTLS", c.addr}, {"IMAPS", c.tls}} {
		dir := t.TempDir()
		rc, mail := filepath.Join(dir, "rc"), filepath.Join(dir, "mail")
		host, port, _ := strings.Cut(how.addr, ":")
		must(t, os.Mkdir(mail, 0o700))
		text := strings.Replace(fmt.Sprintf(changingRC, host, port, c.user, c.password, mail), "SSLType None", "SSLType "+how.kind+"\nCertificateFile "+c.file, 1)
		must(t, os.WriteFile(rc, []byte(text), 0o600))
		if out, err := client(t, time.Minute, mbsync, "-c", rc, "all"); err != nil {
			t.Fatalf("%s: %v\n%s", how.kind, err, out)
		}
		boxes, _ := readMaildirs(t, mail)
		for name, messages := range c.want {
			if name != "[Gmail]/All Mail" {
				compareSets(t, name, messages, boxes[dovecot.EncodeName(name)])
			}
		}
	}
}
