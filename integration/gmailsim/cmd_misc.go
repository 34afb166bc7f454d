package gmailsim

import (
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errAnswered says that the command wrote its own tagged reply.
var errAnswered = errors.New("answered")

func cmdNoop(_ *session, p *parser) (string, error) { return "Success", p.end() }

func cmdLogout(s *session, p *parser) (string, error) {
	if err := p.end(); err != nil {
		return "", err
	}
	s.deselect()
	s.line("* BYE LOGOUT Requested")
	return "73 good day (Success)", nil
}

func cmdID(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	if !p.word("NIL") {
		n := 0
		if err := p.list(func() error {
			n++
			if n%2 == 0 && p.word("NIL") {
				return nil
			}
			_, err := p.text()
			return err
		}); err != nil || n%2 != 0 {
			return "", errParse
		}
	}
	if err := p.end(); err != nil {
		return "", err
	}
	if s.srv.opt.Generic != nil {
		s.line(`* ID ("name" "gmailsim")`)
	} else {
		s.line(`* ID ("name" "GImap" "vendor" "Google, Inc." "support-url" "https://support.google.com/mail" "remote-host" %s)`,
			quote(hostOf(s.raw)))
	}
	return "Success", nil
}

func cmdEnable(s *session, p *parser) (string, error) {
	var on []string
	for !p.eof() {
		if p.sp() != nil {
			return "", errParse
		}
		name, err := p.atom()
		if err != nil {
			return "", err
		}
		name = strings.ToUpper(name)
		known := name == "CONDSTORE" || name == "UTF8=ACCEPT"
		if known && s.has(name) && !slices.Contains(on, name) {
			on = append(on, name)
		}
	}
	for _, name := range on {
		s.utf8 = s.utf8 || name == "UTF8=ACCEPT"
		s.condFlag = s.condFlag || name == "CONDSTORE"
	}
	s.line("%s", strings.TrimRight("* ENABLED "+strings.Join(on, " "), " "))
	return "Success", nil
}

func cmdNamespace(s *session, p *parser) (string, error) {
	if err := p.end(); err != nil {
		return "", err
	}
	prefix := ""
	if g := s.srv.opt.Generic; g != nil {
		prefix = g.Prefix
	}
	s.line("* NAMESPACE ((%s %s)) NIL NIL", quote(prefix), s.delimWire())
	return "Success", nil
}

func (s *session) delimWire() string {
	if s.srv.st.delim == "" {
		return "NIL"
	}
	return quote(s.srv.st.delim)
}

// cmdCompress starts raw deflate in both directions (RFC 4978). A zlib header
// is an error of the stream, which ends the connection as Gmail does.
func cmdCompress(s *session, p *parser) (string, error) {
	if p.sp() != nil || !p.word("DEFLATE") || p.end() != nil {
		return "", errParse
	}
	s.line("%s OK Success", s.tag)
	if err := s.out.flush(); err != nil {
		return "", err
	}
	if err := s.out.compress(); err != nil {
		return "", fmt.Errorf("start compression: %w", err)
	}
	s.in = bufio.NewReaderSize(flate.NewReader(s.in), 8<<10)
	s.deflated = true
	return "", errAnswered
}

func cmdGetQuota(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	root, err := p.astring()
	if err != nil || p.end() != nil {
		return "", errParse
	}
	if root != "" {
		return "", noError("[NONEXISTENT] Unknown quota root (Failure)")
	}
	s.quotaLine()
	return "Success", nil
}

func (s *session) quotaLine() {
	s.line(`* QUOTA "" (STORAGE %d %d)`, s.srv.opt.QuotaUsed, s.srv.opt.QuotaLimit)
}

func cmdGetQuotaRoot(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	name, err := p.mailbox()
	if err != nil || p.end() != nil {
		return "", errParse
	}
	s.srv.st.mu.Lock()
	b := s.srv.st.find(name)
	s.srv.st.mu.Unlock()
	if b == nil {
		return "", noError("[NONEXISTENT] Unknown Mailbox: " + name + " (Failure)")
	}
	s.line(`* QUOTAROOT %s ""`, mailboxWire(b.name, s.utf8))
	s.quotaLine()
	return "Success", nil
}

// cmdIdle reports changes until DONE (RFC 2177).
func cmdIdle(s *session, p *parser) (string, error) {
	if err := p.end(); err != nil {
		return "", err
	}
	if err := s.continuation("idling"); err != nil {
		return "", err
	}
	type read struct {
		line []byte
		err  error
	}
	lines := make(chan read, 1)
	go func() {
		line, err := s.readLine(maxLine)
		lines <- read{line, err}
	}()
	for {
		s.sync(true)
		if err := s.out.flush(); err != nil {
			// Unblocks the reader before leaving it.
			s.raw.Close()
			<-lines
			return "", err
		}
		select {
		case r := <-lines:
			if r.err != nil {
				return "", r.err
			}
			if !strings.EqualFold(strings.TrimSpace(string(r.line)), "DONE") {
				return "", badError("Unknown command during IDLE")
			}
			return "IDLE terminated (Success)", nil
		case <-s.wake:
		}
	}
}
