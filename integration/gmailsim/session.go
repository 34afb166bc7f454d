package gmailsim

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// noError and badError become the tagged reply.
type noError string

// Error implements error.
func (e noError) Error() string { return string(e) }

type badError string

// Error implements error.
func (e badError) Error() string { return string(e) }

var errBye = errors.New("session is over")

// session is one connection. Its goroutine is the only writer of its output;
// fields below the line are guarded by the store's lock.
type session struct {
	srv      *Server
	raw      net.Conn
	in       *bufio.Reader
	out      *out
	id       int
	slot     bool // guarded by Server.mu
	secure   bool
	authed   bool
	utf8     bool
	condFlag bool // a CONDSTORE enabling command was seen
	deflated bool
	tag      string
	name     string // "UID FETCH"
	do       Action
	wake     chan struct{}

	// guarded by store.mu
	box      *mailbox
	view     []*place
	firstUID uint32
	readOnly bool
	gone     []uint32
	changed  []*place
}

func newSession(srv *Server, conn net.Conn, id int) *session {
	s := &session{srv: srv, raw: conn, id: id, wake: make(chan struct{}, 1)}
	if srv.opt.TLS {
		s.raw, s.secure = tls.Server(conn, srv.cert.config), true
	}
	s.in = bufio.NewReaderSize(countingReader{s.raw, s}, 8<<10)
	s.out = newOut(s)
	srv.stats.update(func(c *Counters) { c.Connections++ })
	return s
}

// poke wakes an IDLE; the store's lock is held.
func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *session) run() {
	defer s.srv.forget(s)
	defer s.raw.Close()
	defer s.deselect()
	if err := s.greet(); err != nil {
		// A BYE instead of a greeting, if that is what the fault says.
		s.out.flush()
		return
	}
	for {
		line, err := s.readCommand()
		if err = s.serve(line, err); err != nil {
			// Nobody is left to tell: the client has its BYE or is gone.
			s.out.flush()
			return
		}
	}
}

func (s *session) greet() error {
	s.name = "CONNECT"
	s.do = s.srv.take("CONNECT", "", "", s.id)
	if s.do.Bandwidth != 0 {
		s.out.bandwidth = s.do.Bandwidth
	}
	if err := s.refuse(); err != nil {
		if isReply(err) {
			s.line("* BYE %s", err)
		}
		return err
	}
	if s.srv.opt.Generic != nil {
		s.line("* OK [CAPABILITY %s] ready", s.capabilities())
	} else {
		s.line("* OK Gimap ready for requests from %s sim%d", hostOf(s.raw), s.id)
	}
	return s.out.flush()
}

func hostOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return "127.0.0.1"
	}
	return host
}

// line writes one response line; literals may stand inside.
func (s *session) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.logf("S: %s", text)
	s.out.buf.WriteString(text)
	s.out.buf.WriteString("\r\n")
}

func (s *session) continuation(text string) error {
	s.line("+ %s", text)
	return s.out.flush()
}

func (s *session) logf(format string, args ...any) {
	w := s.srv.opt.Log
	if w == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > 2000 {
		text = text[:2000] + "..."
	}
	s.srv.logMu.Lock()
	defer s.srv.logMu.Unlock()
	fmt.Fprintf(w, "%d %s\n", s.id, strings.ToValidUTF8(text, "?"))
}

// serve runs one command and answers it; an error ends the session.
func (s *session) serve(buf []byte, readErr error) error {
	s.tag, s.name = "*", ""
	p := &parser{buf: buf, utf8: s.utf8}
	var fatal protocolError
	if readErr != nil && !isReply(readErr) && !errors.As(readErr, &fatal) {
		return readErr
	}
	cmd, err := s.begin(p)
	if readErr != nil {
		err = readErr
	}
	s.logCommand(buf)
	if fatal != "" {
		s.line("%s BAD %s", s.tag, fatal)
		return errBye
	}
	if err != nil {
		return s.finish("", err)
	}
	s.srv.stats.update(func(c *Counters) { c.Commands[s.name]++ })
	if err := s.prepare(buf); err != nil {
		return s.finish("", err)
	}
	if err := s.allowed(cmd); err != nil {
		return s.finish("", err)
	}
	text, err := cmd.run(s, p)
	return s.finish(text, err)
}

func isReply(err error) bool {
	var no noError
	var bad badError
	return errors.As(err, &no) || errors.As(err, &bad) || errors.Is(err, errParse)
}

// begin reads the tag and the command's name.
func (s *session) begin(p *parser) (command, error) {
	tag := p.run(func(c byte) bool { return astringChar(c) && c != '+' })
	if tag == "" || !p.accept(' ') {
		return command{}, errParse
	}
	s.tag = tag
	name, err := p.atom()
	if err != nil {
		return command{}, err
	}
	name = strings.ToUpper(name)
	if name == "UID" {
		if err := p.sp(); err != nil {
			return command{}, err
		}
		sub, err := p.atom()
		if err != nil {
			return command{}, err
		}
		name += " " + strings.ToUpper(sub)
	}
	s.name = name
	cmd, ok := s.srv.commands[name]
	if !ok || cmd.needs != "" && !s.has(cmd.needs) {
		return command{}, badError("Unknown command " + s.tag)
	}
	return cmd, nil
}

// logCommand hides what is secret.
func (s *session) logCommand(buf []byte) {
	if s.srv.opt.Log == nil {
		return
	}
	if s.name == "LOGIN" || s.name == "AUTHENTICATE" {
		s.logf("C: %s %s ...", s.tag, s.name)
		return
	}
	s.logf("C: %s", buf)
}

// prepare looks up the faults of this command and does what comes first.
func (s *session) prepare(buf []byte) error {
	s.do = s.srv.take(s.name, string(buf[:min(len(buf), maxLine)]), s.mailboxOf(buf), s.id)
	if s.do.Bandwidth != 0 {
		s.out.bandwidth = s.do.Bandwidth
	}
	if !s.sleep(s.do.Latency) {
		return errBye
	}
	if s.do.Run != nil {
		s.do.Run()
	}
	return s.refuse()
}

// refuse does the part of an action that replaces or precedes the answer.
func (s *session) refuse() error {
	for _, l := range s.do.Unsolicited {
		s.line("%s", l)
	}
	s.out.buf.WriteString(s.do.Raw)
	s.armCut()
	switch {
	case s.do.Close:
		return s.out.cut()
	case s.do.Stall:
		s.out.flush()
		s.stall()
		return errBye
	case s.do.Bye != "":
		s.line("* BYE %s", s.do.Bye)
		return errBye
	case s.do.No != "":
		return noError(s.do.No)
	case s.do.Bad != "":
		return badError(s.do.Bad)
	}
	return nil
}

// armCut sets the byte where this command's answer breaks off.
func (s *session) armCut() {
	at := func(n int64) int64 { return s.out.position() + max(n, 0) }
	switch {
	case s.do.CutAfter != 0:
		s.out.stopAt, s.out.stall = at(s.do.CutAfter), false
	case s.do.StallAfter != 0:
		s.out.stopAt, s.out.stall = at(s.do.StallAfter), true
	}
}

// mailboxOf is the selected mailbox, or for a command that names one, that.
func (s *session) mailboxOf(buf []byte) string {
	if s.srv.commands[s.name].namesMailbox {
		p := &parser{buf: buf, utf8: s.utf8}
		p.run(func(c byte) bool { return c != ' ' })
		p.accept(' ')
		p.run(func(c byte) bool { return c != ' ' })
		p.accept(' ')
		name, err := p.mailbox()
		if err == nil {
			return name
		}
	}
	s.srv.st.mu.Lock()
	defer s.srv.st.mu.Unlock()
	if s.box != nil {
		return s.box.name
	}
	return ""
}

// finish sends pending updates and the tagged reply.
func (s *session) finish(text string, err error) error {
	var no noError
	var bad badError
	switch {
	case err == nil:
		s.sync(!noExpunge[s.name])
		err = s.finishOK(text)
	case errors.Is(err, errAnswered):
		err = nil
	case errors.As(err, &no):
		s.sync(!noExpunge[s.name])
		s.line("%s NO %s", s.tag, no)
		err = nil
	case errors.As(err, &bad):
		s.line("%s BAD %s", s.tag, bad)
		err = nil
	case errors.Is(err, errParse):
		s.line("%s BAD %s", s.tag, couldNotParse)
		err = nil
	}
	s.do = Action{}
	if err != nil {
		return err
	}
	return s.out.flush()
}

func (s *session) finishOK(text string) error {
	for _, l := range s.do.UnsolicitedAfter {
		s.line("%s", l)
	}
	if s.do.ByeAfter != "" {
		s.line("* BYE %s", s.do.ByeAfter)
		return errBye
	}
	if s.do.Throttled {
		text += " [THROTTLED]"
	}
	s.line("%s OK %s", s.tag, text)
	if s.name == "LOGOUT" {
		return errBye
	}
	return nil
}

// noExpunge are the commands during which sequence numbers must not move
// (RFC 3501 section 7.4.1).
var noExpunge = map[string]bool{"FETCH": true, "STORE": true, "SEARCH": true}

// sync tells the client what changed in the selected mailbox.
func (s *session) sync(expunge bool) {
	st := &s.srv.st
	st.mu.Lock()
	if s.box == nil {
		st.mu.Unlock()
		return
	}
	lines := s.flagLines()
	removed := 0
	if expunge {
		lines, removed = s.expungeLines(lines)
	}
	if len(s.gone) == 0 {
		now := s.box.places
		if s.firstUID > 0 {
			now = now[uidIndex(now, s.firstUID):]
		}
		if removed > 0 || len(now) != len(s.view) {
			lines = append(lines, fmt.Sprintf("* %d EXISTS", len(now)))
		}
		s.view = now
	}
	st.mu.Unlock()
	for _, l := range lines {
		s.line("%s", l)
	}
}

// flagLines empties the list of changed messages; the lock is held.
func (s *session) flagLines() []string {
	var lines []string
	said := map[*place]bool{}
	for _, p := range s.changed {
		i := uidIndex(s.view, p.uid)
		if said[p] || p.gone || i >= len(s.view) || s.view[i] != p {
			continue
		}
		said[p] = true
		lines = append(lines, fmt.Sprintf("* %d FETCH (%s)", i+1, s.flagItems(p, true)))
	}
	s.changed = nil
	return lines
}

// flagItems is what STORE and unsolicited FETCH replies tell of flags.
func (s *session) flagItems(p *place, uid bool) string {
	var b strings.Builder
	if uid {
		fmt.Fprintf(&b, "UID %d ", p.uid)
	}
	if s.condFlag {
		fmt.Fprintf(&b, "MODSEQ (%d) ", p.msg.modseq)
	}
	return b.String() + "FLAGS " + p.shown().wire()
}

// expungeLines turns removed UIDs into EXPUNGE; the lock is held and the
// caller replaces the view.
func (s *session) expungeLines(lines []string) ([]string, int) {
	slices.Sort(s.gone)
	removed := 0
	for _, uid := range slices.Compact(s.gone) {
		i := uidIndex(s.view, uid)
		if i < len(s.view) && s.view[i].uid == uid {
			lines = append(lines, fmt.Sprintf("* %d EXPUNGE", i+1-removed))
			removed++
		}
	}
	s.gone = nil
	return lines, removed
}

// deselect leaves the mailbox.
func (s *session) deselect() {
	s.srv.st.mu.Lock()
	defer s.srv.st.mu.Unlock()
	if s.box != nil {
		delete(s.box.watchers, s)
	}
	s.box, s.view, s.gone, s.changed, s.firstUID = nil, nil, nil, nil, 0
}

func isBufferFull(err error) bool { return errors.Is(err, bufio.ErrBufferFull) }
