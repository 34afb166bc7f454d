package backup_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func TestHiddenAllMail(t *testing.T) {
	r := newRig(t, gmailsim.Options{Locale: "de"})
	r.must(r.srv.HideFolder(`\All`))
	a := r.deliver(labelled(1, `\Inbox`, "Label one", "Label two"))
	r.deliver(labelled(2, `\Trash`))
	r.deliver(labelled(3, "Label one"))
	sum := r.run()
	if !warned(sum, backup.WarnHiddenAllMail) || !sum.Unfinished || sum.Downloaded != 3 {
		t.Errorf("%+v", sum)
	}
	r.onceEach()
	r.same("/")
	// Archived while All Mail is hidden: it cannot be seen, and is not gone.
	r.must(r.srv.SetLabels(a))
	sum = r.run()
	if _, gone := r.kept(); gone != 0 || sum.Downloaded != 0 || sum.Gone != 0 {
		t.Errorf("%d gone: %+v", gone, sum)
	}
	// Once it is shown, everything is as at the server, and what leaves it is gone.
	r.must(r.srv.ShowFolder(`\All`))
	sum = r.run()
	r.same("/")
	if sum.Downloaded != 0 || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.must(r.srv.Expunge(a))
	if sum = r.run(); sum.Gone != 1 {
		t.Errorf("%+v", sum)
	}
	r.same("/")
	// Hidden again after it was seen: nothing goes.
	r.must(r.srv.HideFolder(`\All`))
	if sum = r.run(); sum.Gone+sum.Downloaded != 0 || !warned(sum, backup.WarnHiddenAllMail) {
		t.Errorf("%+v", sum)
	}
	if have, _ := r.kept(); len(have[r.srv.FolderName(`\All`)]) != 1 {
		t.Errorf("All Mail: %v", have)
	}
}

func TestHiddenSystemFolder(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	id := r.deliver(labelled(1, `\Inbox`, `\Important`))
	r.deliver(labelled(2, `\Trash`))
	r.run()
	r.must(r.srv.HideFolder(`\Trash`))
	r.must(r.srv.HideFolder(`\Important`))
	r.must(r.srv.SetFlags(id, `\Seen`))
	sum := r.run()
	if !warned(sum, backup.WarnHiddenFolder) || sum.Gone != 0 {
		t.Errorf("%+v", sum)
	}
	have, _ := r.kept()
	if len(have[r.srv.FolderName(`\Important`)]) != 1 || len(have[r.srv.FolderName(`\Trash`)]) != 1 {
		t.Errorf("%v", have)
	}
}

func TestFolderLimit(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 1010 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.run()
	r.srv.FolderLimit(1000)
	r.deliver(labelled(2000, `\Inbox`))
	sum := r.run()
	if !warned(sum, backup.WarnFolderLimit) || sum.Gone != 0 || sum.Downloaded != 1 {
		t.Errorf("%+v", sum)
	}
	r.same("/")
	r.srv.FolderLimit(0)
	if sum = r.run(); sum.Gone+sum.Downloaded != 0 || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}

func TestManyGone(t *testing.T) {
	for _, generic := range []*gmailsim.Generic{nil, {Delimiter: "/", Condstore: true, ListStatus: true}} {
		t.Run(fmt.Sprint("gmail ", generic == nil), func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: generic})
			var ids []gmailsim.MsgID
			for i := range 400 {
				if generic == nil {
					ids = append(ids, r.deliver(labelled(i, `\Inbox`)))
				} else {
					ids = append(ids, r.appendTo("INBOX", mail(i)))
				}
			}
			r.run()
			for _, id := range ids[:150] {
				r.must(r.srv.Expunge(id))
			}
			for range 2 {
				sum := r.run()
				if !warned(sum, backup.WarnManyGone) || sum.Gone != 0 || !sum.Unfinished {
					t.Fatalf("%+v", sum)
				}
			}
			r.o.AcceptChanges = true
			if sum := r.run(); sum.Gone != 150 || sum.Unfinished {
				t.Errorf("%+v", sum)
			}
			r.same("/")
		})
	}
}

// A folder of many messages that moves as a whole, or is deleted, is told apart.
func TestManyMoved(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	r.must(r.srv.CreateMailbox("old"))
	r.must(r.srv.CreateMailbox("new"))
	var ids []gmailsim.MsgID
	for i := range 300 {
		ids = append(ids, r.appendTo("old", mail(i)))
	}
	r.run()
	for i := range 300 {
		r.appendTo("new", mail(i))
		r.must(r.srv.Expunge(ids[i]))
	}
	if sum := r.run(); sum.Gone != 0 || sum.Downloaded != 0 || sum.Unfinished {
		t.Errorf("moved: %+v", sum)
	}
	r.same("/")
	r.must(r.srv.DeleteMailbox("new"))
	if sum := r.run(); sum.Gone != 0 || !warned(sum, backup.WarnManyGone) {
		t.Errorf("deleted: %+v", sum)
	}
	r.o.AcceptChanges = true
	if sum := r.run(); sum.Gone != 300 {
		t.Errorf("accepted: %+v", sum)
	}
	r.same("/")
}

func TestFaults(t *testing.T) {
	often := func(do gmailsim.Action, when gmailsim.When) gmailsim.Fault {
		return gmailsim.Fault{Name: "it", When: when, Do: do, Times: -1}
	}
	once := func(do gmailsim.Action, when gmailsim.When) gmailsim.Fault {
		return gmailsim.Fault{Name: "it", When: when, Do: do}
	}
	bodies := gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}
	cases := map[string]struct {
		fault gmailsim.Fault
		holes int
	}{
		"cut inside a literal":           {once(gmailsim.Action{CloseMidLiteral: 50}, bodies), 0},
		"closed instead of an answer":    {once(gmailsim.Action{Close: true}, bodies), 0},
		"closed while reading":           {once(gmailsim.Action{CutAfter: 700}, gmailsim.When{Command: "UID FETCH"}), 0},
		"closed at SEARCH":               {once(gmailsim.Action{Close: true}, gmailsim.When{Command: "UID SEARCH"}), 0},
		"closed at LIST":                 {once(gmailsim.Action{Close: true}, gmailsim.When{Command: "LIST"}), 0},
		"BYE":                            {once(gmailsim.Action{Bye: "Session expired, please login again"}, bodies), 0},
		"NO for all bodies once":         {once(gmailsim.Action{No: "[UNAVAILABLE] Temporary System Problem (Failure)"}, bodies), 0},
		"NO for all metadata once":       {once(gmailsim.Action{No: "[UNAVAILABLE] Temporary System Problem (Failure)"}, gmailsim.When{Command: "UID FETCH"}), 0},
		"some could not be fetched once": {once(gmailsim.Action{FailUIDs: []uint32{3, 4, 17}}, bodies), 0},
		"some cannot be fetched":         {often(gmailsim.Action{FailUIDs: []uint32{3, 4, 17}}, gmailsim.When{Command: "UID FETCH"}), 3},
		"some bodies cannot be fetched":  {often(gmailsim.Action{FailUIDs: []uint32{3, 4, 17}}, bodies), 3},
		"empty bodies":                   {often(gmailsim.Action{EmptyUIDs: []uint32{7}}, bodies), 1},
		"empty body once":                {once(gmailsim.Action{EmptyUIDs: []uint32{7}}, bodies), 0},
		"wrong sizes":                    {often(gmailsim.Action{WrongSize: 3}, gmailsim.When{Command: "UID FETCH"}), 0},
		"no labels once":                 {once(gmailsim.Action{DropItem: "X-GM-LABELS"}, gmailsim.When{Command: "UID FETCH"}), 0},
		"no ids once":                    {once(gmailsim.Action{DropItem: "X-GM-MSGID"}, gmailsim.When{Command: "UID FETCH"}), 0},
		"no flags once":                  {once(gmailsim.Action{DropItem: "FLAGS"}, gmailsim.When{Command: "UID FETCH"}), 0},
		"unasked data": {gmailsim.Fault{Name: "it", Times: 2, When: gmailsim.When{Command: "UID FETCH"}, Do: gmailsim.Action{Unsolicited: []string{"* 3 FETCH (UID 3 FLAGS (\\Seen))", "* 99 EXISTS", "* OK [ALERT] hello", "* XUNKNOWN foo"},
			UnsolicitedAfter: []string{"* 1 RECENT"}}}, 0},
		"throttled": {often(gmailsim.Action{Throttled: true}, gmailsim.When{Command: "UID FETCH"}), 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{})
			for i := range 60 {
				r.deliver(labelled(i, `\Inbox`, fmt.Sprint("label ", i%5)))
			}
			remove := r.srv.AddFault(c.fault)
			sum := r.run()
			if r.srv.Counters().FaultsHit["it"] == 0 {
				t.Error("the fault did not happen")
			}
			a, err := r.w.AccountByName(context.Background(), account)
			r.must(err)
			holes, err := r.w.Holes(context.Background(), a.ID)
			r.must(err)
			if len(holes) != c.holes || sum.Holes != c.holes {
				t.Fatalf("%d holes, want %d: %+v\n%+v", len(holes), c.holes, holes, sum)
			}
			if c.holes == 0 {
				r.same("/")
			}
			// The next run, in good weather, fills what is missing, and the one after has nothing to do.
			remove()
			r.run()
			r.same("/")
			if sum := r.run(); sum.Downloaded+sum.Entered+sum.Left+sum.Flags != 0 || sum.Unchanged != 3 {
				t.Errorf("%+v", sum)
			}
		})
	}
}

// A message over which the connection always breaks does not keep the others from being backed up.
func TestPoison(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	for i := range 30 {
		r.appendTo("INBOX", mail(i))
	}
	big := mail(1000)
	big.Body = append(big.Body, strings.Repeat("x", 5000)...)
	r.appendTo("INBOX", big)
	r.srv.AddFault(gmailsim.Fault{Name: "poison", When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{CloseMidLiteral: 3000}, Times: -1})
	sum := r.run()
	if sum.Holes != 1 || sum.NewMessages != 30 {
		t.Errorf("%+v", sum)
	}
	r.srv.ClearFaults()
	if sum = r.run(); sum.Downloaded != 1 {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}

func TestErrors(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, `\Inbox`))
	r.srv.SetCredentials("another")
	_, err := backup.Run(context.Background(), r.w, r.o)
	if !errors.Is(err, backup.ErrAuth) {
		t.Errorf("wrong password: %v", err)
	}
	r.srv.SetCredentials("password")
	r.run()
	r.must(r.srv.Close())
	start := time.Now()
	if _, err = backup.Run(context.Background(), r.w, r.o); !errors.Is(err, backup.ErrConnection) {
		t.Errorf("no server: %v", err)
	}
	if time.Since(start) > time.Second {
		t.Error("a server that is not there took long to notice")
	}
	// The same name for another kind of server.
	plain := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	if _, err = backup.Run(context.Background(), r.w, plain.o); !errors.Is(err, backup.ErrProtocol) {
		t.Errorf("no Gmail any more: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = backup.Run(ctx, plain.w, plain.o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A connection that is lost for good ends the run with a clear error and keeps what was recorded.
func TestLostForGood(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 200 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.o.Retries, r.o.Connections = 2, 1
	r.srv.AddFault(gmailsim.Fault{Name: "gone", When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]", Nth: 2}, Do: gmailsim.Action{Run: func() { go r.srv.Close() }, Stall: true}, Times: -1})
	sum, err := backup.Run(context.Background(), r.w, r.o)
	if !errors.Is(err, backup.ErrConnection) || sum.NewMessages == 0 {
		t.Errorf("%v: %+v", err, sum)
	}
}

// Interrupted at random moments again and again, a backup ends like an undisturbed one, and nothing is downloaded twice but what was in flight.
func TestInterrupted(t *testing.T) {
	for _, generic := range []*gmailsim.Generic{nil, {Delimiter: "/", Condstore: true, ListStatus: true}, {Delimiter: "/", Bare: true}} {
		t.Run(fmt.Sprint(generic), func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: generic})
			const n = 400
			for i := range n {
				if generic == nil {
					r.deliver(labelled(i, `\Inbox`, fmt.Sprint("label ", i%7)))
				} else {
					r.appendTo("INBOX", mail(i))
				}
			}
			r.o.BatchMessages = 20
			rng := rand.New(rand.NewPCG(1, 2))
			interruptions := 0
			for {
				r.srv.ResetCounters()
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(5+rng.IntN(60)+10*interruptions)*time.Millisecond)
				start := time.Now()
				sum, err := backup.Run(ctx, r.w, r.o)
				cancel()
				if time.Since(start) > 5*time.Second {
					t.Errorf("took %v to stop", time.Since(start))
				}
				if err == nil {
					break
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				if lost := r.srv.Counters().Bodies - sum.NewMessages; lost > r.o.BatchMessages+1000 {
					t.Errorf("%d bodies were sent in vain", lost)
				}
				r.w.Close()
				w, err := archive.OpenWriter(r.dir)
				r.must(err)
				r.w = w
				if interruptions++; interruptions > 200 {
					t.Fatal("it never ends")
				}
			}
			t.Logf("%d interruptions", interruptions)
			defer func() { r.must(r.w.Close()) }()
			r.same("/")
			if sum := r.run(); sum.Downloaded+sum.Entered+sum.Flags != 0 {
				t.Errorf("%+v", sum)
			}
		})
	}
}

func TestFewConnections(t *testing.T) {
	for _, n := range []int{1, 2, 8} {
		r := newRig(t, gmailsim.Options{MaxConns: 2})
		r.must(r.srv.Load(gmailsim.Sample(200, 7)))
		r.o.Connections = n
		r.run()
		r.same("/")
		r.onceEach()
	}
}

func TestExclude(t *testing.T) {
	r := newRig(t, gmailsim.Options{Locale: "fr"})
	r.deliver(labelled(1, `\Inbox`, "Lists/a"))
	r.deliver(labelled(2, `\Trash`))
	r.deliver(labelled(3, `\Spam`))
	r.o.Exclude = []string{"spam", "Trash", "Lists/*"}
	r.run()
	have, _ := r.kept()
	for name := range have {
		if strings.HasPrefix(name, "Lists") || name == r.srv.FolderName(`\Trash`) || name == r.srv.FolderName(`\Junk`) {
			t.Errorf("%q is there", name)
		}
	}
	if len(have[r.srv.FolderName(`\All`)]) != 1 {
		t.Errorf("All Mail: %v", have)
	}
}

// Two accounts in one archive: the second finds the messages that the first brought.
func TestTwoAccounts(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	second := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "."}})
	for i := range 50 {
		r.appendTo("INBOX", mail(i))
		second.appendTo("INBOX", mail(i))
	}
	r.run()
	second.o.Account = "other"
	sum, err := backup.Run(context.Background(), r.w, second.o)
	r.must(err)
	if sum.Downloaded != 0 || sum.NewItems != 50 {
		t.Errorf("%+v", sum)
	}
}

func TestProgress(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.must(r.srv.Load(gmailsim.Sample(100, 4)))
	w := &watcher{}
	r.o.Progress = w
	sum := r.run()
	last := w.last
	if last.Downloaded != 100 || last.Wanted != 100 || last.Seen != 100 || last.Expected != 100 || last.DownloadedBytes != sum.Bytes || last.Phase != backup.PhaseFinish {
		t.Errorf("%+v", last)
	}
}

type watcher struct {
	mu   sync.Mutex
	last backup.Status
}

func (w *watcher) Update(s backup.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = s
}

func (w *watcher) Warn(backup.Warning) {}

// Each kind of refusal has a sentence of its own, and says whether waiting, another password or a web browser helps.
func TestLoginRefusals(t *testing.T) {
	cases := map[string]struct {
		kind error
		says string
	}{
		"[AUTHENTICATIONFAILED] Invalid credentials (Failure)":                                                           {backup.ErrAuth, "check the user name and the password"},
		"[ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)":    {backup.ErrAuth, "takes an app password"},
		"[ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)":    {backup.ErrAuth, "with a web browser first"},
		"[WEBALERT https://accounts.google.com/signin/continue?x=y] Web login required. (Failure)":                       {backup.ErrAuth, "with a web browser first"},
		"[ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable it.":         {backup.ErrAuth, "IMAP is switched off"},
		"[ALERT] Too many simultaneous connections. (Failure)":                                                           {backup.ErrConnection, "too many programs"},
		"[LIMIT] Maximum number of connections from user+IP exceeded":                                                    {backup.ErrConnection, "too many programs"},
		"[UNAVAILABLE] Temporary System Problem (Failure)":                                                               {backup.ErrConnection, "does not want to serve this account now"},
		"[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)":                                            {backup.ErrQuota, "has downloaded enough for now"},
		"[ALERT] Account exceeded command or bandwidth limits. https://support.google.com/mail/answer/7126229 (Failure)": {backup.ErrQuota, "has downloaded enough for now"},
		"[EXPIRED] That password isn't any good any more":                                                                {backup.ErrAuth, "has expired"},
		"[CONTACTADMIN] Account locked":                                                                                  {backup.ErrAuth, "locked"},
	}
	for text, c := range cases {
		r := newRig(t, gmailsim.Options{})
		r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{No: text}, Times: -1})
		start := time.Now()
		_, err := backup.Run(context.Background(), r.w, r.o)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s:\n\t%v", text, err)
		}
		if time.Since(start) > 2*time.Second {
			t.Errorf("%s: it took %v to say so", text, time.Since(start))
		}
	}
}

// While a connection is away, the status says why nothing happens.
func TestReasonShown(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 120 {
		r.deliver(labelled(i, `\Inbox`))
	}
	var mu sync.Mutex
	reasons := map[string]bool{}
	r.o.Progress = watchFunc(func(s backup.Status) {
		mu.Lock()
		defer mu.Unlock()
		if s.Waiting != "" && !s.Until.IsZero() {
			reasons[s.Waiting] = true
		}
	})
	r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{Close: true, Throttled: true}})
	r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]", Nth: 2}, Do: gmailsim.Action{Throttled: true}, Times: -1})
	r.run()
	r.same("/")
	if !reasons["the connection was lost"] || !reasons["the server slows downloads down"] {
		t.Errorf("reasons: %v", reasons)
	}
}

type watchFunc func(backup.Status)

func (f watchFunc) Update(s backup.Status) { f(s) }
func (f watchFunc) Warn(backup.Warning)    {}

// Labels that seem to be taken off many messages at once are not believed either, until somebody says so. Flags and a few labels pass.
func TestManyLabelsLost(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	var ids []gmailsim.MsgID
	for i := range 300 {
		ids = append(ids, r.deliver(labelled(i, `\Inbox`, "Keep", fmt.Sprint("label ", i%5))))
	}
	r.run()
	before, _ := r.kept()
	for _, id := range ids[:60] {
		r.must(r.srv.RemoveLabels(id, "Keep"))
	}
	if sum := r.run(); sum.Left != 60 || sum.Unfinished {
		t.Errorf("a few: %+v", sum)
	}
	r.same("/")
	for _, id := range ids {
		r.must(r.srv.SetLabels(id))
		r.must(r.srv.SetFlags(id, `\Seen`))
	}
	r.deliver(labelled(1000, `\Inbox`))
	for range 2 {
		sum := r.run()
		if !warned(sum, backup.WarnManyGone) || sum.Left != 0 || sum.Gone != 0 || !sum.Unfinished {
			t.Fatalf("%+v", sum)
		}
	}
	if after, _ := r.kept(); len(after["INBOX"]) != len(before["INBOX"])+1 || len(after["Keep"]) != 240 {
		t.Errorf("INBOX %d, Keep %d", len(after["INBOX"]), len(after["Keep"]))
	}
	r.o.AcceptChanges = true
	if sum := r.run(); sum.Left == 0 || sum.Unfinished {
		t.Errorf("accepted: %+v", sum)
	}
	r.same("/")
}

// A mailbox that was renumbered and lost most of its messages is held back, in each run until the changes are accepted, also when the run that saw the renumbering was stopped.
func TestManyGoneRenumbered(t *testing.T) {
	for _, generic := range []*gmailsim.Generic{nil, {Delimiter: "/", Condstore: true, ListStatus: true}} {
		for _, stopped := range []bool{false, true} {
			t.Run(fmt.Sprint("gmail ", generic == nil, ", stopped ", stopped), func(t *testing.T) {
				r := newRig(t, gmailsim.Options{Generic: generic})
				box := "INBOX"
				if generic == nil {
					box = r.srv.FolderName(`\All`)
				}
				var ids []gmailsim.MsgID
				for i := range 300 {
					if generic == nil {
						ids = append(ids, r.deliver(labelled(i, `\Inbox`)))
					} else {
						ids = append(ids, r.appendTo(box, mail(i)))
					}
				}
				r.run()
				for _, id := range ids[:270] {
					r.must(r.srv.Expunge(id))
				}
				r.must(r.srv.ChangeUIDValidity(box))
				if stopped {
					ctx, cancel := context.WithCancel(context.Background())
					remove := r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH"}, Do: gmailsim.Action{Run: cancel, Latency: 20 * time.Millisecond}})
					if _, err := backup.Run(ctx, r.w, r.o); !errors.Is(err, context.Canceled) {
						t.Fatal(err)
					}
					remove()
				}
				for range 3 {
					sum := r.run()
					if _, gone := r.kept(); gone != 0 || sum.Gone != 0 || !warned(sum, backup.WarnManyGone) || !sum.Unfinished {
						t.Fatalf("%d gone: %+v", gone, sum)
					}
				}
				r.o.AcceptChanges = true
				if sum := r.run(); sum.Gone != 270 || sum.Unfinished {
					t.Errorf("%+v", sum)
				}
				r.same("/")
			})
		}
	}
}
