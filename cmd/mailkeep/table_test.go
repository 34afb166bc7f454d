package main

import (
	"strings"
	"testing"
)

func TestTableLinesUpByWidthOnATerminal(t *testing.T) {
	tab := table{indent: "  ", right: []bool{false, true}}
	tab.row("mailbox", "messages", "use")
	tab.row("日本語", "1", `\Sent`)
	tab.row("e\u0301te\u0301", "12,345", "")
	tab.row("👨‍👩‍👧 fam\x1b[31m", "7", "")
	var out strings.Builder
	if err := tab.write(&out); err != nil {
		t.Fatal(err)
	}
	want := "  mailbox      messages  use\n" +
		"  日本語              1  \\Sent\n" +
		"  e\u0301te\u0301            12,345\n" +
		"  👨‍👩‍👧 fam\ufffd[31m         7\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
