package thunderbird

import (
	"crypto/sha256"
	"encoding/base64"
)

// Folder is a folder of an account as Thunderbird shows it.
type Folder struct {
	Name    string   // on the server, in UTF-8
	Shown   string   // in the folder pane
	Parent  string   // the name of the folder that it is in; "" at the top
	Under   string   // the name of the folder that it is shown under in the folder pane; "" at the top
	Special []string // what Thunderbird takes it for: Inbox, SentMail, Drafts, Trash, Junk, Archive, AllMail

	NoSelect      bool // cannot hold messages
	Total, Unread int  // messages

	// What Thunderbird lets the user do in it; what is false is greyed.
	CanDelete bool // delete messages, or move them away
	CanFile   bool // put messages into it
	CanCreate bool // make a folder in it
	CanRename bool // give it another name
	Deletable bool // delete it
}

// Expand opens an account in the folder pane and waits until some folders are there.
func (tb *Thunderbird) Expand(user string, folders ...string) {
	tb.t.Helper()
	tb.call(nil, "expand", user, folders)
}

// ReadOnly waits until Thunderbird takes all folders of an account for read-only.
func (tb *Thunderbird) ReadOnly(user string) {
	tb.t.Helper()
	tb.call(nil, "readOnly", user)
}

// Folders lists the folders of an account, in the order of the folder pane.
func (tb *Thunderbird) Folders(user string) []Folder {
	tb.t.Helper()
	var out []Folder
	tb.call(&out, "folders", user)
	return out
}

// Show opens a folder, as a click on it does.
func (tb *Thunderbird) Show(user, folder string) {
	tb.t.Helper()
	tb.call(nil, "show", user, folder)
}

// Update fetches what is new in a folder without showing it, and waits until it has count messages.
func (tb *Thunderbird) Update(user, folder string, count int) {
	tb.t.Helper()
	tb.call(nil, "update", user, folder, count)
}

// Header is a line of the message list.
type Header struct {
	UID           int
	Size          int // in bytes, as the server says
	MessageID     string
	Subject       string
	Read, Starred bool
	Offline       bool // the whole message is stored in the profile
}

// Headers lists the messages of a folder by UID, as far as Thunderbird knows them.
func (tb *Thunderbird) Headers(user, folder string) []Header {
	tb.t.Helper()
	var c struct {
		UID, Size              []int
		ID, Subject            []string
		Read, Starred, Offline []bool
	}
	tb.call(&c, "headers", user, folder)
	out := make([]Header, len(c.UID))
	for i := range out {
		out[i] = Header{c.UID[i], c.Size[i], c.ID[i], c.Subject[i], c.Read[i], c.Starred[i], c.Offline[i]}
	}
	return out
}

// Shown is what the message pane shows.
type Shown struct {
	Subject     string
	Text        string
	Attachments []string // their names
}

// Open selects a message in the list and waits until it is shown.
func (tb *Thunderbird) Open(user, folder string, uid int) Shown {
	tb.t.Helper()
	var out Shown
	tb.call(&out, "open", user, folder, uid)
	return out
}

// Search asks the server for the messages of a folder whose Body, Subject or Sender contains text, and gives their UIDs.
func (tb *Thunderbird) Search(user, folder, where, text string) []int {
	tb.t.Helper()
	var out []int
	tb.call(&out, "search", user, folder, where, text)
	return out
}

// Drop drags messages to a folder, with no key held down, and says what Thunderbird has done: "none" when the folder does not take them, else "copy" or "move",
// when that has ended.
func (tb *Thunderbird) Drop(user, folder string, uids []int, toUser, to string) string {
	tb.t.Helper()
	var out string
	tb.call(&out, "drop", user, folder, uids, toUser, to)
	return out
}

// Commands tells for some commands, and those that make, delete or rename a folder, whether they are enabled for what is selected.
func (tb *Thunderbird) Commands(names ...string) map[string]bool {
	tb.t.Helper()
	var out map[string]bool
	tb.call(&out, "commands", names)
	return out
}

// Command gives a command for what is selected, as a menu entry or a key does.
func (tb *Thunderbird) Command(name string) {
	tb.t.Helper()
	tb.call(nil, "command", name)
}

// Refresh asks the server for news of a folder until a message is there with these flags.
func (tb *Thunderbird) Refresh(user, folder string, uid int, read, starred bool) {
	tb.t.Helper()
	tb.call(nil, "refresh", user, folder, uid, read, starred)
}

// CreateFolder asks the server for a new folder, even if the interface has that greyed, and waits until Thunderbird has something to say about it (see Alerts).
func (tb *Thunderbird) CreateFolder(user, name string) {
	tb.t.Helper()
	tb.call(nil, "createFolder", user, name)
}

// RenameFolder gives a folder another name; see CreateFolder.
func (tb *Thunderbird) RenameFolder(user, folder, name string) {
	tb.t.Helper()
	tb.call(nil, "renameFolder", user, folder, name)
}

// DeleteMessage deletes a message; see CreateFolder.
func (tb *Thunderbird) DeleteMessage(user, folder string, uid int) {
	tb.t.Helper()
	tb.call(nil, "deleteMessage", user, folder, uid)
}

// Alert is an error that Thunderbird tells the user.
type Alert struct {
	Text   string
	Silent bool // in the list of activities, without a window of its own
}

// Alerts gives the alerts since the last call.
func (tb *Thunderbird) Alerts() []Alert {
	tb.t.Helper()
	var out []Alert
	tb.call(&out, "alerts")
	return out
}

// Download waits until every message of a folder is stored in the profile. Thunderbird does that by itself for most folders, unless a preference says otherwise;
// with now it is told to.
func (tb *Thunderbird) Download(user, folder string, now bool) {
	tb.t.Helper()
	tb.call(nil, "download", user, folder, now)
}

// Offline makes Thunderbird work without connections, or with them again.
func (tb *Thunderbird) Offline(on bool) {
	tb.t.Helper()
	tb.call(nil, "offline", on)
}

// Settings are what Thunderbird finds out about an address by itself.
type Settings struct {
	Type       string // "imap"
	Hostname   string
	Port       int
	SocketType int // nsMsgSocketType: 0 plain, 2 STARTTLS, 3 TLS
	Auth       int // nsMsgAuthMethod: 3 normal password
	Username   string
	Sender     string // host of the outgoing server
	Name       string // what the settings call themselves
}

// LookUp asks the domain of an address for its settings.
func (tb *Thunderbird) LookUp(address string) (s Settings) {
	tb.t.Helper()
	tb.call(&s, "lookUp", address)
	return s
}

// Stored gives a message as it is stored in the profile.
func (tb *Thunderbird) Stored(user, folder string, uid int) []byte {
	tb.t.Helper()
	var encoded string
	tb.call(&encoded, "stored", user, folder, uid)
	return tb.decode(encoded)
}

// Sums gives the SHA-256 of each of a folder's messages that is stored in the profile, by UID.
func (tb *Thunderbird) Sums(user, folder string) map[int][sha256.Size]byte {
	tb.t.Helper()
	var encoded map[int]string
	tb.call(&encoded, "sums", user, folder)
	out := make(map[int][sha256.Size]byte, len(encoded))
	for uid, s := range encoded {
		out[uid] = [sha256.Size]byte(tb.decode(s))
	}
	return out
}

func (tb *Thunderbird) decode(s string) []byte {
	tb.t.Helper()
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		tb.t.Fatal(err)
	}
	return raw
}
