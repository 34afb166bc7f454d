package archive

import (
	"fmt"
	"time"
)

// folder returns a folder as the batch has made it so far.
func (r *recorder) folder(id FolderID) (*Folder, error) {
	if f, ok := r.folders[id]; ok {
		return f, nil
	}
	var f Folder
	err := r.row(`SELECT id, account_id, name, delimiter, special_use, object_id, mailbox_id, current, uidvalidity, uidnext, source_modseq, messages, gone
		FROM folder WHERE id = ? AND account_id = ?`, id, r.account.ID).Scan(&f.ID, &f.Account, &f.Name, &f.Delimiter, &f.SpecialUse, &f.ObjectID, &f.Mailbox, &f.Current,
		&f.UIDValidity, &f.UIDNext, &f.ModSeq, &f.Messages, &f.GoneAt)
	if err != nil {
		return nil, fmt.Errorf("find folder %d of account %q: %w", id, r.account.Name, err)
	}
	r.folders[id] = &f
	return &f, nil
}

func (r *recorder) emitFolder(f *Folder) error {
	return r.emit(fact{Folder: &folderFact{ID: f.ID, Account: f.Account, Name: f.Name, Delimiter: f.Delimiter, SpecialUse: f.SpecialUse,
		ObjectID: f.ObjectID, Mailbox: f.Mailbox, Gone: f.GoneAt}})
}

// describe creates a folder or notes what changed about it.
func (r *recorder) describe(spec FolderSpec) error {
	var box MailboxID
	var err error
	if spec.Mailbox != "" {
		if box, err = r.mailboxSpec(MailboxSpec{Name: spec.Mailbox, SpecialUse: spec.SpecialUse}); err != nil {
			return err
		}
	}
	id, err := r.folderByName(spec.Name)
	if err != nil {
		return err
	}
	if id == 0 {
		return r.newFolder(spec, box)
	}
	f, err := r.folder(id)
	if err != nil {
		return err
	}
	before := *f
	f.Delimiter, f.SpecialUse, f.ObjectID, f.Mailbox, f.GoneAt = spec.Delimiter, spec.SpecialUse, spec.ObjectID, box, 0
	if *f == before {
		return nil
	}
	return r.emitFolder(f)
}

func (r *recorder) newFolder(spec FolderSpec, box MailboxID) error {
	f := &Folder{Account: r.account.ID, Name: spec.Name, Delimiter: spec.Delimiter, SpecialUse: spec.SpecialUse, ObjectID: spec.ObjectID, Mailbox: box}
	if err := r.row("SELECT coalesce(max(id), 0) + 1 FROM folder").Scan(&f.ID); err != nil {
		return err
	}
	r.folders[f.ID] = f
	return r.emitFolder(f)
}

// rename gives a folder and its mailbox new names. What has those names already makes way: it is an old one that is gone, or it is renamed next.
func (r *recorder) rename(n Rename) error {
	f, err := r.folder(n.Folder)
	if err != nil {
		return err
	}
	if f.Name != n.Name {
		if err := r.clearFolderName(n.Name); err != nil {
			return err
		}
		f.Name = n.Name
		if err := r.emitFolder(f); err != nil {
			return err
		}
	}
	m, err := r.mailboxByID(f.Mailbox)
	if err != nil || m == nil || m.Name == n.Mailbox {
		return err
	}
	if err := r.clearMailboxName(n.Mailbox); err != nil {
		return err
	}
	m.Gone = 0 // it may have made way for another one
	return r.renameMailbox(m, n.Mailbox)
}

func (r *recorder) renameMailbox(m *mailboxFact, name string) error {
	delete(r.boxes, m.Name)
	m.Name = name
	r.boxes[name] = m
	emitted := *m
	return r.emit(fact{Mailbox: &emitted})
}

func (r *recorder) clearFolderName(name string) error {
	id, err := r.folderByName(name)
	if err != nil || id == 0 {
		return err
	}
	f, err := r.folder(id)
	if err != nil {
		return err
	}
	f.Name, err = r.unusedName(name, func(s string) (bool, error) { id, err := r.folderByName(s); return id != 0, err })
	if err != nil {
		return err
	}
	return r.emitFolder(f)
}

// clearMailboxName makes way for another mailbox of that name. What is set aside is not at the source by its new name: once it is empty it is shown no more. On Gmail
// that is soon, when it was made for a label which a message had before the list of folders told of the renaming.
func (r *recorder) clearMailboxName(name string) error {
	m, err := r.mailboxByName(name)
	if err != nil || m == nil {
		return err
	}
	aside, err := r.unusedName(name, func(s string) (bool, error) { m, err := r.mailboxByName(s); return m != nil, err })
	if err != nil {
		return err
	}
	if m.Gone == 0 {
		m.Gone = r.now.Unix()
	}
	return r.renameMailbox(m, aside)
}

// unusedName adds the date, and a number if need be.
func (r *recorder) unusedName(name string, used func(string) (bool, error)) (string, error) {
	base := name + " (until " + r.now.UTC().Format(time.DateOnly) + ")"
	for n, candidate := 2, base; ; n++ {
		taken, err := used(candidate)
		if err != nil || !taken {
			return candidate, err
		}
		candidate = fmt.Sprintf("%s %d", base, n)
	}
}

// folderByName returns 0 when the account has no folder of that name.
func (r *recorder) folderByName(name string) (FolderID, error) {
	var id FolderID
	err := r.row("SELECT id FROM folder WHERE account_id = ? AND name = ?", r.account.ID, name).Scan(&id)
	if noRows(err) {
		return 0, nil
	}
	return id, err
}

// renumber notes a folder's UIDVALIDITY. What an earlier pass completed says nothing about the new numbers.
func (r *recorder) renumber(n Renumbering) error {
	f, err := r.folder(n.Folder)
	if err != nil || f.Current == n.UIDValidity {
		return err
	}
	f.Current = n.UIDValidity
	if err := r.emit(fact{Renumber: &renumberFact{Folder: n.Folder, Validity: n.UIDValidity}}); err != nil {
		return err
	}
	if err := r.fillAll("hole WHERE folder_id = ? AND validity <> ?", n.Folder, n.UIDValidity); err != nil {
		return err
	}
	return r.state(FolderResult{Folder: n.Folder})
}

// mailbox returns the mailbox of that name and creates it if need be.
func (r *recorder) mailbox(name string) (MailboxID, error) {
	m, err := r.mailboxByName(name)
	if err != nil {
		return 0, err
	}
	if m != nil {
		return m.ID, nil
	}
	return r.mailboxSpec(MailboxSpec{Name: name})
}

func (r *recorder) describeMailbox(spec MailboxSpec) error {
	_, err := r.mailboxSpec(spec)
	return err
}

// mailboxSpec creates a mailbox or notes what changed about it.
func (r *recorder) mailboxSpec(spec MailboxSpec) (MailboxID, error) {
	m, err := r.mailboxByName(spec.Name)
	if err != nil {
		return 0, err
	}
	if m == nil {
		return r.newMailbox(spec)
	}
	changed := *m
	if changed.Gone = 0; spec.Gone {
		changed.Gone = max(m.Gone, 1)
		if m.Gone == 0 {
			changed.Gone = r.now.Unix()
		}
	} else {
		changed.SpecialUse = spec.SpecialUse
	}
	if changed == *m {
		return m.ID, nil
	}
	*m = changed
	emitted := changed
	return m.ID, r.emit(fact{Mailbox: &emitted})
}

// newMailbox gives out a UIDVALIDITY that no other mailbox of the archive ever had: the time, or one more than the highest (A5).
func (r *recorder) newMailbox(spec MailboxSpec) (MailboxID, error) {
	m := &mailboxFact{Account: r.account.ID, Name: spec.Name, SpecialUse: spec.SpecialUse}
	err := r.row("SELECT coalesce(max(id), 0) + 1, max(coalesce(max(uidvalidity), 0) + 1, ?) FROM mailbox", r.now.Unix()).Scan(&m.ID, &m.Validity)
	if err != nil {
		return 0, err
	}
	if spec.Gone {
		m.Gone = r.now.Unix()
	}
	r.boxes[spec.Name] = m
	emitted := *m
	return m.ID, r.emit(fact{Mailbox: &emitted})
}

func (r *recorder) mailboxByName(name string) (*mailboxFact, error) {
	if m, ok := r.boxes[name]; ok {
		return m, nil
	}
	return r.loadMailbox("account_id = ? AND name = ?", r.account.ID, name)
}

func (r *recorder) mailboxByID(id MailboxID) (*mailboxFact, error) {
	for _, m := range r.boxes {
		if m.ID == id {
			return m, nil
		}
	}
	return r.loadMailbox("account_id = ? AND id = ?", r.account.ID, id)
}

func (r *recorder) loadMailbox(condition string, args ...any) (*mailboxFact, error) {
	m := new(mailboxFact)
	err := r.row("SELECT id, account_id, name, special_use, uidvalidity, gone FROM mailbox WHERE "+condition, args...).
		Scan(&m.ID, &m.Account, &m.Name, &m.SpecialUse, &m.Validity, &m.Gone)
	if noRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.boxes[m.Name] = m
	return m, nil
}
