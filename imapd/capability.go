package imapd

// capabilities is what clients are told, whatever the library thinks: what is served in the connection's state.
func (c *conn) capabilities() string {
	if c.session.authenticated() {
		return "IMAP4rev1 LITERAL- SASL-IR ENABLE IDLE UNSELECT NAMESPACE ID ACL ESEARCH SEARCHRES BINARY CHILDREN LIST-EXTENDED LIST-STATUS" +
			" STATUS=SIZE SPECIAL-USE UTF8=ACCEPT"
	}
	caps := "IMAP4rev1 LITERAL- SASL-IR ENABLE ID"
	if c.srv.options.TLSConfig != nil && !c.secure {
		caps += " STARTTLS"
	}
	if c.mayAuthenticate() {
		return caps + " AUTH=PLAIN"
	}
	return caps + " LOGINDISABLED"
}
