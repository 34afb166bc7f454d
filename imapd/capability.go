package imapd

// base is what is served before login too.
const base = "IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ENABLE ID"

// capabilities is what clients are told, whatever the library thinks: what is served in the connection's state. UIDPLUS and MOVE are there
// because IMAP4rev2 has them; their commands are known, and refused as all that write.
func (c *conn) capabilities() string {
	if c.session.authenticated() {
		packing := ""
		if c.mayCompress() {
			packing = " COMPRESS=DEFLATE"
		}
		return base + " IDLE UNSELECT NAMESPACE ACL ESEARCH SEARCHRES BINARY CHILDREN LIST-EXTENDED LIST-STATUS STATUS=SIZE SPECIAL-USE UIDPLUS MOVE UTF8=ACCEPT OBJECTID" +
			" SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES CONDSTORE QRESYNC PREVIEW WITHIN" + packing + c.session.gmailCapability()
	}
	caps := base
	if c.srv.options.TLSConfig != nil && !c.secure {
		caps += " STARTTLS"
	}
	if c.mayAuthenticate() {
		return caps + " AUTH=PLAIN"
	}
	return caps + " LOGINDISABLED"
}
