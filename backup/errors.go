package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/emersion/go-imap/v2"

	"mailkeep/backup/wire"
)

// Errors that callers tell apart with errors.Is. Each is wrapped in a sentence that says what happened and what to try.
var (
	ErrAuth       = errors.New("the server refused to log in")
	ErrConnection = errors.New("no connection to the server")
	ErrProtocol   = errors.New("the server does not answer as IMAP asks")
	ErrArchive    = errors.New("the archive cannot be written")
	ErrQuota      = errors.New("enough was downloaded for now") // by the server's count or by Options.Quota
)

// failure is an error of one of the kinds above; its text is the sentence alone, without the kind's own words.
type failure struct {
	kind error
	text string
	err  error
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.text
	}
	return f.text + ": " + f.err.Error()
}

func (f *failure) Unwrap() []error {
	if f.err == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.err}
}

func fail(kind, err error, format string, args ...any) error {
	return &failure{kind: kind, text: fmt.Sprintf(format, args...), err: err}
}

// archiveFailure marks an error of the archive, unless it is only that the run was cancelled.
func archiveFailure(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrArchive) {
		return err
	}
	return fail(ErrArchive, err, "keep mail in the archive (look at the disk: free space, permissions, whether it is still attached)")
}

// refused returns the server's NO or BAD in err, or nil when err is something else: then the connection cannot be used any more. A refusal because the account downloaded
// too much is something else, too: it says nothing about what was asked for.
func refused(err error) *imap.Error {
	if no := answered(err); no != nil && !exhausted(no) {
		return no
	}
	return nil
}

// answered returns the server's NO or BAD in err, whatever it is for.
func answered(err error) *imap.Error {
	var no *imap.Error
	if errors.As(err, &no) && no.Type != imap.StatusResponseTypeBye {
		return no
	}
	return nil
}

// exhausted tells whether a server says that the account downloaded enough.
func exhausted(no *imap.Error) bool {
	text := strings.ToLower(no.Text)
	return no.Code == imap.ResponseCodeOverQuota || strings.Contains(text, "command or bandwidth limits") || strings.Contains(text, "[overquota]")
}

// brokenOff tells whether err is the end of a connection rather than nonsense from the server.
func brokenOff(err error) bool {
	if errors.Is(err, wire.ErrWire) {
		return false
	}
	var netErr net.Error
	if errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	return saysBroken(err)
}

// saysBroken looks for the end of a connection in the text of an error, since the client library formats causes into text.
func saysBroken(err error) bool {
	text := err.Error()
	for _, sign := range []string{"EOF", "timeout", "connection reset", "closed network connection", "connection closed before greeting", "broken pipe"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// passing tells whether what kept the very first connection from being opened may be over soon: it was dropped, its answer was garbled, or the server asks to come back later.
// Anything else is more likely a mistake in the settings, and waiting would only delay the sentence that says so.
func passing(err error) bool {
	var dns *net.DNSError
	var no *imap.Error
	switch {
	case errors.As(err, &dns):
		return !dns.IsNotFound
	case errors.As(err, &no):
		return errors.Is(err, ErrConnection)
	case errors.Is(err, ErrProtocol): // the greeting was one of IMAP
		return true
	}
	return dropped(err)
}

// fleeting are the system's errors of a network that is away or of a connection that was cut, here and as Windows numbers them. A refused connection is none: nobody
// listens there.
var fleeting = []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH,
	10050, 10051, 10053, 10054, 10065}

// dropped tells whether a connection that could be opened was lost, or answered no more, or the network is away. Nothing at all on a port is something else.
func dropped(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return slices.Contains(fleeting, errno)
	}
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "remote error") { // the latter is an alert of TLS
		return false
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	return saysBroken(err)
}

// classify gives an error of a command its kind and its advice.
func classify(err error, doing string) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, ErrAuth), errors.Is(err, ErrConnection), errors.Is(err, ErrProtocol), errors.Is(err, ErrArchive), errors.Is(err, ErrQuota):
		return err
	case refused(err) == nil && answered(err) != nil:
		return overQuota(err)
	case refused(err) != nil:
		return fail(ErrProtocol, err, "%s: the server refused; try again later, and report it if that does not help", doing)
	case brokenOff(err):
		return fail(ErrConnection, err, "%s: the connection was lost; check the network and run the backup again, it goes on where it was", doing)
	default:
		return fail(ErrProtocol, err, "%s: the server's answer makes no sense; run the backup again, and report it if that does not help", doing)
	}
}

// LoginError gives an error of LOGIN or AUTHENTICATE its kind: ErrAuth when the server refused, else ErrConnection or ErrProtocol. Nil stays nil.
func LoginError(err error) error {
	if err == nil {
		return nil
	}
	no := answered(err)
	if no == nil {
		return classify(err, "log in")
	}
	text := strings.ToLower(no.Text)
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	switch {
	case exhausted(no):
		return overQuota(err)
	case says("too many simultaneous connections", "maximum number of connections", "too many connections"):
		return fail(ErrConnection, err, "log in: too many programs are connected to this account at once; close some, or set connections = 1, and run the backup again")
	case no.Code == imap.ResponseCodeUnavailable || no.Code == "INUSE" || no.Code == imap.ResponseCodeLimit || says("temporary system problem"):
		return fail(ErrConnection, err, "log in: the server does not want to serve this account now; wait and run the backup again")
	case says("application-specific password", "app password", "app-specific password"):
		return fail(ErrAuth, err, "log in: the server takes an app password, not the account's password (Gmail: create one at https://myaccount.google.com/apppasswords)")
	case no.Code == "WEBALERT" || says("web browser", "web login"):
		return fail(ErrAuth, err, "log in: the server wants you to log in with a web browser first; do that and run the backup again")
	case says("not enabled for imap", "imap access is disabled", "imap is disabled", "enable imap"):
		return fail(ErrAuth, err, "log in: IMAP is switched off for this account; switch it on in the settings of its web mail")
	case no.Type == imap.StatusResponseTypeBad && no.Code == "":
		return fail(ErrProtocol, err, "log in: the server does not understand the login; run the backup again, and if that does not help try a password without unusual characters")
	case no.Code == "EXPIRED" || says("password expired", "password has expired"):
		return fail(ErrAuth, err, "log in: the password has expired; set a new one at the provider, then run \"mailkeep login\"")
	case no.Code == "AUTHORIZATIONFAILED" || no.Code == "CONTACTADMIN" || says("account is disabled", "account disabled", "account is locked", "account has been locked"):
		return fail(ErrAuth, err, "log in: the account is locked or not allowed to use IMAP; log in with a web browser or ask the provider")
	}
	return fail(ErrAuth, err, "log in: check the user name and the password (Gmail: an app password)")
}
