package imapd

import (
	"encoding/base64"
	"strconv"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// This file is OBJECTID (RFC 8474).

// emailID is the EMAILID of a message: equal for equal bytes, 24 characters of its digest.
func emailID(ref archive.Ref) string { return "M" + base64.RawURLEncoding.EncodeToString(ref[:18]) }

// mailboxID is the MAILBOXID of a mailbox, whose UIDVALIDITY no other mailbox of the archive ever has, and which keeps it when it is renamed (A5).
func mailboxID(box *archive.Mailbox) string {
	return "F" + strconv.FormatUint(uint64(box.UIDValidity), 36)
}

// threadName is the THREADID for an X-GM-THRID.
func threadName(id uint64) string { return "T" + strconv.FormatUint(id, 36) }

func (f *fetcher) emailID(dst []byte, src *source) ([]byte, error) {
	return append(append(append(dst, '('), emailID(src.row.ref)...), ')'), nil
}

func (f *fetcher) threadID(dst []byte, src *source) ([]byte, error) {
	id, err := threadID(src, f.s.gmail)
	return append(append(append(dst, '('), threadName(id)...), ')'), err
}

// searchObjectID compiles the search keys EMAILID and THREADID (RFC 8474 section 6).
func searchObjectID(s *session, key, value string) (rowTest, *imap.Error) {
	if key == "EMAILID" {
		return func(m *candidate) bool { return emailID(m.row.ref) == value }, nil
	}
	want, err := uint64(0), error(nil)
	if len(value) > 1 && value[0] == 'T' {
		want, err = strconv.ParseUint(value[1:], 36, 64)
	}
	gmail := s.gmail
	if want == 0 || err != nil || threadName(want) != value {
		return func(*candidate) bool { return false }, nil // no thread is called like this
	}
	return func(m *candidate) bool { return m.threadID(gmail, want) == want }, nil
}
