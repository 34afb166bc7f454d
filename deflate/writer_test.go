package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"testing"
)

// What is written can be read at once, by the standard library as well, and all of it together is one stream.
func TestWriter(t *testing.T) {
	for name, data := range samples() {
		for _, portion := range []int{1, 100, 5000, 70_000, 1 << 20} {
			if portion == 1 {
				data = data[:min(len(data), 3000)]
			}
			var sent bytes.Buffer
			w, own, std := NewWriter(&sent), NewReader(&sent, 4<<10), bytes.Buffer{}
			for rest := data; len(rest) > 0; {
				n := min(portion, len(rest))
				if wrote, err := w.Write(rest[:n]); wrote != n || err != nil {
					t.Fatal(wrote, err)
				}
				std.Write(sent.Bytes())
				got := make([]byte, n)
				if _, err := io.ReadFull(own, got); err != nil || !bytes.Equal(got, rest[:n]) {
					t.Fatalf("%s in portions of %d, %d left: %v", name, portion, len(rest), err)
				}
				rest = rest[n:]
			}
			got, err := io.ReadAll(flate.NewReader(&std))
			if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got, data) {
				t.Errorf("%s in portions of %d: %d bytes, %v", name, portion, len(got), err)
			}
		}
	}
}

// Portions are compressed with what went before them.
func TestWriterRemembers(t *testing.T) {
	var sent bytes.Buffer
	w := NewWriter(&sent)
	line := []byte("* 12 FETCH (UID 12 FLAGS (\\Seen $NotJunk) BODY[HEADER.FIELDS (FROM TO SUBJECT)] {7}\r\n")
	w.Write(line)
	first := sent.Len()
	for range 1000 {
		sent.Reset()
		w.Write(line)
	}
	if again := sent.Len(); again > first/2 {
		t.Errorf("%d bytes take %d the first time and %d later", len(line), first, again)
	}
	if cap(w.last) > 2*dictionary {
		t.Errorf("%d bytes are kept", cap(w.last))
	}
}

func TestWriterError(t *testing.T) {
	broken := errors.New("broken")
	if _, err := NewWriter(failing{broken}).Write([]byte("text")); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// failing is a writer that fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
