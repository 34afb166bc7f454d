package imapd

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

const (
	maxLine    = 48 << 10 // bytes of a command without its literals; the library's limit is 50 KiB, and an ID may have 32 before login (RFC 2971 section 3.3)
	maxLiteral = 4 << 10  // bytes of one literal; the library's limit (RFC 7888 section 5 has the same for LITERAL-)
	maxRoom    = 64 << 10 // bytes of all literals of a command
	earlyRoom  = 8 << 10  // the same before login
	maxEarly   = 100      // commands before login
	maxReply   = 2 << 10  // bytes of a line that answers a continuation request
	maxParts   = 64       // literals in one command
	maxBlunder = 20       // malformed commands on one connection
)

// command is what conn knows of the command that the library is working on.
type command struct {
	tag      string
	name     string // upper case, with its "UID "
	open     bool   // the library has been given it
	answered bool   // the library has sent the tagged response
	size     int    // bytes of its lines so far
	parts    int    // literals so far
	room     int64  // how many bytes of literals may still come

	more    bool  // the line given last ends in a literal, after which the command goes on
	literal int64 // bytes of that literal that the library has not been given
	nonSync bool  // the client sends that literal without being asked
	replies bool  // the client goes on with lines that are no commands: AUTHENTICATE

	translate    lineTranslator  // of the lines after the first; nil: as they are
	fetch        fetchItems      // of FETCH
	selecting    bool            // SELECT, given to the library as EXAMINE
	saveOnly     bool            // SEARCH RETURN (SAVE), which has no untagged response
	status       []string        // items of STATUS that the library does not know
	statusValues []string        // with their values, for its next response
	tail         []byte          // responses to send before the tagged one, if that is OK
	fault        *imap.Error     // what is wrong with a search key that only this package knows
	arrange      *arrangement    // of SORT and THREAD; nil: SEARCH
	extended     bool            // SEARCH RETURN and SORT RETURN
	byModSeq     bool            // SEARCH MODSEQ
	sync         selectSync      // of SELECT
	enabling     string          // the arguments of ENABLE
	labels       *archive.Labels // of the selected mailbox, for the search keys of SEARCH
}

// lineTranslator rewrites one line of a command.
type lineTranslator interface {
	translate(line []byte) []byte
}

// next makes c.ready what the library is waiting for.
func (c *conn) next() error {
	cmd := &c.cmd
	if cmd.open && !cmd.answered {
		switch {
		case cmd.literal > 0:
			return c.giveLiteral()
		case cmd.more:
			return c.giveLine()
		case cmd.replies:
			return c.giveReply()
		}
	}
	if err := c.dropRest(); err != nil {
		return err
	}
	if c.hangUp != "" {
		return c.bye(c.hangUp)
	}
	return c.command()
}

// giveLiteral gives the library what there is of a literal.
func (c *conn) giveLiteral() error {
	if len(c.in) == 0 {
		if err := c.fill(); err != nil {
			return err
		}
	}
	n := min(c.cmd.literal, int64(len(c.in)))
	c.ready = c.take(int(n))
	c.cmd.literal -= n
	return nil
}

// giveLine gives the library the line that follows a literal.
func (c *conn) giveLine() error {
	line, err := c.line(maxLine - c.cmd.size)
	if err != nil {
		return c.tooLong(err)
	}
	if !balanced(line) {
		return c.bye("a quoted string does not end")
	}
	if !c.cmd.announce(line) {
		return c.bye(tooBig)
	}
	c.cmd.size += len(line)
	if c.cmd.translate != nil {
		line = c.cmd.translate.translate(line)
	}
	c.ready = line
	return nil
}

// giveReply gives the library a line that is no command.
func (c *conn) giveReply() error {
	c.begun = time.Time{}
	line, err := c.line(maxReply)
	if err != nil {
		return c.tooLong(err)
	}
	c.ready = line
	return nil
}

// tooBig says what a command may hold.
const tooBig = "literals are limited to 4 KiB each and 64 KiB in a command, 8 KiB before login"

// newCommand is a command of which nothing is known but how much it may hold.
func (c *conn) newCommand() command {
	if c.session.authenticated() {
		return command{room: maxRoom}
	}
	return command{room: earlyRoom}
}

// announce notes the literal at the end of line. It returns false when the library would refuse it, which it does badly.
func (cmd *command) announce(line []byte) bool {
	size, nonSync, ok := literalAt(line)
	cmd.more, cmd.literal, cmd.nonSync = ok, size, nonSync
	if ok {
		cmd.parts++
	}
	if size > maxLiteral {
		return false
	}
	cmd.room -= size
	return cmd.room >= 0 && cmd.parts <= maxParts
}

// dropRest skips what the client still sends of a command that has been answered: it does not wait to be asked for a non-synchronizing literal (RFC 7888), nor
// for the answer before it goes on after one.
func (c *conn) dropRest() error {
	cmd := &c.cmd
	for cmd.more && cmd.nonSync {
		for cmd.literal > 0 {
			c.begun = time.Time{} // it may be of any length, and so take any time
			if err := c.giveLiteral(); err != nil {
				return err
			}
		}
		line, err := c.line(maxLine)
		if err != nil {
			return c.tooLong(err)
		}
		cmd.announce(line)
	}
	c.ready = nil
	*cmd = command{}
	return nil
}

var errTooLong = errors.New("line too long")

// line takes the next line from the client with its line end. It is valid until c.in is filled again.
func (c *conn) line(limit int) ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(c.in[seen:], '\n'); i >= 0 {
			if seen+i+1 > limit {
				return nil, errTooLong
			}
			return c.take(seen + i + 1), nil
		}
		seen = len(c.in)
		if seen > limit {
			return nil, errTooLong
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// take consumes n bytes of c.in.
func (c *conn) take(n int) []byte {
	b := c.in[:n:n]
	c.in = c.in[n:]
	return b
}

// tooLong ends the connection after a line beyond all limits: there is no telling where the next command begins.
func (c *conn) tooLong(err error) error {
	if errors.Is(err, errTooLong) {
		return c.bye("command line too long")
	}
	return err
}

// literalAt parses the announcement of a literal at the end of a line: {12} or {12+}.
func literalAt(line []byte) (size int64, nonSync, ok bool) {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if !bytes.HasSuffix(line, []byte("}")) {
		return 0, false, false
	}
	i := bytes.LastIndexByte(line, '{')
	if i < 0 {
		return 0, false, false
	}
	digits, nonSync := strings.CutSuffix(string(line[i+1:len(line)-1]), "+")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, false, false
	}
	return int64(n), nonSync, true
}

// balanced reports whether every quoted string in line ends there. The library would look for its end in the commands that follow.
func balanced(line []byte) bool {
	for i := 0; i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		end := quotedEnd(line[i:])
		if end < 0 {
			return false
		}
		i += end - 1
	}
	return true
}

// quotedEnd is the length of the quoted string at the beginning of b, or -1 when it does not end.
func quotedEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}
