package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// outline writes a tree as one line: type/subtype "header|body" lines{children}, so that offsets are checked by what they cut out.
func outline(p *Part, b []byte) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s/%s %q|", p.Type, p.Subtype, b[p.Start:p.BodyStart])
	switch {
	case p.Multipart():
		for i, c := range p.Children {
			if i > 0 {
				s.WriteString(", ")
			} else {
				s.WriteString("[")
			}
			s.WriteString(outline(c, b))
		}
		s.WriteString("]")
	case p.Embedded != nil:
		s.WriteString("<" + outline(p.Embedded, b) + ">")
	default:
		fmt.Fprintf(&s, "%q", b[p.BodyStart:p.End])
	}
	return s.String()
}

func TestParse(t *testing.T) {
	const mixed = "Content-Type: multipart/mixed; boundary=b\n\n"
	header := fmt.Sprintf("multipart/mixed %q|", mixed)
	tests := []struct{ name, in, want string }{
		{"empty", "", `text/plain ""|""`},
		{"one byte", "x", `text/plain "x"|""`},
		{"only an empty line", "\r\n", `text/plain "\r\n"|""`},
		{"header only", "A: b\r\n", `text/plain "A: b\r\n"|""`},
		{"header without line end", "A: b", `text/plain "A: b"|""`},
		{"CRLF", "A: b\r\n\r\nbody\r\n", `text/plain "A: b\r\n\r\n"|"body\r\n"`},
		{"LF", "A: b\n\nbody\n", `text/plain "A: b\n\n"|"body\n"`},
		{"mixed line ends", "A: b\r\nC: d\n\r\nbody", `text/plain "A: b\r\nC: d\n\r\n"|"body"`},
		{"CR alone ends no line", "A: b\r\rbody", `text/plain "A: b\r\rbody"|""`},
		{"NUL", "A: \x00\n\n\x00", `text/plain "A: \x00\n\n"|"\x00"`},
		{"no header", "\nbody", `text/plain "\n"|"body"`},
		{"line of spaces is not empty", "A: b\n \nC: d\n\nx", `text/plain "A: b\n \nC: d\n\n"|"x"`},
		{"two parts", mixed + "--b\n\n1\n--b\nX: y\n\n2\n--b--\n", header + `[text/plain "\n"|"1", text/plain "X: y\n\n"|"2"]`},
		{"CRLF before the boundary belongs to it", mixed + "--b\r\n\r\n1\r\n\r\n--b--\r\n", header + `[text/plain "\r\n"|"1\r\n"]`},
		{"preamble and epilogue", mixed + "pre\n--b\n\n1\n--b--\nepi\n--b\n\nno\n", header + `[text/plain "\n"|"1"]`},
		{"no final boundary", mixed + "--b\n\n1\n--b\n\n2\n", header + `[text/plain "\n"|"1", text/plain "\n"|"2\n"]`},
		{"white space after the boundary", mixed + "--b \t\r\n\n1\n--b-- \n", header + `[text/plain "\n"|"1"]`},
		{"text after the final boundary", mixed + "--b\n\n1\n--b--epilogue\n", header + `[text/plain "\n"|"1"]`},
		{"text after a boundary makes it none", mixed + "--b\n\n--bc\n--b c\n--b--\n", header + `[text/plain "\n"|"--bc\n--b c"]`},
		{"boundary inside a line", mixed + "--b\n\nx--b\n --b\n--b--", header + `[text/plain "\n"|"x--b\n --b"]`},
		{"boundary at the very end", mixed + "--b\n\n1\n--b", header + `[text/plain "\n"|"1"]`},
		{"final boundary only", mixed + "--b--\nx", header + `[text/plain ""|"--b--\nx"]`},
		{"part without empty line", mixed + "--b\nX: y\n--b\n\n2\n--b--", header + `[text/plain "X: y\n"|"", text/plain "\n"|"2"]`},
		{"part of nothing", mixed + "--b\n--b\n\n2\n--b--", header + `[text/plain ""|"", text/plain "\n"|"2"]`},
		{"part without body", mixed + "--b\nX: y\n\n--b--\n", header + `[text/plain "X: y\n\n"|""]`},
		{"no boundary line", mixed + "text\n", header + `[text/plain ""|"text\n"]`},
		{"no boundary parameter", "Content-Type: multipart/mixed\n\n--b\n\n1\n", `multipart/mixed "Content-Type: multipart/mixed\n\n"|[text/plain ""|"--b\n\n1\n"]`},
		{"empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\n1\n",
			`multipart/mixed "Content-Type: multipart/mixed; boundary=\"\"\n\n"|[text/plain ""|"--\n\n1\n"]`},
		{"multipart header only", "Content-Type: multipart/mixed; boundary=b\n", `multipart/mixed "Content-Type: multipart/mixed; boundary=b\n"|[text/plain ""|""]`},
		{"folded quoted boundary", "Content-Type: multipart/mixed; boundary=\"a\n b \"\n\n--a b\n\n1\n--a b--\n",
			`multipart/mixed "Content-Type: multipart/mixed; boundary=\"a\n b \"\n\n"|[text/plain "\n"|"1"]`},
		{"continued boundary", "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\n1\n--ab--\n",
			`multipart/mixed "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n"|[text/plain "\n"|"1"]`},
		{"inner boundary begins like the outer", mixed + "--b\nContent-Type: multipart/x; boundary=bb\n\n--bb\n\n1\n--bb--\n--b\n\n2\n--b--",
			header + `[multipart/x "Content-Type: multipart/x; boundary=bb\n\n"|[text/plain "\n"|"1"], text/plain "\n"|"2"]`},
		{"outer boundary begins like the inner", "Content-Type: multipart/y; boundary=bb\n\n--bb\n" + mixed + "--b\n\n1\n--bb\n\n2\n--bb--",
			`multipart/y "Content-Type: multipart/y; boundary=bb\n\n"|[` + header + `[text/plain "\n"|"1"], text/plain "\n"|"2"]`},
		{"inner final boundary reads like dashes of the outer", mixed + "--b\nContent-Type: multipart/x; boundary=b--\n\n--b--\n\n1\n--b----\n--b--",
			header + `[multipart/x "Content-Type: multipart/x; boundary=b--\n\n"|[text/plain "\n"|"1"]]`},
		{"equal boundaries", mixed + "--b\n" + mixed + "--b\n\n1\n--b--\n--b\n\n2\n--b--\n", header + `[` + header + `[text/plain "\n"|"1"], text/plain "\n"|"2"]`},
		{"outer boundary ends the inner multipart", mixed + "--b\nContent-Type: multipart/x; boundary=i\n\n--i\n\n1\n--b\n\n2\n--b--",
			header + `[multipart/x "Content-Type: multipart/x; boundary=i\n\n"|[text/plain "\n"|"1"], text/plain "\n"|"2"]`},
		{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: s\n\nx\n--b\nContent-Type: text/html\n\ny\n--b--",
			`multipart/digest "Content-Type: multipart/digest; boundary=b\n\n"|[message/rfc822 "\n"|<text/plain "Subject: s\n\n"|"x">, ` +
				`text/html "Content-Type: text/html\n\n"|"y"]`},
		{"digest part without body", "Content-Type: multipart/digest; boundary=b\n\n--b\n--b--",
			`multipart/digest "Content-Type: multipart/digest; boundary=b\n\n"|[message/rfc822 ""|<text/plain ""|"">]`},
		{"message", "Content-Type: message/rfc822\n\nSubject: s\n\nx", `message/rfc822 "Content-Type: message/rfc822\n\n"|<text/plain "Subject: s\n\n"|"x">`},
		{"message of nothing", "Content-Type: MESSAGE/RFC822\n\n", `MESSAGE/RFC822 "Content-Type: MESSAGE/RFC822\n\n"|<text/plain ""|"">`},
		{"message ended by the boundary around it", mixed + "--b\nContent-Type: message/rfc822\n\nSubject: s\n--b\n\n2\n--b--",
			header + `[message/rfc822 "Content-Type: message/rfc822\n\n"|<text/plain "Subject: s\n"|"">, text/plain "\n"|"2"]`},
		{"message in base64", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogcwoK",
			`message/rfc822 "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"|<text/plain ""|"U3ViamVjdDogcwoK">`},
		{"first Content-Type counts", "Content-Type: text/html\nContent-Type: text/x\n\n", `text/html "Content-Type: text/html\nContent-Type: text/x\n\n"|""`},
		{"Content-Type that is none", "Content-Type: what ever\n\n", `text/plain "Content-Type: what ever\n\n"|""`},
		{"bare text type", "Content-Type: text\n\n", `text/plain "Content-Type: text\n\n"|""`},
		{"field name with spaces before the colon", "Content-Type : text/html\n\n", `text/html "Content-Type : text/html\n\n"|""`},
		{"quoted type", "Content-Type: \"image/png\"; name=x\n\n", `image/png "Content-Type: \"image/png\"; name=x\n\n"|""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := []byte(test.in)
			p := Parse(b)
			if got := outline(p, b); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			checkTree(t, p, b)
		})
	}
}

// checkTree asserts what holds for every tree: parts inside their parents, in order, without overlap; complete composites; right line counts.
func checkTree(t testing.TB, root *Part, b []byte) {
	t.Helper()
	if root.Start != 0 || root.End != int64(len(b)) {
		t.Errorf("root is [%d,%d) of %d bytes", root.Start, root.End, len(b))
	}
	parts, depth := 0, 0
	var check func(p *Part)
	check = func(p *Part) {
		parts++
		depth++
		defer func() { depth-- }()
		if depth > MaxDepth+2 { // the root, and the text that stands in for what was not taken apart
			t.Fatalf("depth %d", depth)
		}
		if p.Start > p.BodyStart || p.BodyStart > p.End {
			t.Fatalf("part [%d,%d,%d)", p.Start, p.BodyStart, p.End)
		}
		if got := int64(bytes.Count(p.Body(b), newline)); got != p.Lines {
			t.Errorf("part at %d has %d lines, counted %d", p.Start, p.Lines, got)
		}
		if p.Is("multipart", "") != p.Multipart() {
			t.Errorf("part at %d is %s with %d children", p.Start, p.Type, len(p.Children))
		}
		if p.isMessage() != (p.Embedded != nil) {
			t.Errorf("part at %d is %s/%s, embedded %v", p.Start, p.Type, p.Subtype, p.Embedded)
		}
		pos := p.BodyStart
		for _, c := range p.Children {
			if c.Start < pos || c.End > p.End {
				t.Fatalf("child [%d,%d) of part [%d,%d) after %d", c.Start, c.End, p.BodyStart, p.End, pos)
			}
			pos = c.End
			check(c)
		}
		if e := p.Embedded; e != nil {
			if e.Start != p.BodyStart || e.End != p.End {
				t.Fatalf("embedded [%d,%d) in body [%d,%d)", e.Start, e.End, p.BodyStart, p.End)
			}
			check(e)
		}
	}
	check(root)
	if parts > 2*MaxParts {
		t.Errorf("%d parts", parts)
	}
}

func TestParseLimits(t *testing.T) {
	nest := func(n int, typ string) []byte {
		var s strings.Builder
		for i := range n {
			if typ == "multipart" {
				fmt.Fprintf(&s, "Content-Type: multipart/mixed; boundary=x%d\n\n--x%d\n", i, i)
			} else {
				s.WriteString("Content-Type: message/rfc822\n\n")
			}
		}
		s.WriteString("\nneedle\n")
		return []byte(s.String())
	}
	for _, typ := range []string{"multipart", "message"} {
		for _, n := range []int{MaxDepth - 1, MaxDepth, MaxDepth + 1, 3000} {
			b := nest(n, typ)
			root := Parse(b)
			checkTree(t, root, b)
			depth, last := 0, root
			root.Walk(func(p *Part) bool { depth, last = depth+1, p; return true })
			if depth != min(n, MaxDepth)+1 {
				t.Errorf("%s nested %d times: depth %d", typ, n, depth)
			}
			if !bytes.Contains(last.Body(b), []byte("needle")) || last.Is("text", "") != (n <= MaxDepth) {
				t.Errorf("%s nested %d times: last is %s/%s %.40q", typ, n, last.Type, last.Subtype, last.Body(b))
			}
		}
	}
	many := []byte("Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 3*MaxParts) + "--b--\n")
	root := Parse(many)
	checkTree(t, root, many)
	last := root.Children[len(root.Children)-1]
	if n := len(root.Children); n != MaxParts-1 || last.End != int64(len(many)) {
		t.Errorf("%d parts, the last ends at %d of %d", n, last.End, len(many))
	}
}

func TestParseFields(t *testing.T) {
	b := []byte("content-type: Text/HTML (c); CHARSET=\"utf\\-8\" ; format = flowed (c); name=annual report (2).pdf; x\r\n" +
		"Content-Transfer-Encoding: Quoted-Printable (really)\r\nContent-ID: <id@x>\r\nContent-Description: some\r\n\t text\r\n" +
		"Content-MD5: Q2hlY2s=\r\nContent-Disposition: attachment; filename*0*=utf-8''%C3%A4; filename*1=b%c; size=12\r\n" +
		"Content-Language: de, en-GB (c) ,\r\nContent-Location: http://x/\r\nContent-Foo: bar\r\nContent-ID: <no>\r\n\r\n")
	p := Parse(b)
	got := string(p.AppendBodyStructure(nil, b))
	want := `("Text" "HTML" ("CHARSET" "utf-8" "format" "flowed" "name" "annual report (2).pdf") "<id@x>" "some text" "Quoted-Printable" 0 0 "Q2hlY2s=" ` +
		`("attachment" ("filename*" "utf-8''%C3%A4b%25c" "size" "12")) ("de" "en-GB") "http://x/")`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := p.Filename(); got != "äb%c" {
		t.Errorf("file name %q", got)
	}
	if got := p.Param("charset"); got != "utf-8" {
		t.Errorf("charset %q", got)
	}
}

func TestParams(t *testing.T) {
	tests := []struct{ in, want string }{
		{"text/plain; a=b c=d", "a=b|c=d"},
		{"text/plain; a=b (comment); c=d", "a=b|c=d"},
		{"text/plain;;; a = \"b;c\" ;", "a=b;c"},
		{"text/plain; a=\"not closed", "a=not closed"},
		{"text/plain; a=; b=c", "a=|b=c"},
		{"text/plain; =x; b=c", "=x|b=c"},
		{"text/plain; a", ""},
		{"text/plain; a*1=y; b=z; a*0=x", "a=xy|b=z"},
		{"text/plain; a*1=y; a*3=z", "a*1=y|a*3=z"},
		{"text/plain; a*0=x; a*2=z", "a=x"},
		{"text/plain; a*0=x; A*0=z", "a=x"},
		{"text/plain; a*0=\"x y\"; a*1*=%20z", "a*=''x%20y%20z"},
		{"text/plain; a*0*=utf-8''x; a*1*=y", "a*=utf-8''xy"},
		{"text/plain; a*=utf-8''x", "a*=utf-8''x"},
		{"text/plain; a*99999999999=x", "a*99999999999=x"},
		{"text/plain; a=x\r\n\ty; b=z", "a=x\ty|b=z"},
	}
	for _, test := range tests {
		_, _, params := parseMediaType([]byte(test.in))
		var got []string
		for _, p := range params {
			got = append(got, p.Name+"="+p.Value)
		}
		if s := strings.Join(got, "|"); s != test.want {
			t.Errorf("%q: got %q, want %q", test.in, s, test.want)
		}
	}
}
