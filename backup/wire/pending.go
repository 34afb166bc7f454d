package wire

import (
	"bytes"
	"sync"
)

// commandInfo is what the answers to a FETCH or STORE command depend on.
type commandInfo struct {
	byUID  bool      // UID FETCH or UID STORE: the client needs the UID before the first literal
	groups groupMask // the agreed sections the command asked for
}

// pendingCommands knows the commands that have no tagged answer yet. The zero value is ready; safe for concurrent use.
type pendingCommands struct {
	mu    sync.Mutex
	byTag map[string]commandInfo
	byUID int
	asked [len(itemGroups)]int
}

// add registers a command before it is sent.
func (p *pendingCommands) add(tag []byte, info commandInfo) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byTag) >= maxPendingTag {
		return wireErrorf("more than %d commands wait for an answer", maxPendingTag)
	}
	if p.byTag == nil {
		p.byTag = make(map[string]commandInfo)
	}
	if old, ok := p.byTag[string(tag)]; ok {
		p.count(old, -1)
	}
	p.byTag[string(tag)] = info
	p.count(info, 1)
	return nil
}

// done forgets a command when its tagged answer arrives.
func (p *pendingCommands) done(tag []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if info, ok := p.byTag[string(tag)]; ok {
		delete(p.byTag, string(tag))
		p.count(info, -1)
	}
}

func (p *pendingCommands) count(info commandInfo, by int) {
	if info.byUID {
		p.byUID += by
	}
	for g := range p.asked {
		if info.groups.has(g) {
			p.asked[g] += by
		}
	}
}

// now sums up what the pending commands want.
func (p *pendingCommands) now() commandInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	info := commandInfo{byUID: p.byUID > 0}
	for g, n := range p.asked {
		if n > 0 {
			info.groups.set(g)
		}
	}
	return info
}

// maxNames bounds how many repaired mailbox names are remembered; a server with more shows them, but they cannot be opened.
const maxNames = 1 << 16

// mailboxNames maps the name under which the client knows a mailbox, as it writes it in a command, to the name the
// server sent, for the names the client would have refused. The zero value is ready; safe for concurrent use.
type mailboxNames struct {
	mu    sync.Mutex
	bySub map[string][]byte
}

func (m *mailboxNames) add(substitute string, original []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bySub == nil {
		m.bySub = make(map[string][]byte)
	}
	if _, known := m.bySub[substitute]; known || len(m.bySub) < maxNames {
		m.bySub[substitute] = bytes.Clone(original)
	}
}

// original returns the server's name for substitute, or nil when the name was not repaired.
func (m *mailboxNames) original(substitute []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bySub[string(substitute)]
}
