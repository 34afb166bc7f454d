package backup

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/archive"
)

// opening is an EXAMINE whose answer may still be on the way. Commands for the mailbox may be sent behind it at once: a server must not run them before it has answered (RFC
// 9051 section 5.5). What they bring counts only when the mailbox did open and is the right one. Several goroutines may wait for it.
type opening struct {
	cmd  *imapclient.SelectCommand // nil when the mailbox was open already
	once sync.Once
	box  *imap.SelectData
	err  error
}

func (o *opening) wait() (*imap.SelectData, error) {
	o.once.Do(func() {
		if o.cmd != nil {
			o.box, o.err = o.cmd.Wait()
		}
	})
	return o.box, o.err
}

// of waits and makes sure that the mailbox is the folder's and that its UIDs still mean the same.
func (o *opening) of(f *folder) error {
	data, err := o.wait()
	if err != nil {
		return abandoned(err)
	}
	return f.same(data)
}

// abandoned is the error of an EXAMINE: a refusal ends the pass over the mailbox only.
func abandoned(err error) error {
	if no := refused(err); no != nil {
		return fmt.Errorf("%w: %s", errAbandoned, no.Text)
	}
	return err
}

func (f *folder) same(data *imap.SelectData) error {
	if data.UIDValidity != f.state.UIDValidity {
		return fmt.Errorf("%w: it has a new UIDVALIDITY", errAbandoned)
	}
	return nil
}

// startExamine opens a mailbox read-only without waiting for the answer, unless it is open or about to be. Whoever calls it tells settle when the answer was read.
func (s *Session) startExamine(name string) *opening {
	switch {
	case s.mailbox == name && s.opening != nil:
		return s.opening
	case s.mailbox == name:
		return &opening{box: s.box}
	}
	s.commands++
	s.mailbox, s.box = name, nil
	s.opening = &opening{cmd: s.Client.Select(name, s.examineOptions())}
	return s.opening
}

func (s *Session) examineOptions() *imap.SelectOptions {
	return &imap.SelectOptions{ReadOnly: true, CondStore: s.caps.Has(imap.CapCondStore)}
}

// settle notes that the answer to an EXAMINE was read. A later one may be on the way.
func (s *Session) settle(o *opening) {
	if s.opening != o {
		return
	}
	s.opening = nil
	if s.box = o.box; o.err != nil {
		s.mailbox, s.box = "", nil
	}
}

// stateOf is the state of a mailbox as EXAMINE tells it.
func stateOf(data *imap.SelectData) archive.FolderState {
	return archive.FolderState{UIDValidity: data.UIDValidity, UIDNext: uint32(data.UIDNext), ModSeq: data.HighestModSeq, Messages: data.NumMessages}
}

// nowhere takes messages that are not what was asked for.
type nowhere struct{}

func (nowhere) Put(r io.Reader) (archive.Ref, int64, error) {
	n, err := io.Copy(io.Discard, r)
	return archive.Ref{}, n, err
}

// plainName tells whether a name can be sent without waiting for the server's consent, as a literal would.
func plainName(name string) bool {
	return len(name) < 500 && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\ufffd' })
}
