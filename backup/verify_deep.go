package backup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"mailkeep/archive"
)

// target is a message whose bytes are to be compared.
type target struct {
	mailbox  string // the server's name
	validity uint32
	uid      uint32
	ref      archive.Ref
	size     int64
}

// sample chooses messages at random while they pass by, each with the same chance.
type sample struct {
	most   int64 // how many; 0 none, VerifyAll: they are fetched as they pass by
	passed int64
	chosen []target
}

func newSample(most int64) sample {
	if most < 0 {
		most = VerifyAll
	}
	return sample{most: most}
}

func (s *sample) offer(t target) {
	if s.most <= 0 {
		return
	}
	s.passed++
	if int64(len(s.chosen)) < s.most {
		s.chosen = append(s.chosen, t)
	} else if i := rand.Int64N(s.passed); i < s.most {
		s.chosen[i] = t
	}
}

// digester takes messages as an archive does, and keeps nothing but their digests.
type digester struct{}

func (digester) Put(in io.Reader) (archive.Ref, int64, error) {
	hash := sha256.New()
	n, err := io.Copy(hash, in)
	return archive.Ref(hash.Sum(nil)), n, err
}

// deepBytes and deepMessages bound what one command fetches.
const (
	deepBytes    = 8 << 20
	deepMessages = 200
)

func (v *verifier) fetchSample(ctx context.Context) error {
	todo := v.sample.chosen
	slices.SortFunc(todo, func(a, b target) int { return cmp.Or(cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.uid, b.uid)) })
	v.report.expect(int64(len(todo)))
	return v.fetch(ctx, todo)
}

func (v *verifier) fetchAll(ctx context.Context, f *verified, pairs []pair) error {
	var todo []target
	for _, p := range pairs {
		if p.held != nil {
			todo = append(todo, target{f.plan.name, f.state.UIDValidity, p.uid, p.held.Ref, p.held.Size})
		}
	}
	slices.SortFunc(todo, func(a, b target) int { return cmp.Compare(a.uid, b.uid) })
	return v.fetch(ctx, todo)
}

// fetch compares the bytes of messages, sorted by mailbox and UID.
func (v *verifier) fetch(ctx context.Context, todo []target) error {
	for len(todo) > 0 {
		n, bytes := 0, int64(0)
		for n < len(todo) && n < deepMessages && bytes < deepBytes && todo[n].mailbox == todo[0].mailbox {
			bytes += todo[n].size
			n++
		}
		if err := v.pool.quota.reserve(bytes); err != nil {
			return err
		}
		err := v.fetchSome(ctx, todo[:n])
		v.pool.quota.spend(0, bytes)
		if err != nil {
			return err
		}
		v.report.seen(n)
		todo = todo[n:]
	}
	return nil
}

func (v *verifier) fetchSome(ctx context.Context, todo []target) error {
	var set uidSet
	for _, t := range todo {
		set.add(t.uid)
	}
	f := &folder{plan: &planned{listing: listing{name: todo[0].mailbox}}, state: archive.FolderState{UIDValidity: todo[0].validity}}
	got := make(map[uint32]archive.Ref)
	err := v.pool.do(ctx, todo[0].mailbox, "fetch messages to compare them", func(s *Session) error {
		if err := f.at(s, false); err != nil {
			return err
		}
		return s.readBodies(s.startBodies(set), digester{}, func(one arrived) { got[one.uid] = one.ref })
	})
	if err != nil && refused(err) == nil {
		return err
	}
	for _, t := range todo {
		if err := v.compareBytes(t, got[t.uid]); err != nil {
			return err
		}
	}
	return nil
}

// compareBytes judges one message. What was expunged meanwhile, or is refused, was not compared.
func (v *verifier) compareBytes(t target, server archive.Ref) error {
	if server.IsZero() {
		return nil
	}
	v.result.Deep++
	problem := Problem{Mailbox: t.mailbox, UID: t.uid, Ref: t.ref}
	damage, err := v.archive.HasFile(t.ref, t.size, true)
	if err != nil {
		return archiveFailure(err)
	}
	if damage != "" {
		v.result.Damaged++
		problem.Kind, problem.Reason = ProblemDamaged, "its file "+damage
		v.problem(problem)
	}
	if server != t.ref {
		v.result.Differ++
		problem.Kind, problem.Reason = ProblemBytes, fmt.Sprintf("the server has a message with the digest %s", server)
		v.problem(problem)
	}
	return nil
}
