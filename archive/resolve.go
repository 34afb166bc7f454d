package archive

// knownItem is what a batch needs to know of an item.
type knownItem struct {
	id    ItemID
	ref   Ref
	flags string
	gone  int64
}

const knownItemColumns = "SELECT i.id, m.ref, i.flags, i.gone FROM item i JOIN message m ON m.id = i.message_id "

func (r *recorder) known(query string, args ...any) (*knownItem, error) {
	var k knownItem
	err := r.row(knownItemColumns+query, args...).Scan(&k.id, &k.ref, &k.flags, &k.gone)
	if noRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &k, nil
}

// find returns the item that a copy is of, or nil when it is a new one. vacant says that no item is known to be at that place.
func (r *recorder) find(c *Copy, at place, vacant bool) (*knownItem, error) {
	var known *knownItem
	var err error
	if r.account.Kind == Gmail && c.SourceID != "" {
		known, err = r.known("WHERE i.account_id = ? AND i.source_id = ? AND i.source_id <> '' ORDER BY i.gone <> 0, i.id DESC LIMIT 1", r.account.ID, c.SourceID)
	} else if !vacant {
		known, err = r.known("WHERE i.id = (SELECT item_id FROM location WHERE folder_id = ? AND validity = ? AND uid = ?)", at.folder(), at.validity(), at.uid())
	}
	if err != nil || c.Ref.IsZero() {
		return known, err
	}
	if known != nil && known.ref != c.Ref {
		// The source broke its promise that an id stands for the same bytes for ever. Both are kept: the old item counts as gone.
		if err := r.supersede(known); err != nil {
			return nil, err
		}
		known = nil
	}
	if known == nil && r.account.Kind == IMAP {
		return r.findMoved(c.Ref, at)
	}
	return known, nil
}

// supersede gives up an item whose place at the source shows other bytes now.
func (r *recorder) supersede(known *knownItem) error {
	places, err := r.placesOf(known.id)
	if err != nil {
		return err
	}
	for _, p := range places {
		if err := r.emit(fact{Left: &leftFact{At: p}}); err != nil {
			return err
		}
	}
	return r.settleLost(known.id)
}

// findMoved looks for the item of a message that a folder shows at a new place. Copies of it that had vanished from other folders have moved here: they leave
// the mailboxes where they were kept.
func (r *recorder) findMoved(ref Ref, at place) (*knownItem, error) {
	any, err := r.hasLoose(ref, at)
	if err != nil || !any {
		return nil, err
	}
	known, err := r.unconfirmed(ref, at)
	if err != nil {
		return nil, err
	}
	return known, r.forgetGone(ref, known)
}

// hasLoose tells whether a message has items that findMoved looks for. Most have none, however many others they have, and one query tells, which also looks the message up.
func (r *recorder) hasLoose(ref Ref, at place) (any bool, err error) {
	condition := "i.gone <> 0"
	if r.grounds[at.folder()].stale {
		condition = "(i.gone <> 0 OR EXISTS (SELECT 1 FROM location l WHERE l.item_id = i.id AND +l.folder_id = ?3 AND l.validity <> ?4))"
	}
	m := &metMessage{ref: ref}
	err = r.row("SELECT m.id, m.size, m.fingerprint IS NULL, EXISTS (SELECT 1 FROM item i WHERE i.message_id = m.id AND i.account_id = ?2 AND "+condition+") FROM message m WHERE m.ref = ?1",
		ref, r.account.ID, at.folder(), at.validity()).Scan(&m.id, &m.size, &m.plain, &any)
	if err != nil && !noRows(err) {
		return false, err
	}
	r.met = m
	return any, nil
}

// unconfirmed returns an item of a message that a folder held before it was renumbered, or that had vanished from it.
func (r *recorder) unconfirmed(ref Ref, at place) (*knownItem, error) {
	// The "+" makes SQLite look items up by message: a folder has many places, a message few items.
	stale, err := r.known(`JOIN location l ON l.item_id = i.id
		WHERE m.ref = ? AND i.account_id = ? AND +l.folder_id = ? AND l.validity <> ? ORDER BY l.uid LIMIT 1`, ref, r.account.ID, at.folder(), at.validity())
	if err != nil || stale != nil {
		return stale, err
	}
	folder, err := r.folder(at.folder())
	if err != nil {
		return nil, err
	}
	return r.known(`JOIN entry e ON e.item_id = i.id
		WHERE m.ref = ? AND i.account_id = ? AND i.gone <> 0 AND +e.mailbox_id = ? ORDER BY i.id LIMIT 1`, ref, r.account.ID, folder.Mailbox)
}

// forgetGone removes the gone items of a message that the account shows again, except one that came back itself.
func (r *recorder) forgetGone(ref Ref, except *knownItem) error {
	var back ItemID
	if except != nil {
		back = except.id
	}
	for {
		moved, err := r.known("WHERE m.ref = ? AND i.account_id = ? AND i.gone <> 0 AND i.id <> ? LIMIT 1", ref, r.account.ID, back)
		if err != nil || moved == nil {
			return err
		}
		if err := r.forget(moved.id); err != nil {
			return err
		}
	}
}

// forget removes an item whose message the account shows elsewhere.
func (r *recorder) forget(item ItemID) error {
	boxes, err := r.mailboxesOf(item)
	if err != nil {
		return err
	}
	if err := r.leaveAll(item, boxes); err != nil {
		return err
	}
	return r.emit(fact{Forget: &forgetFact{Item: item}})
}

// vanish decides what becomes of the copies that the source no longer has. It looks at all of them together: an item counts as gone only when no other
// copy of its message is left in the account.
func (r *recorder) vanish(b *Batch) error {
	lost, err := r.lostPlaces(b)
	if err != nil {
		return err
	}
	var items []ItemID
	for _, at := range lost {
		var item ItemID
		if err := r.fill(at); err != nil {
			return err
		}
		err := r.row("SELECT item_id FROM location WHERE folder_id = ? AND validity = ? AND uid = ?", at.folder(), at.validity(), at.uid()).Scan(&item)
		if noRows(err) {
			if err := r.unbury(at); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := r.emit(fact{Left: &leftFact{At: at}}); err != nil {
			return err
		}
		items = append(items, item)
	}
	if err := each(items, r.settleLost); err != nil {
		return err
	}
	return each(b.Dropped, r.drop)
}

// lostPlaces lists the places that a batch gives up: those named, all of dropped folders, and in folders whose pass is complete those that a renumbering left
// unconfirmed.
func (r *recorder) lostPlaces(b *Batch) ([]place, error) {
	var lost []place
	for _, g := range b.Gone {
		folder, err := r.folder(g.Folder)
		if err != nil {
			return nil, err
		}
		lost = append(lost, place{uint32(folder.ID), folder.Current, g.UID})
	}
	for _, id := range b.Dropped {
		places, err := r.placesIn("folder_id = ?", id)
		if err != nil {
			return nil, err
		}
		lost = append(lost, places...)
	}
	for _, s := range b.States {
		if s.State == (FolderState{}) {
			continue
		}
		// Two ranges of the key: "<>" would read the whole folder.
		for _, condition := range []string{"folder_id = ? AND validity < ?", "folder_id = ? AND validity > ?"} {
			places, err := r.placesIn(condition, s.Folder, s.State.UIDValidity)
			if err != nil {
				return nil, err
			}
			lost = append(lost, places...)
		}
	}
	return lost, nil
}

// settleLost marks an item gone, or forgets it, unless the source shows it at another place.
func (r *recorder) settleLost(item ItemID) error {
	var places, others int
	err := r.row("SELECT count(*) FROM location WHERE item_id = ?", item).Scan(&places)
	if err != nil || places > 0 {
		return err
	}
	if r.account.Kind == Gmail {
		return r.markGone(item)
	}
	err = r.row(`SELECT count(*) FROM item i JOIN item lost ON lost.message_id = i.message_id AND lost.account_id = i.account_id
		WHERE lost.id = ? AND EXISTS (SELECT 1 FROM location WHERE item_id = i.id)`, item).Scan(&others)
	if err != nil {
		return err
	}
	if others > 0 {
		return r.forget(item)
	}
	return r.markGone(item)
}

// markGone keeps an item where it is, with the date, and shows it in GoneMailbox too.
func (r *recorder) markGone(item ItemID) error {
	known, err := r.known("WHERE i.id = ?", item)
	if err != nil || known == nil || known.gone != 0 {
		return err
	}
	if err := r.emit(fact{Gone: &goneFact{Item: item, Since: r.now.Unix()}}); err != nil {
		return err
	}
	r.done.Gone++
	return r.enterAll(item, []string{GoneMailbox})
}

// drop marks a folder that the server no longer lists, and the mailbox that showed it.
func (r *recorder) drop(id FolderID) error {
	folder, err := r.folder(id)
	if err != nil || folder.GoneAt != 0 {
		return err
	}
	folder.GoneAt = r.now.Unix()
	return inOrder(
		func() error { return r.emitFolder(folder) },
		func() error { return r.state(FolderResult{Folder: id}) },
		func() error { return r.fillAll("hole WHERE folder_id = ?", id) },
		func() error { return r.dropMailbox(folder.Mailbox) },
	)
}

// dropMailbox marks a mailbox unless another folder shows itself in it.
func (r *recorder) dropMailbox(id MailboxID) error {
	var live int
	if err := r.row("SELECT count(*) FROM folder WHERE mailbox_id = ? AND gone = 0", id).Scan(&live); err != nil || live > 0 {
		return err
	}
	m, err := r.mailboxByID(id)
	if err != nil || m == nil {
		return err
	}
	return r.describeMailbox(MailboxSpec{Name: m.Name, Gone: true})
}

// fillAll clears the holes that a table and condition name.
func (r *recorder) fillAll(condition string, args ...any) error {
	places, err := r.placesWhere(condition, args...)
	if err != nil {
		return err
	}
	return each(places, func(at place) error { return r.emit(fact{Filled: &leftFact{At: at}}) })
}

func (r *recorder) placesOf(item ItemID) ([]place, error) {
	return r.placesWhere("location WHERE item_id = ?", item)
}

// placesWhere lists places of the source from a table and condition.
func (r *recorder) placesWhere(condition string, args ...any) ([]place, error) {
	var places []place
	err := r.each("SELECT folder_id, validity, uid FROM "+condition+" ORDER BY folder_id, validity, uid", args, func(found row) (bool, error) {
		var p place
		err := found.Scan(&p[0], &p[1], &p[2])
		places = append(places, p)
		return true, err
	})
	return places, err
}
