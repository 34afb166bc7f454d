package imapd

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

func TestSort(t *testing.T) {
	s := newArchive(t)
	s.add("From: b@x\r\nSubject: Re: [list] apple\r\nDate: 3 Mar 2021 10:00:00 +0100\r\n\r\n", "INBOX", `\Seen`)
	s.add("From: Zoe <a@x>\r\nSubject: =?utf-8?q?=C3=84pfel?=\r\nDate: 3 Mar 2021 09:30:00 +0000\r\n\r\nlonger", "INBOX")
	s.add("From: Ann <c@x>\r\nTo: undisclosed: ;\r\nSubject: banana\r\n\r\n", "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for command, want := range map[string]string{
		"SORT (FROM) US-ASCII ALL":                                   "* SORT 2 1 3\r\n",
		"sort (from) us-ascii all":                                   "* SORT 2 1 3\r\n",
		"UID SORT (REVERSE DATE) UTF-8 ALL":                          "* SORT 3 2 1\r\n",
		"SORT (SUBJECT) UTF-8 ALL":                                   "* SORT 1 2 3\r\n",
		"SORT (DISPLAYFROM) UTF-8 ALL":                               "* SORT 3 1 2\r\n",
		"SORT (DISPLAYTO REVERSE ARRIVAL) UTF-8 ALL":                 "* SORT 1 2 3\r\n",
		"SORT (REVERSE SIZE) UTF-8 UNSEEN":                           "* SORT 2 3\r\n",
		"SORT (SIZE) {5+}\r\nUTF-8 SUBJECT {6+}\r\nbanana SMALLER 0": "* SORT\r\n",
		"SORT (SIZE) UTF-8 SUBJECT {6+}\r\nÄpfel":                    "* SORT 2\r\n",
		"SORT (ARRIVAL) US-ASCII X-GM-MSGID 1002":                    "* SORT 2\r\n",
		"SORT RETURN () (REVERSE ARRIVAL) US-ASCII 2:3":              "* ESEARCH (TAG \"~\") ALL 2:3\r\n",
		"UID SORT RETURN (MIN MAX COUNT ALL) (FROM) US-ASCII ALL":    "* ESEARCH (TAG \"~\") UID MIN 2 MAX 3 ALL 2,1,3 COUNT 3\r\n",
		"SORT RETURN (MIN MAX COUNT ALL) (FROM) US-ASCII DELETED":    "* ESEARCH (TAG \"~\") COUNT 0\r\n",
		"SORT RETURN (SAVE) (FROM) US-ASCII 2:3":                     "",
		"UID SORT (FROM) US-ASCII $":                                 "* SORT 2 3\r\n",
	} {
		if strings.Contains(command, "$") {
			c.ok("SORT RETURN (SAVE) (FROM) US-ASCII 2:3")
		}
		untagged, tagged := c.do(command)
		if !fits(want, untagged) || !fits("OK ~SORT completed", tagged) {
			t.Errorf("%s: got %q %s, want %q", command, untagged, tagged, want)
		}
	}
	for _, command := range []string{
		"SORT", "SORT (FROM)", "SORT () UTF-8 ALL", "SORT (NONSENSE) UTF-8 ALL", "SORT (REVERSE) UTF-8 ALL", "SORT (FROM REVERSE) UTF-8 ALL", "SORT (FROM) UTF-8", "SORT (FROM UTF-8 ALL",
		"SORT FROM UTF-8 ALL", "SORT RETURN (PARTIAL 1:2) (FROM) UTF-8 ALL", "SORT (" + strings.Repeat("FROM ", 1000) + "FROM) UTF-8 ALL", "SORT (REVERSE REVERSE FROM) UTF-8 ALL",
		"THREAD", "THREAD REFERENCES", "THREAD REFS UTF-8 ALL", "THREAD REFERENCES UTF-8", "THREAD RETURN (ALL) REFERENCES UTF-8 ALL", "UID SORTING (FROM) UTF-8 ALL", "THREAD NONSENSE {5+}\r\nUTF-8 ALL",
	} {
		if untagged, tagged := c.do(command); !strings.HasPrefix(tagged, "BAD") || untagged != "" {
			t.Errorf("%.60s: got %q %s", command, untagged, tagged)
		}
	}
	if _, tagged := c.do("SORT (FROM) KOI8-R ALL"); !strings.HasPrefix(tagged, "NO [BADCHARSET]") {
		t.Error(tagged)
	}
	c.ok("UNSELECT")
	if _, tagged := c.do("SORT (FROM) UTF-8 ALL"); !strings.HasPrefix(tagged, "BAD") {
		t.Error(tagged)
	}
}

// What has been sorted once is sorted again without a look at the files.
func TestSortAndThreadLarge(t *testing.T) {
	const n = 3000
	s := newArchive(t)
	random := rand.New(rand.NewPCG(1, 2))
	var copies []archive.Copy
	for i := range n {
		body := fmt.Sprintf("Message-ID: <%d@x>\r\nFrom: P%d <p%d@x>\r\nSubject: Re: topic %d\r\nDate: %d Mar 2021 10:%02d:00 +0000\r\n", i, i%97, i%97, i%500, i%28+1, i%60)
		if i > 0 {
			body += fmt.Sprintf("References: <%d@x> <%d@x>\r\n", random.IntN(i), random.IntN(n))
		}
		copies = append(copies, s.copyOf(body+"\r\n", "INBOX"))
	}
	s.record(archive.Batch{Copies: copies})
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	c.ok("SORT (ARRIVAL) US-ASCII ALL")
	for _, command := range []string{"SORT (SUBJECT REVERSE DATE) US-ASCII ALL", "THREAD REFERENCES US-ASCII ALL", "THREAD ORDEREDSUBJECT US-ASCII ALL"} {
		start := time.Now()
		got := c.ok(command)
		t.Logf("%s: %v", command, time.Since(start))
		seen := make(map[string]bool)
		for word := range strings.FieldsFuncSeq(got, func(r rune) bool { return r < '0' || r > '9' }) {
			if seen[word] {
				t.Fatalf("%s: %s stands there twice", command, word)
			}
			seen[word] = true
		}
		if len(seen) != n {
			t.Errorf("%s: %d messages", command, len(seen))
		}
	}
}

func TestSortOfDamagedMessages(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	s.add("X: y\r\n"+simple, "INBOX")
	damaged := s.path(archive.RefOf([]byte(simple)))
	for _, err := range []error{os.Chmod(damaged, 0o600), os.Truncate(damaged, 5)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.WriteFile(damaged, []byte(simple), 0o400) })
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	if got := c.ok("SORT (REVERSE FROM) US-ASCII ALL"); got != "* SORT 2 1\r\n" {
		t.Errorf("got %q", got)
	}
}

// The algorithms hold for any input: each message stands in the result once.
func FuzzThread(f *testing.F) {
	f.Add([]byte{1, 2, 3, 2, 1, 3, 1, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var list []*arranged
		for len(data) >= 4 && len(list) < 200 {
			d := &digest{id: messageID(data[0] % 32), subject: strings.Repeat("s", int(data[1]%4)), reply: data[1]&16 > 0}
			for _, ref := range data[2 : 2+min(len(data)-2, int(data[1]>>5))] {
				d.refs = append(d.refs, messageID(ref%32)+1)
			}
			list = append(list, &arranged{index: len(list), row: new(row), sent: int64(data[3]), digest: d})
			data = data[2:]
		}
		for name, algorithm := range threadAlgorithms {
			seen := make(map[int]bool)
			for _, top := range algorithm(append([]*arranged(nil), list...)) {
				for _, n := range top.descendants() {
					switch {
					case n.arranged == nil && (n != top || len(n.children) == 0):
						t.Fatalf("%s: a dummy below the top, or without children", name)
					case n.arranged != nil && seen[n.index]:
						t.Fatalf("%s: message %d stands twice", name, n.index)
					case n.arranged != nil:
						seen[n.index] = true
					}
				}
			}
			if len(seen) != len(list) {
				t.Fatalf("%s: %d of %d messages", name, len(seen), len(list))
			}
		}
	})
}

// A thread may be as deep as a mailbox is large, whichever end is seen first.
func TestDeepThreads(t *testing.T) {
	for _, backwards := range []bool{false, true} {
		const n = 50000
		list := make([]*arranged, n)
		for i := range list {
			k := i
			if backwards {
				k = n - 1 - i
			}
			list[i] = &arranged{index: i, sent: int64(k), digest: &digest{id: messageID(k + 1)}}
			if k > 0 {
				list[i].refs = []messageID{messageID(k)}
			}
		}
		start := time.Now()
		top := threadByReferences(list)
		if len(top) != 1 || len(top[0].descendants()) != n {
			t.Errorf("%d threads", len(top))
		}
		out := appendThreads(nil, top, func(m *arranged) uint32 { return uint32(m.index + 1) })
		if d := time.Since(start); d > 5*time.Second || strings.Count(string(out), "(") != 1 {
			t.Errorf("took %v: %.50s", d, out)
		}
	}
}

// BenchmarkArrange sorts and threads 100,000 messages whose headers are known.
func BenchmarkArrange(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]*arranged, 100000)
	for i := range all {
		d := &digest{id: messageID(i + 1), from: fmt.Sprint("PERSON", random.IntN(1000)), subject: fmt.Sprint("SUBJECT ", random.IntN(30000)), reply: i%2 == 0}
		if i > 0 && i%2 == 0 {
			d.refs = []messageID{messageID(1 + random.IntN(i)), messageID(1 + random.IntN(i))}
		}
		all[i] = &arranged{index: i, sent: int64(random.IntN(1 << 30)), digest: d}
	}
	for name, run := range map[string]func([]*arranged){
		"SORT DATE":             func(list []*arranged) { sortMessages(list, []sortKey{{compare: sortOrders["DATE"]}}) },
		"SORT SUBJECT":          func(list []*arranged) { sortMessages(list, []sortKey{{compare: sortOrders["SUBJECT"]}}) },
		"THREAD ORDEREDSUBJECT": func(list []*arranged) { threadBySubject(list) },
		"THREAD REFERENCES":     func(list []*arranged) { threadByReferences(list) },
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				run(slices.Clone(all))
			}
		})
	}
}
