package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
	"mailkeep/backup"
	"mailkeep/imapd"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/need"
)

// servePacked starts imapd on an archive. CompressLocal is set.
func servePacked(t *testing.T, r *archive.Reader) login {
	t.Helper()
	l := login{user: "u", password: "password"}
	srv := imapd.New(r, imapd.Options{
		Logins:        []imapd.Login{{User: l.user, Verify: func(p string) bool { return p == l.password }}},
		Logger:        slog.New(slog.DiscardHandler),
		CompressLocal: true,
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	l.addr = ln.Addr().String()
	return l
}

// pullWith backs an account up into w.
func pullWith(t *testing.T, w *archive.Writer, l login, compress bool) backup.Summary {
	t.Helper()
	sum, err := backup.Run(t.Context(), w, backup.Options{Account: "me", Compress: compress, Dial: func(ctx context.Context) (*backup.Session, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", l.addr)
		if err != nil {
			return nil, err
		}
		s, err := backup.NewSession(c, backup.SessionOptions{})
		if err != nil {
			return nil, err
		}
		if err := s.Login(l.user, l.password); err != nil {
			s.Close()
			return nil, err
		}
		return s, nil
	}})
	must(t, err)
	return sum
}

// A compressed connection to the archive gives every byte that the source had: to our own client, and to zlib, whose flushes are others.
func TestCompressedServer(t *testing.T) {
	source := gmailsim.New(gmailsim.Options{})
	from := login{source.Start(t), "user@example.com", "password"}
	must(t, source.Load(gmailsim.Sample(120, 12), "R&D"))
	first, second := archivetest.New(t), archivetest.New(t)
	pullWith(t, first, from, false)
	l := servePacked(t, first.Reader)
	plain := pullWith(t, archivetest.New(t), l, false)
	packed := pullWith(t, second, l, true)
	if packed.NewMessages != plain.NewMessages || packed.NewMessages == 0 || packed.BytesRead > plain.BytesRead*3/4 {
		t.Errorf("%d messages with %d bytes compressed, %d with %d as they are", packed.NewMessages, packed.BytesRead, plain.NewMessages, plain.BytesRead)
	}
	want := readAccount(t, l)
	compareAccounts(t, want, readAccount(t, servePacked(t, second.Reader)))

	python := need.Program(t, "python3", "python3")
	host, port, _ := strings.Cut(l.addr, ":")
	for _, flush := range []string{"Z_SYNC_FLUSH", "Z_PARTIAL_FLUSH", "Z_FULL_FLUSH"} {
		out, err := client(t, time.Minute, python, "-c", zlibScript, host, port, l.user, l.password, flush)
		if err != nil {
			t.Fatal(flush, err)
		}
		if got := strings.TrimSpace(string(out)); got != sumsOf(want["INBOX"]) {
			t.Errorf("%s: got %s\nwant %s", flush, got, sumsOf(want["INBOX"]))
		}
	}
}

// sumsOf is the sum of the sums of messages.
func sumsOf(mails []mail) string {
	h := sha256.New()
	for _, m := range mails {
		h.Write(m.sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// zlibScript reads INBOX over a compressed connection, in each way to flush that zlib has.
const zlibScript = `
import hashlib, imaplib, sys, zlib
host, port, user, password, flush = sys.argv[1:6]
flush = getattr(zlib, flush, 1) # Z_PARTIAL_FLUSH has no name in older versions

class Packed:
    def __init__(self, sock):
        self.sock, self.out, self.back, self.rest = sock, zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15), b""
    def sendall(self, data):
        self.sock.sendall(self.out.compress(data) + self.out.flush(flush))
    def more(self):
        got = self.sock.recv(65536)
        if not got:
            raise EOFError
        self.rest += self.back.decompress(got)
    def read(self, n):
        while len(self.rest) < n:
            self.more()
        data, self.rest = self.rest[:n], self.rest[n:]
        return data
    def readline(self):
        while b"\n" not in self.rest:
            self.more()
        return self.read(self.rest.index(b"\n") + 1)
    def close(self):
        self.sock.close()
    def shutdown(self, how):
        self.sock.shutdown(how)

m = imaplib.IMAP4(host, int(port))
m.login(user, password)
imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
assert m._simple_command("COMPRESS", "DEFLATE")[0] == "OK"
m.sock = m._file = packed = Packed(m.sock)
m.read, m.readline, m.send = packed.read, packed.readline, packed.sendall
m.select("INBOX", readonly=True)
total = hashlib.sha256()
for item in m.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]:
    if isinstance(item, tuple):
        total.update(hashlib.sha256(item[1]).digest())
for n in range(300):
    assert m.noop()[0] == "OK"
m.logout()
print(total.hexdigest())
`
