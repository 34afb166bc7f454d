package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/huh"
	"golang.org/x/term"
)

// question is something that only the user knows.
type question struct {
	title    string
	standard string             // taken for an empty answer
	hidden   bool               // a secret: not shown while it is typed
	check    func(string) error // may refuse an answer; nil takes all
}

// ask asks at the terminal, or reads the next line of the standard input when that is something else, so that scripts can answer.
func (a *app) ask(q question) (answer string, err error) {
	if a.isTerminal() {
		answer, err = q.form(a.stdin, a.stderr)
	} else {
		answer, err = a.readAnswer(q)
	}
	if err != nil {
		return "", err
	}
	if answer == "" {
		answer = q.standard
	}
	if answer == "" {
		return "", usagef("the answer to %q is empty", q.title)
	}
	if q.check != nil {
		err = q.check(answer)
	}
	return answer, err
}

func (q question) form(in io.Reader, out io.Writer) (string, error) {
	var answer string
	input := huh.NewInput().Title(q.title).Placeholder(q.standard).Value(&answer)
	if q.hidden {
		input = input.EchoMode(huh.EchoModePassword)
	}
	input = input.Validate(func(s string) error {
		if s == "" && q.standard == "" {
			return errors.New("an answer is needed")
		}
		if q.check != nil && s != "" {
			return q.check(s)
		}
		return nil
	})
	err := huh.NewForm(huh.NewGroup(input)).WithInput(in).WithOutput(out).WithShowHelp(false).Run()
	if errors.Is(err, huh.ErrUserAborted) {
		return "", errors.New("cancelled; nothing was changed")
	}
	if err != nil {
		return "", fmt.Errorf("ask for %q: %w", q.title, err)
	}
	return answer, nil
}

// readAnswer reads one line. The reader lives as long as the app, because it may hold the answers to later questions.
func (a *app) readAnswer(q question) (string, error) {
	if a.answers == nil {
		a.answers = bufio.NewReader(io.LimitReader(a.stdin, 1<<20))
	}
	a.say("%s:", q.title)
	line, err := a.answers.ReadString('\n')
	if errors.Is(err, io.EOF) && line == "" {
		return "", usagef("the input ended where the answer to %q should stand", q.title)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the answer to %q: %w", q.title, err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// isTerminal tells whether someone can be asked.
func (a *app) isTerminal() bool {
	return isTerminalFile(a.stderr) && term.IsTerminal(int(a.stdin.Fd()))
}

func isTerminalFile(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
