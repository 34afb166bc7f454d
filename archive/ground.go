package archive

// ground is what a batch learns of a folder before its copies there: most batches bring copies that are all new, and one look spares one for each of them.
type ground struct {
	first, last uint32 // of the UIDs of the batch
	empty       bool   // no item was at any of the places from first to last before
	stale       bool   // there are places from before a renumbering
	entered     map[uint32]bool
}

// enter notes that the batch has got to a UID, and tells whether no item is at that place.
func (g *ground) enter(uid uint32) (vacant bool) {
	vacant = g.empty && !g.entered[uid]
	g.entered[uid] = true
	return vacant
}

// survey learns what there is in the folders of copies.
func (r *recorder) survey(copies []Copy) error {
	for i := range copies {
		id, uid := copies[i].Folder, copies[i].UID
		g := r.grounds[id]
		if g == nil {
			g = &ground{first: uid, last: uid, entered: make(map[uint32]bool)}
			r.grounds[id] = g
		}
		g.first, g.last = min(g.first, uid), max(g.last, uid)
	}
	for id, g := range r.grounds {
		if err := r.look(id, g); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) look(id FolderID, g *ground) error {
	folder, err := r.folder(id)
	if err != nil {
		return err
	}
	var any bool
	err = r.row("SELECT EXISTS (SELECT 1 FROM location WHERE folder_id = ? AND validity = ? AND uid BETWEEN ? AND ?)", id, folder.Current, g.first, g.last).Scan(&any)
	if err != nil {
		return err
	}
	g.empty = !any
	// Two ranges of the key: "<>" would read the whole folder.
	return r.row(`SELECT EXISTS (SELECT 1 FROM location WHERE folder_id = ?1 AND validity < ?2) OR EXISTS (SELECT 1 FROM location WHERE folder_id = ?1 AND validity > ?2)`,
		id, folder.Current).Scan(&g.stale)
}
