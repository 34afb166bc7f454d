package backup

import (
	"fmt"
	"slices"
	"strings"

	"mailkeep/archive"
)

// plan is what a run will do about the mailboxes of one account. makePlan is a pure function of what the server lists and what the archive knows.
type plan struct {
	folders  []planned
	renames  []rename         // candidates; a generic server's are proven before they are believed
	missing  []archive.Folder // known, and neither listed any more nor hidden
	visible  bool             // Gmail without All Mail: every visible folder is read and nothing counts as gone
	labels   labelMap         // Gmail only
	leftOut  []planned        // Gmail's labels that the selection leaves out
	widened  bool             // Gmail: the selection left out a label before that it covers now
	warnings []Warning
}

// planned is a mailbox of the server that the archive shall have.
type planned struct {
	listing
	mailbox string         // the archive's name
	source  bool           // its messages are read; Gmail's labels are known from All Mail instead
	known   archive.Folder // zero when the archive does not know it
}

// rename says that a known folder seems to have a new name.
type rename struct {
	from archive.Folder
	to   int // index in plan.folders
}

func makePlan(kind archive.Kind, boxes []listing, known []archive.Folder, o Options) plan {
	var p plan
	namer := mailboxNamer{}
	for _, b := range boxes {
		p.folders = append(p.folders, planned{listing: b, mailbox: namer.name(b.name, b.delim), source: true, known: byName(known, b.name)})
	}
	if kind == archive.Gmail {
		p.gmail(known, o)
	} else {
		p.folders = slices.DeleteFunc(p.folders, func(f planned) bool { return o.excludes(f.listing) })
	}
	p.findMissing(kind, boxes, known, o)
	return p
}

func (o Options) excludes(b listing) bool { return o.leavesOut(b.name, b.delim, b.use) }

// leavesOut tells whether a mailbox is not to be backed up.
func (o Options) leavesOut(name, delim, use string) bool {
	return len(o.Include) > 0 && !Excluded(o.Include, name, delim, use) || Excluded(o.Exclude, name, delim, use)
}

func byName(known []archive.Folder, name string) archive.Folder {
	for _, k := range known {
		if k.Name == name {
			return k
		}
	}
	return archive.Folder{}
}

// findMissing sorts known folders that are not listed into renamed, hidden and missing ones. An excluded folder is listed and so stays as it was.
func (p *plan) findMissing(kind archive.Kind, boxes []listing, known []archive.Folder, o Options) {
	for _, k := range known {
		if k.GoneAt != 0 || slices.ContainsFunc(boxes, func(b listing) bool { return b.name == k.Name }) {
			continue
		}
		to := p.renamed(kind, k, boxes, known)
		switch {
		case to >= 0:
			p.renames = append(p.renames, rename{from: k, to: to})
		case kind == archive.Gmail && k.SpecialUse != "" && k.SpecialUse != `\All`:
			// Gmail's own folders cannot be deleted. \All has its own warning.
			if !o.leavesOut(k.Name, k.Delimiter, k.SpecialUse) {
				p.warnings = append(p.warnings, hiddenFolder(k.SpecialUse, k.Name))
			}
		case kind == archive.Gmail && k.SpecialUse != "":
		default:
			p.missing = append(p.missing, k)
		}
	}
}

// renamed finds the new name of a known folder, or -1. Gmail's system folders are found by their use: their names follow the account's language. Others must have
// kept a UIDVALIDITY that no second mailbox has. A name that the archive knows already is never taken.
func (p *plan) renamed(kind archive.Kind, k archive.Folder, boxes []listing, known []archive.Folder) int {
	found := -1
	for i, f := range p.folders {
		if f.known.ID != 0 {
			continue
		}
		if kind == archive.Gmail && (k.SpecialUse != "" || f.use != "") {
			if k.SpecialUse == f.use {
				return i
			}
			continue
		}
		if k.UIDValidity != 0 && f.hasStatus && f.status.UIDValidity == k.UIDValidity && f.status.UIDNext >= k.UIDNext {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	if found < 0 {
		return -1
	}
	sameBox := func(b listing) bool { return b.name != p.folders[found].name && b.status.UIDValidity == k.UIDValidity }
	sameKnown := func(f archive.Folder) bool { return f.ID != k.ID && f.UIDValidity == k.UIDValidity }
	if slices.ContainsFunc(boxes, sameBox) || slices.ContainsFunc(known, sameKnown) {
		return -1
	}
	return found
}

// gmail decides which folders are read, and how labels are shown.
func (p *plan) gmail(known []archive.Folder, o Options) {
	root := systemRoot(p.folders)
	all := slices.IndexFunc(p.folders, func(f planned) bool { return f.use == `\All` })
	p.visible = all < 0
	if p.visible {
		p.warnings = append(p.warnings, Warning{Kind: WarnHiddenAllMail, Text: "Gmail hides All Mail, so archived messages without a label cannot be seen and nothing is marked as gone: " +
			"open Gmail settings, Forwarding and POP/IMAP, and Labels, tick \"Show in IMAP\" beside All Mail, and run the backup again"})
	}
	for _, use := range []string{`\Junk`, `\Trash`} {
		listed := slices.ContainsFunc(p.folders, func(f planned) bool { return f.use == use })
		knownBefore := slices.ContainsFunc(known, func(k archive.Folder) bool { return k.SpecialUse == use && k.GoneAt == 0 })
		if !listed && !knownBefore && !o.leavesOut("", "", use) {
			p.warnings = append(p.warnings, hiddenFolder(use, ""))
		}
	}
	p.folders = slices.DeleteFunc(p.folders, func(f planned) bool {
		if f.use == `\All` {
			return false // everything else is read from it
		}
		if o.excludes(f.listing) && !f.readOnGmail(root) {
			p.leftOut = append(p.leftOut, f)
		}
		return o.excludes(f.listing) || isChats(f, root) && !o.Chats
	})
	for i := range p.folders {
		f := &p.folders[i]
		f.source = p.visible || f.readOnGmail(root)
		p.widened = p.widened || !f.source && f.unread()
	}
	p.labels = makeLabelMap(p.folders, known, root, o)
}

// readOnGmail tells whether the messages of a folder are read in it. All others show labels.
func (f *planned) readOnGmail(root string) bool {
	return f.use == `\All` || f.use == `\Junk` || f.use == `\Trash` || isChats(*f, root)
}

// unread tells whether a label was known before and no complete run has covered it: see run.leaveOut. A label that is new comes with a change of its messages.
func (f *planned) unread() bool {
	return f.hasStatus && f.known.ID != 0 && f.known.GoneAt == 0 && f.known.UIDValidity == 0
}

// systemRoot returns the name under which Gmail's own folders stand, such as "[Gmail]"; it differs by account and language.
func systemRoot(folders []planned) string {
	for _, f := range folders {
		if f.use == "" || f.delim == "" {
			continue
		}
		if i := strings.LastIndex(f.name, f.delim); i > 0 {
			return f.name[:i]
		}
	}
	return ""
}

// isChats tells whether a folder stands among Gmail's own without a special use: only Chats does.
func isChats(f planned, root string) bool {
	return f.use == "" && root != "" && strings.HasPrefix(f.name, root+f.delim)
}

func hiddenFolder(use, name string) Warning {
	called := strings.TrimPrefix(use, `\`)
	if called == "Junk" {
		called = "Spam"
	}
	if name != "" {
		called = name
	}
	return Warning{Kind: WarnHiddenFolder, Mailbox: name, Text: fmt.Sprintf("Gmail hides %s, so what is in it is not backed up: "+
		"open Gmail settings, Labels, and tick \"Show in IMAP\" beside it, or exclude it", called)}
}

// rank orders mailboxes by how soon somebody may want to have them: what may take days should not begin with spam.
func (f *planned) rank() int {
	switch {
	case strings.EqualFold(f.name, "INBOX"), f.use == `\All`:
		return 0
	case f.use == `\Sent`:
		return 1
	case f.use == `\Trash`:
		return 3
	case f.use == `\Junk`:
		return 4
	}
	return 2
}

// unchanged tells whether a pass can be skipped: everything that was there is recorded and nothing happened since. Without mod-sequences flags may
// have changed unseen.
func (f *planned) unchanged() bool {
	then, now := f.known.FolderState, f.status
	same := f.hasStatus && f.known.ID != 0 && f.known.GoneAt == 0 && now == then && f.known.Current == then.UIDValidity && now.UIDNext != 0
	return same && (now.ModSeq != 0 || now.Messages == 0)
}

// expected estimates how many copies are new.
func (f *planned) expected() int64 {
	if !f.hasStatus {
		return 0
	}
	if f.status.UIDValidity != f.known.UIDValidity {
		return int64(f.status.Messages)
	}
	return max(0, int64(f.status.Messages)-int64(f.known.Messages))
}

// folderLimits are the sizes at which Gmail's setting "Limit IMAP folders" cuts folders off.
var folderLimits = []uint32{1000, 2000, 5000, 10000}

func folderLimit(messages uint32) bool { return slices.Contains(folderLimits, messages) }

// manyGone tells whether so much vanished at once that somebody should look first.
func manyGone(gone, total int64) bool { return gone > 100 && gone > total/10 }
