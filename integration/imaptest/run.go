package imaptest

import (
	"fmt"
	"strings"
)

// Result is the outcome of one script.
type Result struct {
	Script  string
	Missing string // a capability the server lacks, so that the script does not apply; else empty
	Err     error  // the first difference, or what broke the connection
}

// Run runs a script on new connections.
func Run(server Server, s *Script) Result {
	r := &runner{server: server, script: s, vars: vars{}}
	defer r.close()
	missing, err := r.connect()
	if err != nil || missing != "" {
		return Result{Script: s.Name, Missing: missing, Err: err}
	}
	for _, st := range s.steps {
		if err := r.step(st); err != nil {
			return Result{Script: s.Name, Err: fmt.Errorf("line %d: %w", st.line, err)}
		}
	}
	return Result{Script: s.Name}
}

type runner struct {
	server Server
	script *Script
	conns  []*conn
	vars   vars
}

func (r *runner) close() {
	for _, c := range r.conns {
		c.Close()
	}
}

// connect opens the script's connections, or names the capability that is missing.
func (r *runner) connect() (missing string, err error) {
	for range r.script.connections {
		c, err := dial(r.server)
		if err != nil {
			return "", err
		}
		r.conns = append(r.conns, c)
		if !r.script.loggedIn {
			continue
		}
		if err := c.login(r.server); err != nil {
			return "", err
		}
	}
	for _, name := range r.script.Capabilities {
		if !strings.Contains(r.conns[0].caps, " "+strings.ToUpper(name)+" ") {
			return name, nil
		}
	}
	return "", nil
}

// step sends the commands of a step together, reads all replies and compares.
func (r *runner) step(st *step) error {
	c := r.conns[st.conn]
	tags := make([]string, len(st.commands))
	for i, cmd := range st.commands {
		tags[i] = c.nextTag()
		if err := c.send(tags[i], r.vars.expand(cmd.text), nil); err != nil {
			return fmt.Errorf("%s: %w", cmd.text, err)
		}
	}
	var untagged []reply
	for i, cmd := range st.commands {
		r.vars["tag"] = token{kind: word, s: tags[i]}
		more, tagged, err := c.wait(tags[i])
		untagged = append(untagged, more...)
		if err != nil {
			return fmt.Errorf("%s: %w", cmd.text, err)
		}
		if err := r.status(cmd, tagged); err != nil {
			return err
		}
	}
	return r.compare(st, untagged)
}

func (r *runner) status(cmd command, tagged reply) error {
	want := []token{{kind: word, s: cmd.status}}
	if cmd.status == "" {
		want = []token{{kind: word, s: "$"}}
	}
	if !matchReply(r.vars, append(want, cmd.prefix...), tagged.tokens, true) {
		return fmt.Errorf("%s: want %s %v, got %.300q", r.vars.expand(cmd.text), cmd.status, cmd.prefix, tagged.raw)
	}
	return nil
}

func (r *runner) compare(st *step, untagged []reply) error {
	for _, p := range st.want {
		// Status lines carry a human text, so that only their beginning is compared.
		prefix := len(p.tokens) > 0 && isStatus(p.tokens[0])
		found := false
		for _, got := range untagged {
			if matchReply(r.vars, p.tokens, got.tokens, prefix) {
				found = true
				break
			}
		}
		if found == p.banned {
			return r.difference(st, p, untagged)
		}
	}
	return nil
}

func (r *runner) difference(st *step, p pattern, untagged []reply) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: line %d: ", r.vars.expand(st.commands[0].text), p.line)
	if p.banned {
		b.WriteString("unwanted reply")
	} else {
		b.WriteString("missing reply")
	}
	for _, t := range p.tokens {
		fmt.Fprintf(&b, " %s", r.vars.expand(t.String()))
	}
	b.WriteString("; got:")
	for _, u := range untagged {
		fmt.Fprintf(&b, "\n\t%.1000q", u.raw)
	}
	return fmt.Errorf("%s", b.String())
}
