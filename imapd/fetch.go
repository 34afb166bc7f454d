package imapd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"mailkeep/archive"
	"mailkeep/message"
)

// Fetch implements FETCH and UID FETCH (RFC 9051 section 6.4.5). The responses are written here, in wire form: between two responses the library holds nothing back, so
// they can go straight to the connection. No FETCH sets \Seen: the archive cannot.
func (s *session) Fetch(_ *imapserver.FetchWriter, set imap.NumSet, o *imap.FetchOptions) error {
	snap, err := s.selected(s.ctx())
	if err != nil {
		return err
	}
	spans, err := s.resolve(snap, set)
	if err != nil {
		return err
	}
	f := s.newFetcher(snap, spans, o)
	_, f.byUID = set.(imap.UIDSet)
	defer f.close()
	if err := f.syncFetch(set); err != nil {
		return err
	}
	if err := f.messages(); err != nil {
		return err
	}
	if err := f.flush(); err != nil {
		return err
	}
	if f.unread > maxTold {
		s.srv.log.Error("imap: more messages cannot be read", "number", f.unread-maxTold)
	}
	if f.failed != nil {
		return f.failed
	}
	return nil
}

// messages writes the responses for all messages.
func (f *fetcher) messages() error {
	if f.inParts() {
		return f.assemble()
	}
	for _, sp := range f.spans {
		for i, r := range f.snap.rows(sp.from, sp.to) {
			if err := f.message(i, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetcher answers one FETCH command.
type fetcher struct {
	s        *session
	snap     *snapshot
	options  *imap.FetchOptions
	items    *fetchItems
	sections []sectionPlan // of options.BodySection
	rowOnly  bool          // nothing is asked for but what the row tells
	byUID    bool
	spans    []span       // what is asked for
	pos      *position    // for MODSEQ; else nil
	labels   *labelWriter // nil until needed

	src       source // the message that is looked at
	summaries summaries
	out       []byte      // responses not handed to the connection yet
	pieces    []piece     // what has to go between the bytes of out
	failed    *imap.Error // what to say of messages left out

	start  int   // where the current response begins in out
	data   int   // bytes of pieces that are in memory
	begun  bool  // a part of the current response has been sent
	apart  bool  // it works on parts for another fetcher, and sends nothing
	broken error // the connection is lost

	unread int       // messages left out that were not taken out of the archive
	looked time.Time // when now was read
	now    *snapshot // the mailbox as it is in the archive; nil until a message is missing
}

func (s *session) newFetcher(snap *snapshot, spans []span, o *imap.FetchOptions) *fetcher {
	f := &fetcher{s: s, snap: snap, spans: spans, options: o, items: &s.conn.cmd.fetch}
	f.summaries.bodies, f.summaries.many = &s.srv.bodies, count(spans) > recentMany
	f.src = source{bodies: &s.srv.bodies, summaries: &f.summaries, snap: snap}
	f.out = newBlock()
	f.rowOnly = !o.Envelope && o.BodyStructure == nil && len(o.BodySection)+len(o.BinarySection)+len(o.BinarySectionSize)+len(f.items.extra) == 0
	for k, b := range o.BodySection {
		f.sections = append(f.sections, planSection(b, f.items.obsolete(k)))
	}
	return f
}

// close releases what the fetcher holds.
func (f *fetcher) close() {
	f.src.close()
	f.summaries.close()
	releaseBlock(f.out)
	f.out = nil
}

// maxHeld is how much of a response is put together in memory before it is sent: a client may ask for a large part a thousand times in one command.
const maxHeld = 1 << 20

// maxTold is how many unreadable messages one FETCH logs: when the disk is gone, all are.
const maxTold = 10

// piece is a part of a response that is too large to be copied into fetcher.out.
type piece struct {
	at        int // place in out
	file      *os.File
	offset, n int64  // what to send of file
	data      []byte // what to send when file is nil
}

// message writes the response for the message at index i. One that cannot be read is left out and remembered; only a broken connection is an error. Afterwards nothing is held of
// the message: others may wait for the memory.
func (f *fetcher) message(i int, r *row) (err error) {
	defer f.done(r, &err)
	if f.items.modifiers.changed && r.modSeq <= f.items.modifiers.since {
		return nil
	}
	if r.ref.IsZero() {
		if f.apart {
			return errAhead
		}
		f.missing(r, archive.ErrNotFound)
		return nil
	}
	f.start, f.begun = len(f.out), false
	if f.rowOnly {
		f.out = f.appendEnd(f.appendRow(f.out, i, r))
	} else {
		f.src.next(r)
		err = f.response(i, r, &f.src)
	}
	if f.broken != nil {
		return f.broken
	}
	if f.apart {
		if err != nil || len(f.pieces) > 0 || len(f.out) > aheadLarge {
			f.pieces, f.data = f.pieces[:0], 0
			return errAhead
		}
		return nil
	}
	if err != nil {
		f.takeBack()
		f.missing(r, err)
		return nil
	}
	if len(f.pieces) == 0 && len(f.out) < outputBuffer {
		return nil
	}
	return f.flush()
}

// takeBack forgets the current response, of which nothing has been sent.
func (f *fetcher) takeBack() {
	f.out, f.pieces, f.data = f.out[:min(f.start, len(f.out))], f.pieces[:0], 0
}

// done ends the work on a message, also when it has panicked: that is told where it happened, with the command and the message but nothing of what the message holds, and costs
// this one response; and the connection, when a part of that has been sent.
func (f *fetcher) done(r *row, err *error) {
	what := recover()
	f.src.close()
	if what == nil {
		return
	}
	cause := fmt.Sprintf("%T", what)
	if fault, ok := what.(runtime.Error); ok {
		cause = fault.Error()
	}
	f.s.srv.log.Error("imap: panic while a FETCH is answered", "command", f.s.conn.cmd.name, "uid", r.uid, "message", r.ref, "cause", cause, "stack", string(debug.Stack()))
	f.summaries.close()
	f.src = source{bodies: f.src.bodies, summaries: &f.summaries, snap: f.snap}
	switch {
	case f.apart:
		*err = errAhead
	case f.begun:
		f.s.conn.base.Close()
		*err = net.ErrClosed
	default:
		f.takeBack()
		f.failed = &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeServerBug, Text: fmt.Sprintf("message UID %d cannot be shown because of a fault in this server, whose log tells more; the others were sent", r.uid)}
		*err = nil
	}
}

// flush hands out to the connection.
func (f *fetcher) flush() error {
	done := 0
	for _, p := range f.pieces {
		if err := f.s.conn.send(f.out[done:p.at]); err != nil {
			return err
		}
		done = p.at
		var err error
		if p.file != nil {
			err = f.s.conn.stream(p.file, p.offset, p.n)
		} else {
			err = f.s.conn.send(p.data)
		}
		if err != nil {
			return err
		}
	}
	err := f.s.conn.send(f.out[done:])
	f.out, f.pieces, f.data = f.out[:0], f.pieces[:0], 0
	return err
}

// item appends an item, which write does, with a blank behind it. When so much has been collected that it has to be sent, the rest of the response can no longer be taken
// back: an item that fails after that is left out alone.
func (f *fetcher) item(r *row, write func() error) error {
	out, pieces, data := len(f.out), len(f.pieces), f.data
	if err := write(); err != nil {
		if f.begun {
			f.out, f.pieces, f.data = f.out[:out], f.pieces[:pieces], data
			f.missing(r, err)
			err = nil
		}
		return err
	}
	if len(f.out)+f.data < maxHeld {
		return nil
	}
	if f.apart {
		return errAhead
	}
	f.begun = true
	f.out = f.out[:len(f.out)-1]
	f.broken = f.flush()
	f.out = append(f.out, ' ')
	return f.broken
}

// missing notes why a message is left out. One that was taken out of the archive meanwhile is not a failure: the client will be told (A7).
func (f *fetcher) missing(r *row, err error) {
	if errors.Is(err, archive.ErrNotFound) && (r.ref.IsZero() || f.expunged(r.uid)) {
		if !f.byUID && f.failed == nil {
			f.failed = &imap.Error{Type: imap.StatusResponseTypeNo, Code: "EXPUNGEISSUED", Text: "some of these messages are no longer in the archive"}
		}
		return
	}
	code := imap.ResponseCodeUnavailable
	switch {
	case errors.Is(err, message.ErrUnknownEncoding):
		f.failed = &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeUnknownCTE, Text: fmt.Sprintf("message UID %d has an unknown content transfer encoding", r.uid)}
		return
	case errors.Is(err, archive.ErrNotFound), errors.Is(err, errDamaged):
		code = imap.ResponseCodeCorruption
	}
	if f.unread++; f.unread <= maxTold {
		f.s.srv.log.Error("imap: message cannot be read", "uid", r.uid, "error", err)
	}
	f.failed = &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: fmt.Sprintf("message UID %d cannot be read from the archive, the others were sent", r.uid)}
}

// expunged reports whether the message with that UID has been taken out of the selected mailbox. Where many are missing the archive is not asked about each.
func (f *fetcher) expunged(uid archive.UID) bool {
	if f.now == nil || f.now.has(uid) && time.Since(f.looked) > f.s.srv.options.PollInterval {
		f.now, f.looked = f.s.current(), time.Now()
	}
	return !f.now.has(uid)
}

// current returns the selected mailbox as it is in the archive, or as the client knows it when that cannot be read.
func (s *session) current() *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box.view.check(s.ctx()) == nil {
		if now, err := s.box.view.latest(s.ctx(), 0); err == nil {
			return now
		}
	}
	return s.box.snap
}

// appendRow appends the beginning of the response for one message with what the row tells of it, each item with a blank behind it.
func (f *fetcher) appendRow(dst []byte, i int, r *row) []byte {
	o := f.options
	dst = appendFetchStart(dst, i)
	if o.UID {
		dst = append(appendUID(dst, r.uid), ' ')
	}
	if o.Flags {
		dst = append(append(dst, f.snap.flagsOf(r).item...), ' ')
	}
	if o.InternalDate {
		dst = append(dst, `INTERNALDATE "`...)
		dst = append(appendDateTime(dst, r.date, int(r.zone)), `" `...)
	}
	if f.items.size {
		dst = append(dst, "RFC822.SIZE "...)
		dst = append(strconv.AppendInt(dst, r.size, 10), ' ')
	}
	return dst
}

// appendEnd ends a response that has at least one item, or of which a part has been sent.
func (f *fetcher) appendEnd(dst []byte) []byte {
	if f.begun || dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1] // the last blank
	}
	return append(dst, ")\r\n"...)
}

// response appends the response for one message to out and pieces.
func (f *fetcher) response(i int, r *row, src *source) error {
	o := f.options
	dst := f.appendRow(f.out, i, r)
	dst, err := f.appendExtra(dst, src)
	if err != nil {
		return err
	}
	if o.Envelope || o.BodyStructure != nil {
		if dst, err = f.appendStructure(dst, src); err != nil {
			return err
		}
	}
	for _, b := range o.BinarySectionSize {
		if dst, err = f.appendBinarySize(dst, src, b); err != nil {
			return err
		}
	}
	f.out = dst
	for _, b := range o.BinarySection {
		if err = f.item(r, func() error { return f.binary(src, b) }); err != nil {
			return err
		}
	}
	for k, b := range o.BodySection {
		if err = f.item(r, func() error { return f.section(src, b, &f.sections[k]) }); err != nil {
			return err
		}
	}
	f.out = f.appendEnd(f.out)
	return nil
}

// appendStructure appends ENVELOPE, BODY and BODYSTRUCTURE.
func (f *fetcher) appendStructure(dst []byte, src *source) ([]byte, error) {
	if f.options.Envelope {
		env, err := src.envelope()
		if err != nil {
			return dst, err
		}
		dst = append(append(append(dst, "ENVELOPE "...), env...), ' ')
	}
	if f.options.BodyStructure == nil {
		return dst, nil
	}
	if f.items.plain {
		body, err := src.body(false)
		if err != nil {
			return dst, err
		}
		dst = append(append(append(dst, "BODY "...), body...), ' ')
	}
	if f.items.structure {
		body, err := src.body(true)
		if err != nil {
			return dst, err
		}
		dst = append(append(append(dst, "BODYSTRUCTURE "...), body...), ' ')
	}
	return dst, nil
}

func appendFetchStart(dst []byte, index int) []byte {
	dst = strconv.AppendUint(append(dst, "* "...), uint64(index+1), 10)
	return append(dst, " FETCH ("...)
}

func appendUID(dst []byte, uid archive.UID) []byte {
	return strconv.AppendUint(append(dst, "UID "...), uint64(uid), 10)
}

func appendFlags(dst []byte, flags string) []byte {
	return append(append(append(dst, "FLAGS ("...), flags...), ')')
}

// hasFlag reports whether flags, a list separated by blanks, has flag in any case.
func hasFlag(flags, flag string) bool {
	for f := range strings.SplitSeq(flags, " ") {
		if strings.EqualFold(f, flag) {
			return true
		}
	}
	return false
}
