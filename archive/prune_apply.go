package archive

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Pruned tells what a prune did.
type Pruned struct {
	ID       PruneID
	Items    int64 // removed
	Changed  int64 // left as they were, because they are not any more what the plan chose
	Messages int64 // files moved to quarantine/
	Bytes    int64 // of these
}

// pruneChunk is how many items one batch removes.
const pruneChunk = 500

// Prune carries a plan out. What was chosen and has changed since is left alone. Items are removed in batches; after each, the files that no item needs any more are moved to
// quarantine/, where they wait with what Undo needs. It goes in the order of A8 backwards: journal, rows, files, so that a crash leaves a file without a row (A2) and never a
// row without a file; the next prune moves it. Mail of an interrupted prune is partly gone and partly there, and Undo brings back what is gone.
func (w *Writer) Prune(ctx context.Context, plan *PrunePlan, progress func(done, total int)) (Pruned, error) {
	if len(plan.Items) == 0 {
		return Pruned{}, nil
	}
	if err := w.finishPrunes(ctx); err != nil {
		return Pruned{}, err
	}
	done, err := w.prune(ctx, plan, progress)
	if err != nil {
		return done, fmt.Errorf("prune: %w", noSpace(err))
	}
	return done, nil
}

func (w *Writer) prune(ctx context.Context, plan *PrunePlan, progress func(done, total int)) (done Pruned, err error) {
	now := time.Now().Unix()
	if done.ID, err = w.nextPrune(ctx); err != nil {
		return done, err
	}
	if err := w.writeManifest(ctx, manifestHead{Format: 1, Prune: done.ID, Time: now, Policy: plan.Policy.Text, Tombstones: plan.Policy.Tombstones}, plan.Items); err != nil {
		return done, err
	}
	for chunk := range slices.Chunk(plan.Items, pruneChunk) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		p := &pruner{policy: &plan.Policy, fact: pruneFact{ID: done.ID, Time: now, Policy: plan.Policy.Text}}
		if err := w.pruneChunk(ctx, p, chunk); err != nil {
			return done, err
		}
		done.Items += p.fact.Items
		done.Changed += int64(len(chunk)) - p.fact.Items
		done.Messages += p.fact.Messages
		done.Bytes += p.fact.Bytes
		if progress != nil {
			progress(int(done.Items+done.Changed), len(plan.Items))
		}
	}
	return done, nil
}

// pruneChunk removes some items and moves the files that are not needed any more.
func (w *Writer) pruneChunk(ctx context.Context, p *pruner, chunk []ItemID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.record(ctx, func(r *recorder) error { p.recorder = r; return p.items(chunk) }); err != nil {
		return err
	}
	return w.store.exile(p.dropped, pruneFolder(w.dir, p.fact.ID))
}

// pruner removes items within one batch.
type pruner struct {
	*recorder
	policy  *PrunePolicy
	fact    pruneFact
	dropped []Ref
}

func (p *pruner) items(chunk []ItemID) error {
	chooses, args := p.policy.chooses()
	still, err := p.idsWhere("SELECT i.id FROM item i WHERE "+chooses+" AND i.id IN ("+idList(chunk)+") ORDER BY i.id", args...)
	if err != nil || len(still) == 0 {
		return err
	}
	begun := p.fact // tombstones refer to it; its sums follow when they are known
	if err := p.emit(fact{Prune: &begun}); err != nil {
		return err
	}
	reopened := make(map[FolderID]bool)
	for _, id := range still {
		if err := p.item(ItemID(id), reopened); err != nil {
			return fmt.Errorf("item %d: %w", id, err)
		}
	}
	return p.emit(fact{Prune: &p.fact})
}

// item removes one item: from its mailboxes, from its places, itself, and its message when nothing else has it.
func (p *pruner) item(id ItemID, reopened map[FolderID]bool) error {
	stone := tombstoneFact{Item: id, Prune: p.fact.ID}
	var message, size int64
	var kind Kind
	var print Fingerprint
	err := p.row(`SELECT i.account_id, a.kind, i.source_id, m.id, m.ref, m.size, m.fingerprint FROM item i JOIN message m ON m.id = i.message_id JOIN account a ON a.id = i.account_id
		WHERE i.id = ?`, id).Scan(&stone.Account, &kind, &stone.SourceID, &message, &stone.Ref, &size, &print)
	if err != nil {
		return err
	}
	places, err := p.placesOf(id)
	if err != nil {
		return err
	}
	for _, at := range places {
		if err := p.emit(fact{Left: &leftFact{At: at}}); err != nil {
			return err
		}
	}
	if err := p.forget(id); err != nil {
		return err
	}
	p.fact.Items++
	if err := p.message(message, stone.Ref, size); err != nil {
		return err
	}
	if !p.policy.Tombstones {
		return p.reopenPlaces(places, reopened)
	}
	if !print.IsZero() {
		stone.Fingerprint = &print
	}
	if kind == IMAP && len(places) > 0 {
		stone.Folder = places[0].folder()
	}
	return p.bury(stone, places)
}

// message removes a message that no item has any more.
func (p *pruner) message(id int64, ref Ref, size int64) error {
	var needed bool
	if err := p.row("SELECT EXISTS (SELECT 1 FROM item WHERE message_id = ?)", id).Scan(&needed); err != nil || needed {
		return err
	}
	p.fact.Messages++
	p.fact.Bytes += size
	p.dropped = append(p.dropped, ref)
	return p.emit(fact{Drop: &dropFact{Ref: ref}})
}

func (p *pruner) bury(stone tombstoneFact, places []place) error {
	if err := p.emit(fact{Tombstone: &stone}); err != nil {
		return err
	}
	return each(places, func(at place) error { return p.emit(fact{Bury: &buryFact{At: at, Item: stone.Item}}) })
}

func (p *pruner) reopenPlaces(places []place, reopened map[FolderID]bool) error {
	for _, at := range places {
		if id := at.folder(); !reopened[id] {
			reopened[id] = true
			if err := p.reopen(id); err != nil {
				return err
			}
		}
	}
	return nil
}
