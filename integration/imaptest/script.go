package imaptest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Script is one parsed script.
type Script struct {
	Name         string
	Capabilities []string // the server must have them all, or the script does not apply
	connections  int
	loggedIn     bool
	steps        []*step
}

// step is a group of commands that are sent together (one, unless they are pipelined) and the replies to expect.
type step struct {
	line     int // in the script's file
	conn     int // from 0
	commands []command
	want     []pattern
}

type command struct {
	tag    string // the script's name for it when pipelined, else empty
	text   string
	status string  // ok, no, bad, or "" for any
	prefix []token // what the status line must begin with after the status
}

// pattern is an untagged reply that must, or must not, come.
type pattern struct {
	line   int
	banned bool
	tokens []token
	source string
}

// ReadScript parses a script file.
func ReadScript(path string) (*Script, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &parser{script: &Script{Name: filepath.Base(path), connections: 1}, lines: strings.Split(string(raw), "\n")}
	if err := p.parse(); err != nil {
		return nil, fmt.Errorf("script %q, line %d: %w", path, p.at, err)
	}
	return p.script, nil
}

type parser struct {
	script *Script
	lines  []string
	at     int // lines consumed
	open   *step
}

func (p *parser) parse() error {
	if err := p.header(); err != nil {
		return err
	}
	for p.at < len(p.lines) {
		line := p.lines[p.at]
		p.at++
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.body(line); err != nil {
			return err
		}
	}
	if p.open != nil {
		return fmt.Errorf("command %q has no status line", p.open.commands[0].text)
	}
	return nil
}

func (p *parser) header() error {
	for p.at < len(p.lines) {
		line := strings.TrimSpace(p.lines[p.at])
		p.at++
		if line == "" {
			return nil
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "state":
			if value != "auth" && value != "nonauth" {
				return fmt.Errorf("state %q would write to the server", value)
			}
			p.script.loggedIn = value == "auth"
		case "capabilities":
			p.script.Capabilities = strings.Fields(value)
		case "connections":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > 9 {
				return fmt.Errorf("connections: %q", value)
			}
			p.script.connections = n
		default:
			return fmt.Errorf("header %q is not known", key)
		}
	}
	return nil
}

func (p *parser) body(line string) error {
	if strings.HasPrefix(line, "* ") || strings.HasPrefix(line, "! ") {
		return p.expectation(line)
	}
	conn := 0
	if p.script.connections > 1 {
		number, rest, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > p.script.connections {
			return fmt.Errorf("connection %q", number)
		}
		conn, line = n-1, rest
	}
	first, rest, _ := strings.Cut(line, " ")
	switch {
	case p.open != nil && isPipelined(first):
		return p.pipelined(first, rest)
	case p.open != nil:
		c := &p.open.commands[0]
		if !isStatusName(first) {
			return fmt.Errorf("want the status of %q", c.text)
		}
		p.open = nil
		return c.ends(first, rest)
	case isStatusName(first):
		c := command{text: rest, status: strings.Trim(first, `"`)}
		p.script.steps = append(p.script.steps, &step{line: p.at, conn: conn, commands: []command{c}})
		return nil
	}
	p.open = &step{line: p.at, conn: conn}
	p.script.steps = append(p.script.steps, p.open)
	if isPipelined(first) {
		return p.pipelined(first, rest)
	}
	p.open.commands = []command{{text: line, status: "?"}}
	return nil
}

// pipelined takes one line of a run of tagged commands: a command first, its status later.
func (p *parser) pipelined(tag, rest string) error {
	for i := range p.open.commands {
		c := &p.open.commands[i]
		if c.tag != tag {
			continue
		}
		status, prefix, _ := strings.Cut(rest, " ")
		if err := c.ends(status, prefix); err != nil {
			return err
		}
		for _, c := range p.open.commands {
			if c.status == "?" {
				return nil
			}
		}
		p.open = nil
		return nil
	}
	p.open.commands = append(p.open.commands, command{tag: tag, text: rest, status: "?"})
	return nil
}

func (c *command) ends(status, prefix string) (err error) {
	c.status = strings.Trim(status, `"`)
	if prefix != "" {
		c.prefix, err = tokens([]part{{line: prefix}})
	}
	return err
}

func isStatusName(s string) bool { return s == "ok" || s == "no" || s == "bad" || s == `""` }

// isPipelined tells the tags of pipelined commands (tag1, tag2, ...) from commands.
func isPipelined(s string) bool {
	n, ok := strings.CutPrefix(s, "tag")
	_, err := strconv.Atoi(n)
	return ok && err == nil
}

func (p *parser) expectation(line string) error {
	if len(p.script.steps) == 0 {
		return fmt.Errorf("a reply before any command")
	}
	w := pattern{line: p.at, banned: line[0] == '!', source: line}
	parts, err := p.literals(line[2:])
	if err != nil {
		return err
	}
	if w.tokens, err = tokens(parts); err != nil {
		return err
	}
	last := p.script.steps[len(p.script.steps)-1]
	last.want = append(last.want, w)
	return nil
}

// literals joins the lines of {{{ ... }}} blocks to the line that they stand in.
func (p *parser) literals(line string) ([]part, error) {
	var parts []part
	for {
		before, ok := strings.CutSuffix(line, "{{{")
		if !ok {
			return append(parts, part{line: line}), nil
		}
		before, raw := strings.CutSuffix(before, "~")
		var body []string
		for {
			if p.at == len(p.lines) {
				return nil, fmt.Errorf("a literal without }}}")
			}
			l := p.lines[p.at]
			p.at++
			rest, end := strings.CutPrefix(l, "}}}")
			if end {
				line = rest
				break
			}
			body = append(body, l)
		}
		eol := "\r\n"
		if raw {
			eol = "\n"
		}
		literal := strings.Join(body, eol)
		parts = append(parts, part{line: before, literal: &literal})
	}
}
