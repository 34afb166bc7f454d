package gmailsim

// systemNames are the folder names of one language, in the order all, drafts,
// important, sent, spam, starred, trash, after the root.
type systemNames struct {
	root                                                      string
	all, drafts, important, sent, spam, starred, trash, inbox string
}

var locales = map[string]systemNames{
	"en-US": {"[Gmail]", "All Mail", "Drafts", "Important", "Sent Mail", "Spam", "Starred", "Trash", "Inbox"},
	"en-GB": {"[Gmail]", "All Mail", "Drafts", "Important", "Sent Mail", "Spam", "Starred", "Bin", "Inbox"},
	"de":    {"[Google Mail]", "Alle Nachrichten", "Entwürfe", "Wichtig", "Gesendet", "Spam", "Markiert", "Papierkorb", "Posteingang"},
	"fr":    {"[Gmail]", "Tous les messages", "Brouillons", "Important", "Messages envoyés", "Spam", "Suivis", "Corbeille", "Boîte de réception"},
	"ru":    {"[Gmail]", "Вся почта", "Черновики", "Важное", "Отправленные", "Спам", "Помеченные", "Корзина", "Входящие"},
	"ja":    {"[Gmail]", "すべてのメール", "下書き", "重要", "送信済みメール", "迷惑メール", "スター付き", "ゴミ箱", "受信トレイ"},
}

// specialUse maps RFC 6154 attributes to kinds, for HideFolder and for lookups.
var specialUse = map[string]mailKind{
	`\All`: kindAll, `\Drafts`: kindDrafts, `\Important`: kindImportant, `\Sent`: kindSent,
	`\Junk`: kindSpam, `\Flagged`: kindStarred, `\Trash`: kindTrash,
}

func (st *store) addGmailFolders(locale string) {
	names, ok := locales[locale]
	if !ok {
		names = locales["en-US"]
	}
	add := func(kind mailKind, name, attr, label, xlist string) {
		b := st.newMailbox(name)
		b.kind, b.attr, b.label, b.xlist = kind, attr, label, xlist
		st.system[kind] = b
	}
	add(kindInbox, "INBOX", "", `\Inbox`, `\Inbox`)
	st.newMailbox(names.root).noselect = true
	root := names.root + "/"
	add(kindAll, root+names.all, `\All`, "", `\AllMail`)
	add(kindDrafts, root+names.drafts, `\Drafts`, `\Draft`, `\Drafts`)
	add(kindImportant, root+names.important, `\Important`, `\Important`, `\Important`)
	add(kindSent, root+names.sent, `\Sent`, `\Sent`, `\Sent`)
	add(kindSpam, root+names.spam, `\Junk`, `\Spam`, `\Spam`)
	add(kindStarred, root+names.starred, `\Flagged`, `\Starred`, `\Starred`)
	add(kindTrash, root+names.trash, `\Trash`, `\Trash`, `\Trash`)
	// Muted has a label but no folder; its name cannot be typed.
	add(kindMuted, "\x00muted", "", `\Muted`, "")
	st.system[kindMuted].hidden = true
}
