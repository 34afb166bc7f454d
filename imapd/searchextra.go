package imapd

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// rowTest reports whether a message is found. It may read the message, and then sets candidate.err when it cannot.
type rowTest func(m *candidate) bool

// extraKey compiles a search key that the library does not know. value is its one argument.
type extraKey func(s *session, key, value string) (rowTest, *imap.Error)

// extraKeys are these search keys. The library is given a search for the key's argument in a header field instead, whose name no field can have: so it parses the
// argument, wherever in a command the key stands.
var extraKeys map[string]extraKey

func init() {
	extraKeys = map[string]extraKey{
		"X-GM-MSGID":  searchGmailID,
		"X-GM-THRID":  searchGmailID,
		"X-GM-LABELS": searchLabels,
		"X-GM-RAW":    searchRaw,
		"EMAILID":     searchObjectID,
		"THREADID":    searchObjectID,
		"MODSEQ":      searchModSeq,
		"OLDER":       searchAge,
		"YOUNGER":     searchAge,
	}
}

// extraKeyPrefix begins the name of such a header field.
const extraKeyPrefix = "mailkeep:"

// searchAge compiles the search keys OLDER and YOUNGER (RFC 5032): the age of INTERNALDATE in seconds.
func searchAge(_ *session, key, value string) (rowTest, *imap.Error) {
	seconds, err := strconv.ParseUint(value, 10, 32)
	if err != nil || seconds == 0 {
		return nil, badSearch(key + " wants a number of seconds")
	}
	limit := time.Now().Unix() - int64(seconds)
	if key == "OLDER" {
		return func(m *candidate) bool { return m.row.date <= limit }, nil
	}
	return func(m *candidate) bool { return m.row.date >= limit }, nil
}

// compileExtra adds a key of extraKeys to q, when field stands for one. What is wrong with it is left in the command's fault.
func (s *session) compileExtra(q *query, field, value string) bool {
	key, ok := strings.CutPrefix(field, extraKeyPrefix)
	if !ok || extraKeys[key] == nil {
		return false
	}
	test, fault := extraKeys[key](s, key, value)
	if fault != nil {
		s.conn.cmd.fault = fault
	} else {
		q.tests = append(q.tests, test)
	}
	return true
}

// passes applies the tests of keys that the library does not know.
func (q *query) passes(m *candidate) bool {
	for _, test := range q.tests {
		if !test(m) || m.err != nil {
			return false
		}
	}
	return true
}

func badSearch(text string) *imap.Error {
	return &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: text}
}

// unreadable is what the client is told when err has come between.
func unreadable(s *session, err error) *imap.Error {
	var told *imap.Error
	errors.As(s.translate(err), &told)
	return told
}
