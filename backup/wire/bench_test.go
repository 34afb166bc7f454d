package wire

import (
	"io"
	"strings"
	"testing"
)

// wireLoop yields the same bytes for ever, like a server that never stops.
type wireLoop struct {
	data []byte
	pos  int
}

func (l *wireLoop) Read(p []byte) (int, error) {
	n := copy(p, l.data[l.pos:])
	if l.pos += n; l.pos == len(l.data) {
		l.pos = 0
	}
	return n, nil
}

// benchmarkRead translates n times response per iteration.
func benchmarkRead(b *testing.B, response string, n int) {
	b.Helper()
	data := strings.Repeat(response, n)
	out, err := wireTranslate(b, wireAsk, strings.NewReader(data))
	if err != nil {
		b.Fatal(err)
	}
	c := NewConn(&wireConn{r: &wireLoop{data: []byte(data)}})
	if _, err := io.WriteString(c, wireAsk); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 32<<10)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for left := len(out); left > 0; {
			n, err := c.Read(buf[:min(left, len(buf))])
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/response")
}

func BenchmarkConnBody(b *testing.B) {
	benchmarkRead(b, "* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[] {1048576}\r\n"+strings.Repeat("0123456789abcde\n", 1<<16)+")\r\n", 1)
}

func BenchmarkConnSmallBody(b *testing.B) {
	benchmarkRead(b, "* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[] {16384}\r\n"+strings.Repeat("0123456789abcde\n", 1<<10)+")\r\n", 64)
}

func BenchmarkConnBodyBeforeUID(b *testing.B) {
	benchmarkRead(b, "* 1 FETCH (FLAGS (\\Seen) BODY[] {1048576}\r\n"+strings.Repeat("0123456789abcde\n", 1<<16)+" UID 7)\r\n", 1)
}

func BenchmarkConnGmailItems(b *testing.B) {
	benchmarkRead(b, "* 636 FETCH (X-GM-THRID 1873891894758975366 X-GM-MSGID 1873891894758975366 X-GM-LABELS (\"\\\\Inbox\" \"work/project x\" &ANw-bung) UID 636 "+
		"RFC822.SIZE 181614 INTERNALDATE \"19-Sep-1991 16:41:43 +0000\" FLAGS (\\Seen \\Flagged))\r\n", 1000)
}

func BenchmarkConnFlags(b *testing.B) {
	benchmarkRead(b, "* 636 FETCH (UID 636 MODSEQ (18964) FLAGS (\\Seen \\Flagged))\r\n", 1000)
}
