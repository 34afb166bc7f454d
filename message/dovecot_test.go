package message

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestDovecot asks a real Dovecot for ENVELOPE, BODY and BODYSTRUCTURE of every message of the corpus, and compares.
func TestDovecot(t *testing.T) {
	const binary = "/usr/lib/dovecot/imap"
	if _, err := os.Stat(binary); err != nil || runtime.GOOS != "linux" {
		t.Skip("Dovecot is not here; install the package dovecot-imapd")
	}
	dir := t.TempDir()
	paths, messages := fillMaildir(t, filepath.Join(dir, "mail"))
	compared, differing := 0, 0
	for number, answer := range askDovecot(t, binary, dir) {
		path, b := paths[number-1], messages[number-1]
		root := Parse(b)
		got := []any{list(AppendEnvelope(nil, root.Header(b))), list(root.AppendBody(nil, b)), list(root.AppendBodyStructure(nil, b))}
		compared++
		var unexplained []string
		any := false
		for i, item := range []string{"envelope", "body", "bodystructure"} {
			for _, d := range differences(item, got[i], likeOurs(answer[2*i+1], got[i])) {
				any = true
				if !explained(path, d) {
					unexplained = append(unexplained, d)
				}
			}
		}
		if any {
			differing++
		}
		if len(unexplained) > 0 {
			t.Errorf("%s\n\t%s", path, strings.Join(unexplained, "\n\t"))
		}
	}
	if compared != len(messages) {
		t.Errorf("%d of %d messages compared", compared, len(messages))
	}
	for _, known := range dovecotDifferences {
		if !known.seen {
			t.Errorf("no such difference any more: %s %s", known.path, known.diff)
		}
	}
	t.Logf("%d messages compared, %d differ in ways that are listed", compared, differing)
}

// fillMaildir writes the corpus into a Maildir with CRLF; an empty file is no message to Dovecot.
func fillMaildir(t *testing.T, dir string) (paths []string, messages [][]byte) {
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for path, b := range corpusMessages(t) {
		if len(b) == 0 {
			continue
		}
		b = crlf(b)
		name := fmt.Sprintf("%d.M%d.host:2,S", 1000000000+len(messages), len(messages))
		if err := os.WriteFile(filepath.Join(dir, "cur", name), b, 0o666); err != nil {
			t.Fatal(err)
		}
		paths, messages = append(paths, path), append(messages, b)
	}
	return paths, messages
}

// askDovecot runs an IMAP session on standard input and output and yields the answer of each message.
func askDovecot(t *testing.T, binary, dir string) func(func(int, []any) bool) {
	conf := filepath.Join(dir, "dovecot.conf")
	text := fmt.Sprintf("mail_location = maildir:%s/mail\nlog_path = %s/log\nbase_dir = %s/run\nstate_dir = %s/run\nssl = no\nprotocols = imap\n", dir, dir, dir, dir)
	if os.Getuid() == 0 { // Dovecot refuses to read mail as root
		text += "mail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 0\nfirst_valid_gid = 0\n"
		if out, err := exec.Command("chown", "-R", "nobody:nogroup", dir).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v %s", err, out)
		}
		for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-c", conf)
	cmd.Env = append(os.Environ(), "USER=nobody", "HOME="+dir)
	in, err := cmd.StdinPipe() // stays open: Dovecot leaves when its client does
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var answers bytes.Buffer
	cmd.Stdout = &answers
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "a SELECT INBOX\r\nb FETCH 1:* (ENVELOPE BODY BODYSTRUCTURE)\r\nc LOGOUT\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Skipf("this Dovecot does not run here: %v\n%s", err, log)
	}
	return func(yield func(int, []any) bool) {
		r := bufio.NewReader(&answers)
		for {
			response, err := readResponse(r)
			if err != nil {
				return
			}
			var number int
			if n, _ := fmt.Sscanf(response, "* %d FETCH ", &number); n != 1 || !strings.Contains(response, " FETCH (") {
				continue
			}
			value, err := mustList(response[strings.IndexByte(response, '('):])
			if err != nil {
				t.Errorf("response %d: %v", number, err)
				continue
			}
			if !yield(number, value.([]any)) {
				return
			}
		}
	}
}

var literalEnd = regexp.MustCompile(`\{(\d+)\}\r\n$`)

// readResponse reads one response with its literals.
func readResponse(r *bufio.Reader) (string, error) {
	var s strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		s.WriteString(line)
		m := literalEnd.FindStringSubmatch(line)
		if m == nil {
			return s.String(), nil
		}
		var n int64
		fmt.Sscan(m[1], &n)
		if _, err := io.CopyN(&s, r, n); err != nil {
			return "", err
		}
	}
}

var spaces = regexp.MustCompile(`[ \t]+`)

// likeOurs takes out of Dovecot's answer what differs everywhere, guided by ours:
// it writes MISSING_MAILBOX and MISSING_DOMAIN for what is not there, where we have an empty string;
// it adds ("charset" "us-ascii") to all text without a charset, which hides from a client that it may guess; Gmail does not either;
// it keeps white space around values, and joins what stands between the words of a subject, where we keep runs that are not folds.
func likeOurs(theirs, ours any) any {
	switch v := theirs.(type) {
	case string:
		if v == "MISSING_DOMAIN" || v == "MISSING_MAILBOX" {
			return ""
		}
		if o, ok := ours.(string); ok && o != v && strings.TrimSpace(spaces.ReplaceAllString(v, " ")) == strings.TrimSpace(spaces.ReplaceAllString(o, " ")) {
			return o
		}
	case []any:
		o, _ := ours.([]any)
		if n := len(v); n >= 2 && v[n-2] == "charset" && v[n-1] == "us-ascii" && len(o) == n-2 {
			v = v[:n-2]
			if len(v) == 0 {
				return nil
			}
		}
		list := make([]any, len(v))
		for i := range v {
			var our any
			if i < len(o) {
				our = o[i]
			}
			list[i] = likeOurs(v[i], our)
		}
		return list
	}
	return theirs
}

// explained reports whether a difference is among the known ones.
func explained(path, diff string) bool {
	for i := range dovecotDifferences {
		known := &dovecotDifferences[i]
		if matches(known.path, path) && matches(known.diff, diff) {
			known.seen = true
			return true
		}
	}
	return false
}

var expressions = map[string]*regexp.Regexp{}

// matches compiles each expression once.
func matches(expression, s string) bool {
	if expressions[expression] == nil {
		expressions[expression] = regexp.MustCompile(expression)
	}
	return expressions[expression].MatchString(s)
}

type dovecotDifference struct {
	path, diff string
	reason     string
	seen       bool
}

// dovecotDifferences are all that is left between Dovecot 2.3 and us, with the reason; path and diff are expressions.
var dovecotDifferences = []dovecotDifference{
	{``, `/[67]: got "\d+", want "0"$`, "a multipart in which no boundary occurs: Dovecot invents an empty part, ours is the body, so that it can be read", false},
	{`windows-1252-encoded-eml-attachment|simple/3$`, `^body(structure)?/0: got \["text" "plain"`, "the same; the boundary is misquoted or empty", false},
	{``, `^body.*/(6|9): got "\d+", want "\d+"$`, "Dovecot counts the line end between the last boundary of an embedded multipart and the boundary around it; " +
		"it belongs to the latter (RFC 2046 section 5.1.1)", false},
	{`rfc822_base64_attachment`, `^body.*/1/[789]/`, "an encoded message: Dovecot reads the base64 as a header, ours is decoded", false},
	{`message-encoded$`, `"message" "global"`, "RFC 9051 section 9 gives message/global the form of message/rfc822", false},
	{``, `want \["([xX]-sun-attachment)?" ""|: got "plain", want ""$`, "Content-Type without subtype: text/plain (RFC 2045 section 5.2), as Gmail has it", false},
	{`quoted-mime-type$`, ``, "a quoted media type is understood", false},
	{`jwz/22$|msg_33|with_unquoted_name|testmsg-nested`, `^body`, "parameters that should have been quoted are read whole, and stay in the order of the message", false},
	{`illegal_boundary|with_binary_encoded|bad_time|utf16.eml|smime/data/multipart-alternative`, `^body`, "of an unquoted boundary with = in it Dovecot takes the beginning, " +
		"and then the final boundary for the beginning of another part", false},
	{`multipart-complex2$|raw_email4`, `^body`, "a line that begins with a boundary and goes on is none to us: clients take messages apart like this, and quoted mail is less often cut", false},
	{`windows-1252-encoded-eml-attachment`, `^bodystructure/2/[13]: got "\\\\`, "a backslash outside of quotes", false},
	{`msg_29`, `/2/3: `, "RFC 2231: pieces that are not encoded are escaped when joined with encoded ones", false},
	{`evil.eml|inline-signed-utf8|bugmail1|raw_email_with_|big5-base64.1|spam/dmarc/`, `^envelope/[019]: `, "of fields that occur twice Dovecot takes the last, we the first, as most programs show", false},
	{``, `/5: got ".*", want "7bit"$`, "an encoding that is malformed or has something behind it: ours is the first word of it", false},
	{`content_disposition`, `^bodystructure`, "a malformed disposition", false},
	{`bug505221|feedback-report|jwz/(52|86|88)$|headers.txt|japanese|989-encoding|broken-utf8|emoji1|at_display_name|issue358|stack-overflow|spoofing|missing_body`,
		`envelope/[2-7]|/7/[2-7]/`, "addresses that are none: ours keep all that was written, and the addresses after them", false},
	{`/proton-bridge|proton-bridge/`, `^envelope/\d/0/[23]: got "\[`, "a template's placeholders for an address", false},
	{`2765-korean|mix_caps|mime-subject`, `^envelope/\d/0/[023]: `, "a name without brackets before the address: ours is name and address", false},
	{`weird_to_header|example11`, `^envelope/5: `, "empty elements of a list are no addresses (RFC 5322 section 4.4)", false},
	{`badmime2`, `^envelope/[234]/0/0: got .*nil.*, want ""$`, "a name of white space", false},
}
