package backup

import (
	"maps"
	"slices"
	"strconv"

	"mailkeep/archive"
	"mailkeep/backup/wire"
)

// labelUses are the special uses of the folders that show Gmail's system labels; \Inbox is INBOX and \Muted has no folder.
var labelUses = map[string]string{
	`\Sent`: `\Sent`, `\Starred`: `\Flagged`, `\Important`: `\Important`, `\Draft`: `\Drafts`, `\Drafts`: `\Drafts`, `\Spam`: `\Junk`, `\Trash`: `\Trash`,
}

// englishNames are used for a system label whose folder is hidden and was never seen.
var englishNames = map[string]string{
	`\Sent`: "Sent Mail", `\Starred`: "Starred", `\Important`: "Important", `\Draft`: "Drafts", `\Drafts`: "Drafts", `\Spam`: "Spam", `\Trash`: "Trash", `\Muted`: "Muted",
}

// labelMap turns Gmail's labels into names of the archive's mailboxes.
type labelMap struct {
	system map[string]string // system label -> mailbox; "" when excluded
	user   map[string]string // folder name -> mailbox
	all    string            // the mailbox of All Mail; "" while it was never seen
	chats  string            // the mailbox of chats, which are not in All Mail; "" when not read
	o      Options
	some   bool // only messages with one of the included labels are wanted
}

func makeLabelMap(folders []planned, known []archive.Folder, root string, o Options) labelMap {
	m := labelMap{system: map[string]string{`\Inbox`: "INBOX"}, user: make(map[string]string), o: o}
	m.some = len(o.Include) > 0 && !slices.ContainsFunc(folders, func(f planned) bool { return f.use == `\All` && !o.excludes(f.listing) })
	byUse := make(map[string]string)
	for _, k := range known {
		if k.SpecialUse != "" && k.GoneAt == 0 {
			byUse[k.SpecialUse] = mailboxName(k.Name, k.Delimiter)
		}
	}
	for _, f := range folders {
		if f.use != "" {
			byUse[f.use] = f.mailbox
		} else {
			m.user[f.name] = f.mailbox
		}
		if isChats(f, root) {
			m.chats = f.mailbox
		}
	}
	m.all = byUse[`\All`]
	for label, name := range englishNames {
		use := labelUses[label]
		switch box, ok := byUse[use]; {
		case use != "" && o.leavesOut("", "", use) && o.leavesOut(byUse[use], "/", use):
			m.system[label] = ""
		case use != "" && ok:
			m.system[label] = box
		case root == "":
			m.system[label] = mailboxName(name, "/")
		default:
			m.system[label] = mailboxName(root+"/"+name, "/")
		}
	}
	if o.leavesOut("INBOX", "/", "") {
		m.system[`\Inbox`] = ""
	}
	return m
}

// mailboxes names all mailboxes that show a message which was seen in the mailbox own, or returns nil when Gmail did not tell the labels. The list that Gmail sends
// leaves out the mailbox it was asked in, so own is added. All Mail holds everything that is in neither Spam nor Trash.
func (m *labelMap) mailboxes(g wire.GmailItems, own string) []string {
	if !g.HasLabels {
		return nil
	}
	boxes := map[string]bool{own: true}
	for _, label := range g.Labels {
		boxes[m.mailbox(label)] = true
	}
	if box, ok := m.user["NIL"]; ok && g.BareNIL {
		boxes[box] = true
	}
	delete(boxes, "")
	exile := boxes[m.system[`\Spam`]] || boxes[m.system[`\Trash`]]
	if m.all != "" && !exile && (own != m.chats || own == "") {
		boxes[m.all] = true
	}
	return slices.Sorted(maps.Keys(boxes))
}

// wants tells whether a message that is shown in these mailboxes is to be backed up. One whose labels are not known is.
func (m *labelMap) wants(boxes []string) bool {
	return !m.some || boxes == nil || slices.ContainsFunc(boxes, func(box string) bool { return box != m.all })
}

// mailbox names the mailbox of one label, or returns "" when it is excluded.
func (m *labelMap) mailbox(label string) string {
	if box, ok := m.system[label]; ok {
		return box
	}
	if box, ok := m.user[label]; ok {
		return box
	}
	if m.o.leavesOut(label, "/", "") {
		return ""
	}
	return mailboxName(label, "/")
}

// gmailCopy is what a meta of Gmail means for the archive, without the bytes.
func (m *labelMap) gmailCopy(f *folder, from *meta) archive.Copy {
	return archive.Copy{Folder: f.ID, UID: from.uid, SourceID: decimal(from.gmail.MsgID), ThreadID: decimal(from.gmail.ThreadID), Date: from.date,
		Flags: from.flags, Mailboxes: m.mailboxes(from.gmail, f.plan.mailbox)}
}

func decimal(id uint64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(id, 10)
}
