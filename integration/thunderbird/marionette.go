package thunderbird

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// marionette speaks the protocol of the same name, by which Mozilla's programs are remote-controlled: messages are JSON with their length in front, "23:[...]";
// a command is [0, number, name, parameters], its answer [1, number, error, result]. It does one thing at a time.
type marionette struct {
	conn   net.Conn
	r      *bufio.Reader
	number int
}

// connect takes up the conversation on a loopback port.
func connect(ctx context.Context, port int) (*marionette, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	m := &marionette{conn: conn, r: bufio.NewReader(conn)}
	if err := m.begin(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

func (m *marionette) begin(ctx context.Context) error {
	m.deadline(ctx)
	if _, err := m.receive(); err != nil { // who it is
		return err
	}
	// A dialog makes the next command fail: no test expects one.
	capabilities := map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{"unhandledPromptBehavior": "ignore"}}}
	for _, step := range []struct {
		name       string
		parameters map[string]any
	}{
		{"WebDriver:NewSession", capabilities},
		{"Marionette:SetContext", map[string]any{"value": "chrome"}},
		{"WebDriver:SetTimeouts", map[string]any{"script": time.Hour.Milliseconds()}}, // ctx limits
	} {
		if err := m.command(ctx, step.name, step.parameters, nil); err != nil {
			return err
		}
	}
	return nil
}

func (m *marionette) deadline(ctx context.Context) {
	deadline, _ := ctx.Deadline() // the zero time is none
	m.conn.SetDeadline(deadline)
}

// command runs a command and stores its result into out, unless that is nil.
func (m *marionette) command(ctx context.Context, name string, parameters map[string]any, out any) error {
	m.deadline(ctx)
	stop := context.AfterFunc(ctx, func() { m.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if parameters == nil {
		parameters = map[string]any{}
	}
	m.number++
	raw, err := json.Marshal([]any{0, m.number, name, parameters})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(m.conn, "%d:%s", len(raw), raw); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	raw, err = m.receive()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return m.result(name, raw, out)
}

// result takes an answer apart.
func (m *marionette) result(name string, raw []byte, out any) error {
	var kind, number int
	var failure *struct{ Error, Message string }
	var result json.RawMessage
	if err := json.Unmarshal(raw, &[]any{&kind, &number, &failure, &result}); err != nil {
		return fmt.Errorf("%s: answer %.200q: %w", name, raw, err)
	}
	switch {
	case kind != 1 || number != m.number:
		return fmt.Errorf("%s: answer %.200q to something else", name, raw)
	case failure != nil:
		return fmt.Errorf("%s: %s: %s", name, failure.Error, failure.Message)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(result, out); err != nil {
		return fmt.Errorf("%s: result %.200q: %w", name, result, err)
	}
	return nil
}

// maxAnswer bounds what one answer may take, in bytes: a message list of 20,000 takes 3 MB.
const maxAnswer = 256 << 20

func (m *marionette) receive() ([]byte, error) {
	prefix, err := m.r.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(prefix, ":"))
	if err != nil || n < 0 || n > maxAnswer {
		return nil, fmt.Errorf("a message begins with %q", prefix)
	}
	raw := make([]byte, n)
	_, err = io.ReadFull(m.r, raw)
	return raw, err
}

// script runs the body of an asynchronous JavaScript function with the privileges of the program; args is the list of its arguments. What it returns is stored
// into out, unless that is nil.
func (m *marionette) script(ctx context.Context, body string, out any, args ...any) error {
	const frame = `const done = arguments[arguments.length - 1], args = Array.prototype.slice.call(arguments, 0, -1);
(async () => {%s
})().then(value => done({value}), error => done({error: String(error) + "\n" + (error.stack || "")}));`
	if args == nil {
		args = []any{}
	}
	var answer struct {
		Value *struct { // nil when a dialog has come up meanwhile
			Value json.RawMessage
			Error string
		}
	}
	err := m.command(ctx, "WebDriver:ExecuteAsyncScript", map[string]any{
		"script": fmt.Sprintf(frame, body), "args": args, "sandbox": "system", "newSandbox": false,
	}, &answer)
	switch {
	case err != nil:
		return err
	case answer.Value == nil:
		return errors.New("a dialog has come up")
	case answer.Value.Error != "":
		return fmt.Errorf("in Thunderbird: %s", strings.TrimSpace(answer.Value.Error))
	case out == nil || len(answer.Value.Value) == 0:
		return nil
	}
	if err := json.Unmarshal(answer.Value.Value, out); err != nil {
		return fmt.Errorf("result %.200q: %w", answer.Value.Value, err)
	}
	return nil
}

// picture is the main window as PNG.
func (m *marionette) picture(ctx context.Context) ([]byte, error) {
	var answer struct{ Value string }
	if err := m.command(ctx, "WebDriver:TakeScreenshot", map[string]any{"full": true, "hash": false}, &answer); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(answer.Value)
}

// quit ends the program.
func (m *marionette) quit(ctx context.Context) error {
	err := m.command(ctx, "Marionette:Quit", map[string]any{"flags": []string{"eForceQuit"}}, nil)
	m.conn.Close()
	return err
}
