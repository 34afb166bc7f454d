package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// deflated compresses data in portions, each flushed.
func deflated(t testing.TB, level, portion int, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := min(portion, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// samples are data of several kinds.
func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	var lines strings.Builder
	for i := range 20_000 {
		lines.WriteString("* 12 FETCH (UID ")
		lines.WriteString(strings.Repeat("7", i%9))
		lines.WriteString(" FLAGS (\\Seen))\r\n")
	}
	return map[string][]byte{"nothing": nil, "a byte": {7}, "noise": noise, "lines": []byte(lines.String()), "zeros": make([]byte, 200_000)}
}

func TestInflate(t *testing.T) {
	for name, data := range samples() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.DefaultCompression, flate.BestCompression} {
			for _, portion := range []int{1 << 20, 5000, 100} {
				if portion == 100 && len(data) > 10_000 {
					data = data[:10_000]
				}
				packed := deflated(t, level, portion, data)
				for way, src := range map[string]io.Reader{"at once": bytes.NewReader(packed), "byte by byte": iotest.OneByteReader(bytes.NewReader(packed)),
					"with its end": iotest.DataErrReader(bytes.NewReader(packed))} {
					got, err := io.ReadAll(NewReader(src, 4<<10))
					if err != nil || !bytes.Equal(got, data) {
						t.Fatalf("%s, level %d, portions of %d, %s: %d bytes, want %d: %v", name, level, portion, way, len(got), len(data), err)
					}
				}
			}
		}
	}
}

// What arrived is given out although the flush has no empty stored block at its end, which is what zlib's partial flush lacks.
func TestInflatePartialFlush(t *testing.T) {
	for _, level := range []int{flate.BestSpeed, flate.BestCompression} {
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, level)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Repeat("A1 OK [THROTTLED] Success\r\n", 40)
		w.Write([]byte(want))
		w.Flush()
		packed := bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
		in, feed := net.Pipe()
		go feed.Write(packed)
		in.SetReadDeadline(time.Now().Add(5 * time.Second))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(NewReader(in, 4<<10), got); err != nil || string(got) != want {
			t.Errorf("level %d: %q, %v", level, got, err)
		}
		in.Close()
		feed.Close()
	}
}

// A deadline that passes, wherever the input stands, loses nothing.
func TestInflateDeadline(t *testing.T) {
	data := samples()["lines"][:20_000]
	packed := deflated(t, flate.DefaultCompression, 3000, data)
	z := NewReader(&hesitant{data: packed}, 4<<10)
	var got []byte
	buf := make([]byte, 700)
	passed := 0
	for {
		n, err := z.Read(buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			passed++
			continue
		}
		if err != nil {
			break
		}
	}
	if !bytes.Equal(got, data) || passed < len(packed)/2 {
		t.Errorf("%d bytes of %d after %d deadlines", len(got), len(data), passed)
	}
}

// hesitant gives a byte and a passed deadline in turn.
type hesitant struct {
	data []byte
	turn bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.turn = !h.turn; h.turn {
		return 0, os.ErrDeadlineExceeded
	}
	if len(h.data) == 0 {
		return 0, io.EOF
	}
	p[0] = h.data[0]
	h.data = h.data[1:]
	return 1, nil
}

func TestInflateBroken(t *testing.T) {
	for name, packed := range map[string][]byte{
		"zlib header":      {0x78, 0x9c, 0x4b, 0x4c, 0x04, 0x00},
		"reserved type":    {0x07},
		"stored lengths":   {0x00, 0x05, 0x00, 0x05, 0x00},
		"copy from before": {0x4b, 0x02, 0x93, 0xff, 0xff, 0x00},
	} {
		if _, err := io.ReadAll(NewReader(bytes.NewReader(packed), 4<<10)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzInflate compares with the standard library's reader wherever that comes to an end without an error.
func FuzzInflate(f *testing.F) {
	for _, data := range samples() {
		if len(data) < 250_000 {
			f.Add(deflated(f, flate.DefaultCompression, 4000, data[:min(len(data), 9000)]))
		}
	}
	f.Add([]byte{0x07})
	f.Fuzz(func(t *testing.T, packed []byte) {
		const most = 1 << 20
		got, err := io.ReadAll(io.LimitReader(NewReader(bytes.NewReader(packed), 4<<10), most))
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), most))
		if wantErr == nil && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%d bytes and %v, want %d bytes", len(got), err, len(want))
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	data := bytes.Repeat(samples()["lines"], 4)
	packed := deflated(b, flate.DefaultCompression, 1<<20, data)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, NewReader(bytes.NewReader(packed), 4<<10)); err != nil {
			b.Fatal(err)
		}
	}
}
