package message

import "math/bits"

// summaryFields are the header fields of which a [Summary] keeps the lines: those that mail programs ask for, message by message, when they list a mailbox with
// BODY.PEEK[HEADER.FIELDS (...)]. The place in the table is the number of the field in an encoded summary: with another table comes another SummaryVersion.
// At most 64 fields.
//
// Thunderbird asks for From to Received; mutt and neomutt for Sender, Lines, List-Post and what follows up to X-Original-To; K-9 Mail and Thunderbird for Android for
// List-Unsubscribe, X-K9mail-Identity and Chat-Version; Roundcube for Disposition-Notification-To to Return-Path; Apple's programs for X-Uniform-Type-Identifier to List-Id;
// Outlook Express for X-Ref to X-MSOESRec; alpine for Followup-To and the Content fields; Evolution for the marks of mailing lists; isync and offlineimap for their own.
var summaryFields = [...]string{
	"DKIM-Signature", "Authentication-Results", "BIMI-Indicator", "BIMI-Location", "X-BIMI-Indicator-Hash",
	"From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Priority", "X-Priority", "References", "Newsgroups", "In-Reply-To", "Content-Type", "Reply-To", "Received",
	"Sender", "Content-Description", "Lines", "List-Post", "X-Label", "List-Subscribe", "List-Unsubscribe", "X-Original-To",
	"X-K9mail-Identity", "Chat-Version",
	"Disposition-Notification-To", "Content-Transfer-Encoding", "X-Draft-Info", "Mail-Followup-To", "Mail-Reply-To", "Return-Path", "Importance",
	"X-Uniform-Type-Identifier", "X-Universally-Unique-Identifier", "List-Id",
	"X-Ref", "X-MSMail-Priority", "X-MSOESRec",
	"Followup-To", "Content-Disposition", "Content-Language", "Content-Location", "Content-MD5",
	"X-Mailing-List", "X-Loop", "Mailing-List", "Originator", "X-List", "X-BeenThere",
	"X-TUID", "X-OfflineIMAP", "X-Mozilla-Keys", "MIME-Version", "Keywords",
}

// notedFields are those at the beginning of the table, whose lines are not kept: they are long, and only Apple's programs ask for them. A summary says whether the
// message has any.
const notedFields FieldSet = 1<<5 - 1

// FieldSet is a set of header fields that a [Summary] knows. The zero FieldSet is empty.
type FieldSet uint64

// NewFieldSet returns the set of the fields called names, in any case. ok is false when summaries do not know one of them, so that the header has to be read.
func NewFieldSet(names []string) (set FieldSet, ok bool) {
	for _, name := range names {
		n := summaryField([]byte(name))
		if n < 0 {
			return 0, false
		}
		set |= 1 << n
	}
	return set, true
}

// summaryField is the number of the field called name, in any case, or -1.
func summaryField(name []byte) int {
	if len(name) == 0 || len(name) >= len(fieldsByLength) {
		return -1
	}
	c := lower(name[0])
	for set := fieldsByLength[len(name)] & fieldsByInitial[c&31]; set != 0; set &= set - 1 {
		if n := bits.TrailingZeros64(uint64(set)); equalFoldASCII(name, summaryFields[n]) {
			return n
		}
	}
	return -1
}

// fieldsByLength and fieldsByInitial tell in two steps which fields a name may be: of its length, and of its first letter (its lowest five bits).
var fieldsByLength, fieldsByInitial = func() (byLength, byInitial [32]FieldSet) {
	for n, name := range summaryFields {
		byLength[len(name)] |= 1 << n
		byInitial[name[0]&31] |= 1 << n
	}
	return byLength, byInitial
}()
