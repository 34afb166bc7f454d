package imapd

import "testing"

func TestSession(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	s.mailbox("[Gmail]/Sent Mail", `\Sent`)
	s.add(simple, "INBOX", `\Seen`)
	s.add("Subject: two\r\n\r\nbody\r\n", "INBOX,Work/Clients")
	c := dial(t, serve(t, s.w.Reader, testOptions()))
	c.talk(`
		C: a0 CAPABILITY
		S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ENABLE ID AUTH=PLAIN
		S: a0 OK CAPABILITY completed
		C: a LOGIN u "pass word"
		S: a OK [CAPABILITY IMAP4rev1 ~ ACL ~] logged in, for reading
		C: b LIST "" "*"
		S: * LIST (\HasNoChildren) "/" INBOX
		S: * LIST (\Noselect \NonExistent \HasChildren) "/" "Work"
		S: * LIST (\HasNoChildren) "/" "Work/Clients"
		S: * LIST (\Noselect \NonExistent \HasChildren) "/" "[Gmail]"
		S: * LIST (\HasNoChildren \Sent) "/" "[Gmail]/Sent Mail"
		S: b OK LIST completed
		C: c SELECT INBOX
		S: * 2 EXISTS
		S: * 0 RECENT
		S: * OK [UNSEEN 2] First unseen message
		S: * OK [UIDVALIDITY ~] UIDs valid
		S: * OK [UIDNEXT 3] Predicted next UID
		S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft ~)
		S: * OK [PERMANENTFLAGS ()] Permanent flags
		S: * OK [HIGHESTMODSEQ ~
		S: * OK [MAILBOXID ~
		S: c OK [READ-ONLY] SELECT completed
		C: d UID FETCH 1:* (FLAGS)
		S: * 1 FETCH (UID 1 FLAGS (\Seen))
		S: * 2 FETCH (UID 2 FLAGS ())
		S: d OK UID FETCH completed
		C: e FETCH 2 (UID RFC822.SIZE INTERNALDATE BODY[])
		S: * 2 FETCH (UID 2 INTERNALDATE " 4-Mar-2021 05:06:07 +0200" RFC822.SIZE 22 BODY[] {22}
		S: Subject: two
		S:
		S: body
		S: )
		S: e OK FETCH completed
		C: f MYRIGHTS INBOX
		S: * MYRIGHTS "INBOX" lr
		S: f OK MYRIGHTS completed
		C: g UID SEARCH UNSEEN SUBJECT "TWO"
		S: * SEARCH 2
		S: g OK UID SEARCH completed
		C: h CLOSE
		S: h OK CLOSE completed
		C: i LOGOUT
		S: * BYE Logging out
		S: i OK LOGOUT completed
	`)
	c.closed()
}

func TestRev2(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "Mühle & Co", `\Seen`)
	login(t, serve(t, s.w.Reader, testOptions())).talk(`
		C: a ENABLE IMAP4rev2
		S: * ENABLED IMAP4rev2
		S: a OK ENABLE completed
		C: b SELECT "Mühle & Co"
		S: * 1 EXISTS
		S: * OK [UIDVALIDITY ~
		S: * OK [UIDNEXT 2] ~
		S: * FLAGS ~
		S: * OK [PERMANENTFLAGS ()] ~
		S: * LIST (\HasNoChildren) "/" "Mühle & Co"
		S: * OK [HIGHESTMODSEQ ~
		S: * OK [MAILBOXID ~
		S: b OK [READ-ONLY] SELECT completed
		C: c SEARCH SEEN
		S: * ESEARCH (TAG "c") ALL 1
		S: c OK SEARCH completed
		C: d UID SEARCH UNSEEN
		S: * ESEARCH (TAG "d") UID
		S: d OK UID SEARCH completed
	`)
}
