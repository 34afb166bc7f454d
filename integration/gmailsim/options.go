package gmailsim

import (
	"io"
	"time"
)

// ExpungeBehavior is Gmail's setting for a message that leaves its last
// visible IMAP folder.
type ExpungeBehavior int

const (
	// ExpungeArchive keeps the message in All Mail (Gmail's default).
	ExpungeArchive ExpungeBehavior = iota
	// ExpungeTrash moves it to Trash.
	ExpungeTrash
	// ExpungeForever deletes it at once.
	ExpungeForever
)

// Options configure a Server; the zero value is a Gmail-like server for
// user "user@example.com" with the password "password".
type Options struct {
	// User is the only account's login name. Default "user@example.com".
	User string
	// Password is what LOGIN and AUTHENTICATE PLAIN accept. Default "password".
	Password string
	// Tokens are the access tokens XOAUTH2 and OAUTHBEARER accept.
	Tokens []string
	// TokenOK tells whether an access token that is not in Tokens is a user's. Nil accepts none.
	TokenOK func(user, token string) bool
	// Locale names the system folders: "en-US" (default), "en-GB", "de",
	// "fr", "ru" or "ja". An unknown one is treated as "en-US".
	Locale string
	// Generic switches to the plain personality when not nil.
	Generic *Generic
	// Without lists capabilities that are neither announced nor obeyed, for
	// example "CONDSTORE", "ESEARCH", "COMPRESS=DEFLATE", "MOVE".
	Without []string
	// TLS makes Serve expect TLS at once, with a certificate for localhost,
	// 127.0.0.1 and ::1 made in memory; see Server.CertPool.
	TLS bool
	// MaxConns is how many connections may have tried to log in and still be
	// open. Default 15, Gmail's limit; negative means no limit.
	MaxConns int
	// AutoExpungeOff makes \Deleted wait for EXPUNGE. Gmail's default is to
	// expunge at once. Ignored with Generic, which always waits.
	AutoExpungeOff bool
	// Expunge is the "last folder" setting.
	Expunge ExpungeBehavior
	// QuotaUsed and QuotaLimit are in units of 1024 bytes. A zero limit means
	// a fixed plausible pair that exceeds 32 bits when counted in bytes.
	QuotaUsed, QuotaLimit int64
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Log receives the conversation, one line per line, literals shortened.
	Log io.Writer
}

// Generic describes a plain IMAP server: messages belong to one mailbox and
// are copied, not labelled.
type Generic struct {
	// Delimiter separates hierarchy levels; one ASCII character, or "" for a
	// flat namespace announced as NIL.
	Delimiter string
	// Prefix is the personal namespace's prefix, for example "INBOX.".
	Prefix string
	// Condstore, ObjectID, ESearch, ListStatus, SpecialUse and UTF8 announce
	// RFC 7162, 8474, 4731, 5819, 6154 and 6855.
	Condstore, ObjectID, ESearch, ListStatus, SpecialUse, UTF8 bool
	// Compress announces COMPRESS=DEFLATE (RFC 4978).
	Compress bool
	// Bare leaves out UIDPLUS, MOVE, UNSELECT, NAMESPACE, ID, CHILDREN,
	// LIST-EXTENDED, ENABLE and LITERAL-: only RFC 3501 and IDLE remain.
	Bare bool
	// UIDLast sends UID after every other item of a FETCH response, behind
	// BODY[] too.
	UIDLast bool
	// ThreadNil answers THREADID NIL.
	ThreadNil bool
	// StartTLS announces STARTTLS and refuses to log in before it.
	StartTLS bool
}

const (
	appendLimit   = 35651584 // bytes, as Gmail announces it
	maxLine       = 16 << 10 // bytes of a command without its literals
	maxLiterals   = 64 << 10 // bytes of all literals of a command but APPEND
	nonSyncLimit  = 4096     // RFC 7888 section 5, LITERAL-
	fetchChunk    = 256      // messages looked at per turn of the lock
	defaultConns  = 15
	couldNotParse = "Could not parse command"
)

func (o Options) withDefaults() Options {
	if o.User == "" {
		o.User = "user@example.com"
	}
	if o.Password == "" {
		o.Password = "password"
	}
	if o.MaxConns == 0 {
		o.MaxConns = defaultConns
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.QuotaLimit == 0 {
		o.QuotaUsed, o.QuotaLimit = 9_437_184, 15_728_640
	}
	return o
}
