package imapd

import (
	"context"
	"crypto/tls"
	"io"
)

// startTLS encrypts the connection (RFC 9051 section 6.2.1). The library cannot: commands must be framed above the encryption.
func (c *conn) startTLS(_, args string) error {
	config := c.srv.options.TLSConfig
	switch {
	case args != "":
		return c.answer("BAD STARTTLS has no arguments")
	case config == nil:
		return c.answer("NO this server has no certificate")
	case c.secure || c.session.authenticated():
		return c.answer("BAD STARTTLS comes first")
	}
	if err := c.answer("OK begin TLS negotiation now"); err != nil {
		return err
	}
	// What came in plain text after the command may be an attacker's: it is not a command of the client (CVE-2011-0411).
	c.in = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.flush(); err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(c.srv.ctx, c.accepted.Add(c.srv.options.Limits.LoginTimeout))
	defer cancel()
	encrypted := tls.Server(c.raw, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		c.srv.log.Debug("imap: TLS handshake", "from", c.addr, "error", err)
		return io.EOF
	}
	c.raw, c.secure = encrypted, true
	return nil
}
