package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// question is something that only the user knows.
type question struct {
	title    string
	standard string             // taken for an empty answer
	hidden   bool               // a secret: not shown while it is typed
	optional bool               // the answer may be empty
	check    func(string) error // may refuse an answer; nil takes all
}

// maxAnswers bounds what is read from the standard input when it is no terminal, in bytes.
const maxAnswers = 1 << 20

// ask asks at the terminal until the answer will do, or takes the next line of the standard input when that is something else, so that scripts can
// answer; their answers are not asked for twice.
func (a *app) ask(ctx context.Context, q question) (string, error) {
	for {
		answer, err := a.answer(ctx, q)
		if err != nil {
			return "", err
		}
		if answer == "" {
			answer = q.standard
		}
		switch {
		case answer == "" && q.optional:
		case answer == "":
			err = usagef("the answer to %q is empty", q.title)
		case q.check != nil:
			err = q.check(answer)
		}
		if err == nil || !a.isTerminal() {
			return answer, err
		}
		fmt.Fprintf(a.stderr, "%s\n", printable(err.Error()))
	}
}

// answer prints the question and reads one line. It returns when ctx ends, although the reading cannot be stopped: the program is about to end then.
func (a *app) answer(ctx context.Context, q question) (string, error) {
	prompt := printable(q.title)
	if q.standard != "" {
		prompt += " [" + printable(q.standard) + "]"
	}
	if !a.isTerminal() {
		a.say("%s:", prompt)
		return a.await(ctx, q, a.readLine)
	}
	fmt.Fprintf(a.stderr, "%s: ", prompt)
	if !q.hidden {
		return a.await(ctx, q, a.readLine)
	}
	fd := int(a.stdin.Fd())
	shown, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the answer to %q: %w", q.title, err)
	}
	answer, err := a.await(ctx, q, func() (string, error) {
		typed, err := term.ReadPassword(fd)
		return string(typed), err
	})
	fmt.Fprintln(a.stderr) // the line end was not shown either
	return answer, errors.Join(err, term.Restore(fd, shown))
}

// await runs read, but not longer than ctx lasts.
func (a *app) await(ctx context.Context, q question, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Canceled
	case got := <-done:
		switch {
		case got.line == "" && errors.Is(got.err, io.EOF):
			return "", usagef("the input ended where the answer to %q should stand", q.title)
		case got.err != nil && !errors.Is(got.err, io.EOF):
			return "", fmt.Errorf("read the answer to %q: %w", q.title, got.err)
		}
		return strings.TrimRight(got.line, "\r\n"), nil
	}
}

// readLine reads one line with its end. The reader lives as long as the app, because it may hold the answers to later questions.
func (a *app) readLine() (string, error) {
	if a.answers == nil {
		a.answers = bufio.NewReader(io.LimitReader(a.stdin, maxAnswers))
	}
	return a.answers.ReadString('\n')
}

// isTerminal tells whether someone can be asked.
func (a *app) isTerminal() bool {
	return isTerminalFile(a.stderr) && term.IsTerminal(int(a.stdin.Fd()))
}

func isTerminalFile(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
