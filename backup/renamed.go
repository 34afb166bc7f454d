package backup

import (
	"context"
	"io"

	"mailkeep/archive"
)

// samples is how many messages must be the same before a mailbox counts as renamed: the first ones and the last ones recorded.
const samples = 6

// proven tells whether a mailbox that seems to be a known one under a new name holds the same messages under the same UIDs. On Gmail nothing hangs on it: messages are
// known by their ids. Elsewhere a wrong guess would take the new mailbox's messages for recorded, so their headers are compared.
func (r *run) proven(ctx context.Context, from archive.Folder, to *planned) (bool, error) {
	if r.account.Kind == archive.Gmail {
		return true, nil
	}
	if from.Current != from.UIDValidity {
		return false, nil
	}
	want, err := r.sample(ctx, from.ID)
	if err != nil {
		return false, err
	}
	var set uidSet
	for uid := range want {
		set.add(uid)
	}
	same, differ := 0, 0
	err = r.pool.do(ctx, to.name, "compare a renamed mailbox", func(s *Session) error {
		same, differ = 0, 0
		data, err := s.examine(to.name, false)
		if err != nil {
			return err
		}
		if data.UIDValidity != from.UIDValidity || len(set) == 0 {
			return nil
		}
		return s.fetchMeta(set, wants{header: true}, 0, func(m *meta) error {
			switch {
			case m.fingerprint.IsZero():
			case m.fingerprint == want[m.uid]:
				same++
			default:
				differ++
			}
			return nil
		})
	})
	if refused(err) != nil {
		return false, nil
	}
	return same > 0 && differ == 0, err
}

// sample returns the fingerprints of some messages recorded in a folder, by UID; those without one are left out.
func (r *run) sample(ctx context.Context, id archive.FolderID) (map[uint32]archive.Fingerprint, error) {
	var some []archive.Known
	err := r.w.Copies(ctx, id, func(k archive.Known) error {
		if len(some) == samples {
			some = append(some[:samples/2], some[samples/2+1:]...)
		}
		some = append(some, k)
		return nil
	})
	if err != nil {
		return nil, archiveFailure(err)
	}
	prints := make(map[uint32]archive.Fingerprint)
	for _, k := range some {
		if print := r.fingerprint(k.Ref); !print.IsZero() {
			prints[k.UID] = print
		}
	}
	return prints, nil
}

// fingerprint computes the fingerprint of an archived message, or none when it has none or cannot be read: then it proves nothing.
func (r *run) fingerprint(ref archive.Ref) archive.Fingerprint {
	file, err := r.w.OpenMessage(ref)
	if err != nil {
		return archive.Fingerprint{}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return archive.Fingerprint{}
	}
	in := &bodyReader{r: file, want: info.Size()}
	if _, err := io.CopyN(io.Discard, in, min(info.Size(), maxHeader)); err != nil || !distinctive(in.headerBlock()) {
		return archive.Fingerprint{}
	}
	return archive.FingerprintOf(in.headerBlock(), info.Size())
}
