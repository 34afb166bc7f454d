package gmailsim

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"slices"
	"strings"
)

const (
	gmailBefore = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 XYZZY SASL-IR AUTH=XOAUTH2 " +
		"AUTH=PLAIN AUTH=PLAIN-CLIENTTOKEN AUTH=OAUTHBEARER"
	gmailAfter = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE " +
		"CONDSTORE ESEARCH UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584"
)

func (s *session) capabilities() string {
	var all []string
	switch g := s.srv.opt.Generic; {
	case g != nil:
		all = g.capabilities(s.authed, s.secure)
	case s.authed:
		all = strings.Fields(gmailAfter)
	default:
		all = strings.Fields(gmailBefore)
	}
	all = slices.DeleteFunc(all, func(c string) bool { return slices.Contains(s.srv.opt.Without, c) })
	if s.deflated {
		all = slices.DeleteFunc(all, func(c string) bool { return c == "COMPRESS=DEFLATE" })
	}
	return strings.Join(all, " ")
}

func (g *Generic) capabilities(authed, secure bool) []string {
	caps := []string{"IMAP4rev1", "IDLE"}
	add := func(on bool, names ...string) {
		if on {
			caps = append(caps, names...)
		}
	}
	if !authed {
		add(!g.Bare, "SASL-IR", "LITERAL-", "ID")
		add(g.StartTLS && !secure, "STARTTLS", "LOGINDISABLED")
		add(!g.StartTLS || secure, "AUTH=PLAIN")
		return caps
	}
	add(!g.Bare, "UIDPLUS", "MOVE", "UNSELECT", "NAMESPACE", "ID", "CHILDREN", "LIST-EXTENDED", "ENABLE", "LITERAL-")
	add(g.Condstore, "CONDSTORE")
	add(g.ObjectID, "OBJECTID")
	add(g.ESearch, "ESEARCH")
	add(g.ListStatus, "LIST-STATUS")
	add(g.SpecialUse, "SPECIAL-USE")
	add(g.UTF8, "UTF8=ACCEPT")
	add(g.Compress, "COMPRESS=DEFLATE")
	return caps
}

// has tells whether a capability is in force, before login as after it.
func (s *session) has(name string) bool {
	if slices.Contains(strings.Fields(s.capabilities()), name) {
		return true
	}
	// A command's needs are checked before its state, so that an extension
	// command before login gets the same reply as any other unknown one.
	return name == "LITERAL-" && s.srv.opt.Generic == nil && !slices.Contains(s.srv.opt.Without, name)
}

func cmdCapability(s *session, p *parser) (string, error) {
	if err := p.end(); err != nil {
		return "", err
	}
	s.line("* CAPABILITY %s", s.capabilities())
	return "Thats all she wrote! sim", nil
}

func cmdLogin(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	user, err := p.astring()
	if err != nil || p.sp() != nil {
		return "", errParse
	}
	password, err := p.astring()
	if err != nil || p.end() != nil {
		return "", errParse
	}
	return s.login(user, s.passwordOK(user, password))
}

func (s *session) passwordOK(user, password string) bool {
	want, _ := s.srv.credentials()
	// Gmail shows app passwords in groups of four and takes them so.
	return s.userOK(user) && strings.ReplaceAll(password, " ", "") == strings.ReplaceAll(want, " ", "")
}

func (s *session) userOK(user string) bool { return strings.EqualFold(user, s.srv.opt.User) }

func (s *session) login(user string, ok bool) (string, error) {
	if g := s.srv.opt.Generic; g != nil && g.StartTLS && !s.secure {
		return "", noError("[PRIVACYREQUIRED] Use STARTTLS first")
	}
	if !ok {
		return "", noError("[AUTHENTICATIONFAILED] Invalid credentials (Failure)")
	}
	if !s.srv.claimSlot(s) {
		return "", noError("[ALERT] Too many simultaneous connections. (Failure)")
	}
	s.authed = true
	s.srv.stats.update(func(c *Counters) { c.Logins++ })
	s.line("* CAPABILITY %s", s.capabilities())
	return user + " authenticated (Success)", nil
}

func cmdAuthenticate(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	mech, err := p.atom()
	if err != nil {
		return "", err
	}
	mech = strings.ToUpper(mech)
	if !s.has("AUTH=" + mech) {
		return "", noError("[CANNOT] Unsupported mechanism (Failure)")
	}
	data, err := s.initialResponse(p)
	if err != nil {
		return "", err
	}
	if mech == "PLAIN" {
		parts := strings.Split(data, "\x00")
		if len(parts) != 3 {
			return "", badError("Invalid SASL argument.")
		}
		return s.login(parts[1], s.passwordOK(parts[1], parts[2]))
	}
	return s.oauth(mech, data)
}

// initialResponse reads SASL-IR or asks for the response.
func (s *session) initialResponse(p *parser) (string, error) {
	var coded string
	if p.eof() {
		line, err := s.ask("")
		if err != nil {
			return "", err
		}
		coded = line
	} else {
		if p.sp() != nil {
			return "", errParse
		}
		coded = p.run(func(c byte) bool { return c > ' ' })
		if p.end() != nil || !s.has("SASL-IR") {
			return "", errParse
		}
	}
	if coded == "*" {
		return "", badError("Authentication cancelled")
	}
	if coded == "=" {
		coded = ""
	}
	raw, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return "", badError("Invalid SASL argument.")
	}
	return string(raw), nil
}

// ask sends a continuation and reads one line.
func (s *session) ask(challenge string) (string, error) {
	if err := s.continuation(challenge); err != nil {
		return "", err
	}
	line, err := s.readLine(maxLine)
	return strings.TrimRight(string(line), "\r\n"), err
}

// oauth checks XOAUTH2 and OAUTHBEARER (RFC 7628). A refusal is first told in
// a challenge, which the client answers with an empty line.
func (s *session) oauth(mech, data string) (string, error) {
	user, token := "", ""
	for _, part := range strings.Split(data, "\x01") {
		if v, ok := strings.CutPrefix(part, "user="); ok {
			user = v
		}
		if v, ok := strings.CutPrefix(part, "auth=Bearer "); ok {
			token = v
		}
		if mech == "OAUTHBEARER" && strings.HasPrefix(part, "n,") {
			_, authz, _ := strings.Cut(part, "a=")
			user = strings.TrimSuffix(authz, ",")
		}
	}
	_, tokens := s.srv.credentials()
	known := slices.Contains(tokens, token) || s.srv.opt.TokenOK != nil && s.srv.opt.TokenOK(user, token)
	if token != "" && s.userOK(user) && known {
		return s.login(user, true)
	}
	problem := `{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}`
	if _, err := s.ask(base64.StdEncoding.EncodeToString([]byte(problem))); err != nil {
		return "", err
	}
	return s.login(user, false)
}

func cmdStartTLS(s *session, p *parser) (string, error) {
	if err := p.end(); err != nil {
		return "", err
	}
	s.line("%s OK Begin TLS negotiation now", s.tag)
	if err := s.out.flush(); err != nil {
		return "", err
	}
	conn := tls.Server(s.raw, s.srv.cert.config)
	if err := conn.Handshake(); err != nil {
		return "", err
	}
	s.raw, s.secure = conn, true
	// Bytes sent before the handshake are dropped (RFC 9051 section 11.1).
	s.in = bufio.NewReaderSize(countingReader{s.raw, s}, 8<<10)
	s.out.dst = conn
	return "", errAnswered
}
