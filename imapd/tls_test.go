package imapd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// certificate makes a certificate for a test server, and the configuration with which a client accepts it.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"archive.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool, ServerName: "archive.test"}
}

// encrypt does what follows STARTTLS.
func (c *client) encrypt(config *tls.Config) {
	c.t.Helper()
	encrypted := tls.Client(c.conn, config)
	if err := encrypted.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn = encrypted
	c.r.Reset(encrypted)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestPlainTextIsRefusedFromAfar(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	large := "Subject: x\r\n\r\n" + strings.Repeat("0123456789\r\n", 200000)
	s.add(large, "INBOX")
	ln := listen(t)
	o := testOptions()
	serverTLS, clientTLS := certificate(t)
	o.TLSConfig = serverTLS
	serveOn(t, s.w.Reader, o, notLocalListener{ln})
	c := dial(t, ln.Addr().String())
	c.talk(`
		C: a CAPABILITY
		S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ENABLE ID STARTTLS LOGINDISABLED
		S: a OK CAPABILITY completed
		C: b LOGIN u "pass word"
		S: b NO [PRIVACYREQUIRED] ~
		C: c LOGIN u {9}
		S: c NO [PRIVACYREQUIRED] ~
		C: d AUTHENTICATE PLAIN
		S: d NO [PRIVACYREQUIRED] ~
		C: e STARTTLS x
		S: e BAD ~
	`)
	c.send("f STARTTLS\r\ng LOGIN u wrong\r\n") // what follows in plain text must not be run
	c.expect("f OK ~")
	c.encrypt(clientTLS)
	c.talk(`
		C: h CAPABILITY
		S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ENABLE ID AUTH=PLAIN
		S: h OK CAPABILITY completed
		C: i STARTTLS
		S: i BAD ~
		C: j LOGIN u "pass word"
		S: j OK ~
	`)
	c.ok("SELECT INBOX")
	if got := c.ok("FETCH 1 BODY[]"); !strings.Contains(got, large) {
		t.Errorf("wrong body of %d bytes", len(got))
	}
	c.ok("SEARCH BODY nowhere") // reads ahead
	c.ok("NOOP")
}

func TestImplicitTLS(t *testing.T) {
	s := newArchive(t)
	serverTLS, clientTLS := certificate(t)
	ln := listen(t)
	o := testOptions()
	o.Limits.Connections = 1
	serveOn(t, s.w.Reader, o, tls.NewListener(notLocalListener{ln}, serverTLS))
	conn, err := tls.Dial("tcp", ln.Addr().String(), clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.ok(`LOGIN u "pass word"`)
	second, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if b, err := io.ReadAll(second); err == nil && len(b) > 0 {
		t.Errorf("%q", b)
	}
	c.ok("NOOP")
}

func TestImplicitTLSWithoutHandshake(t *testing.T) {
	s := newArchive(t)
	ln := listen(t)
	o := testOptions()
	o.Limits.LoginTimeout = 200 * time.Millisecond
	config, _ := certificate(t)
	serveOn(t, s.w.Reader, o, tls.NewListener(ln, config))
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(conn); err != nil {
		t.Errorf("connection not closed: %q, %v", b, err)
	}
}

func TestStartTLSWithoutHandshake(t *testing.T) {
	s := newArchive(t)
	ln := listen(t)
	o := testOptions()
	o.TLSConfig, _ = certificate(t)
	o.Limits.LoginTimeout = 200 * time.Millisecond
	serveOn(t, s.w.Reader, o, ln)
	c := dial(t, ln.Addr().String())
	c.talk(`
		C: a STARTTLS
		S: a OK ~
	`)
	c.closed()
}
