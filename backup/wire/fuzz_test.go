package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"mailkeep/integration/corpus"
)

// wireSeeds are real conversations and the forms of the tables above.
func wireSeeds(t testing.TB) [][]byte {
	t.Helper()
	dir := corpus.GmailWire(t)
	var seeds [][]byte
	for _, pattern := range []string{"mailkit-gmail/*.txt", "mailkit-other/*/*.txt"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) < 20000 {
				seeds = append(seeds, bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
			}
		}
	}
	if len(seeds) < 100 {
		t.Fatalf("only %d seeds", len(seeds))
	}
	return seeds
}

// FuzzConnResponses: any stream is translated or refused, the same however it is cut, and a translation stays as it is
// when translated again.
func FuzzConnResponses(f *testing.F) {
	for _, seed := range wireSeeds(f) {
		f.Add(seed, byte(3))
	}
	f.Add([]byte("* 2 FETCH (X-GM-LABELS (a {5}\r\nb)\"\r\n c) BODY[] {3}\r\nabc BODY[1] \"x\" UID 2)\r\n"), byte(1))
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		out, err := wireTranslate(t, wireAsk, bytes.NewReader(in))
		r := io.Reader(bytes.NewReader(in))
		if step%2 == 0 {
			r = iotest.OneByteReader(r)
		} else {
			r = &stepReader{r, int(step)}
		}
		again, errAgain := wireTranslate(t, wireAsk, r)
		if (err == nil) != (errAgain == nil) || err == nil && out != again {
			t.Fatalf("cut by %d: %q, %v; whole: %q, %v", step, again, errAgain, out, err)
		}
		if err != nil && !errors.Is(err, ErrWire) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("unexpected error %v", err)
		}
		if err != nil || strings.IndexByte(out, flagEscape) >= 0 {
			return // an escape would be escaped once more
		}
		if twice, err := wireTranslate(t, wireAsk, strings.NewReader(out)); err != nil || twice != out {
			t.Fatalf("not stable: %q became %q, %v", out, twice, err)
		}
	})
}

// stepReader yields at most n bytes at a time.
type stepReader struct {
	r io.Reader
	n int
}

func (s *stepReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }

// FuzzConnCommands: any stream of commands is sent or refused, the same however it is cut; without an agreed section it is sent as it is.
func FuzzConnCommands(f *testing.F) {
	f.Add([]byte(wireAsk), byte(1))
	f.Add([]byte("T1 APPEND a {3+}\r\na\r\n\r\nT2 UID STORE 1 +FLAGS (a)\r\nT3 EXAMINE \"a\"\r\n"), byte(2))
	f.Add([]byte("T1 FETCH 1 (BODY.PEEK[HEADER.FIELDS ({4}\r\nFrom)] \"\\\"\" BODY[HEADER.FIELDS (x-mailkeep-gmail)])\r\n"), byte(5))
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		send := func(step int) (string, error) {
			w := &wireConn{r: strings.NewReader("")}
			c := NewConn(w)
			for rest := in; len(rest) > 0; {
				n := min(step, len(rest))
				if _, err := c.Write(rest[:n]); err != nil {
					return w.w.String(), err
				}
				rest = rest[n:]
			}
			return w.w.String(), nil
		}
		whole, err := send(len(in) + 1)
		cut, errCut := send(int(step) + 1)
		if whole != cut || (err == nil) != (errCut == nil) {
			t.Fatalf("cut: %q, %v; whole: %q, %v", cut, errCut, whole, err)
		}
		if !bytes.Contains(bytes.ToLower(in), []byte("mailkeep")) && !bytes.HasPrefix(in, []byte(whole)) {
			t.Fatalf("%q was sent as %q", in, whole)
		}
	})
}

// FuzzParseGmail: any bytes are read or refused, within the limits.
func FuzzParseGmail(f *testing.F) {
	f.Add([]byte("X-GM-MSGID 1\r\nX-GM-THRID 2\r\nX-GM-LABELS (\"\\\\Inbox\" {3}\r\na b &ANw- NIL)\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		items, err := ParseGmail(in)
		if err == nil && len(items.Labels) > maxLabels {
			t.Fatalf("%d labels", len(items.Labels))
		}
		for _, label := range items.Labels {
			if label == "" {
				t.Fatal("an empty label")
			}
		}
		if _, _, err := ParseObject(in); err == nil && len(in) > 0 && items.HasLabels {
			t.Fatal("taken for both kinds")
		}
	})
}
