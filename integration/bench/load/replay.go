package load

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
)

// Tape is the recorded answer to a FETCH of a whole mailbox, in a file. Played back by a server that does nothing else, it
// shows what the client and the kernel cost: no server can be measured to be faster than that.
type Tape struct {
	path   string
	f      *os.File
	w      *bufio.Writer
	size   int64
	starts []int64 // where each response begins
	err    error
}

// NewTape makes an empty tape in the file of that name.
func NewTape(path string) (*Tape, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &Tape{path: path, f: f, w: bufio.NewWriterSize(f, bufferSize)}, nil
}

func (t *Tape) begin(untagged bool) {
	if t != nil && untagged {
		t.starts = append(t.starts, t.size)
	}
}

func (t *Tape) write(p []byte) {
	if t == nil || t.err != nil {
		return
	}
	n, err := t.w.Write(p)
	t.size, t.err = t.size+int64(n), err
}

// Close ends the recording.
func (t *Tape) Close() error { return errors.Join(t.err, t.w.Flush(), t.f.Close()) }

// Replay is a server that plays a tape.
type Replay struct {
	tape  *Tape
	ln    net.Listener
	conns sync.WaitGroup
}

// Play starts a server on a loopback port that knows just the commands of the FETCH scenarios.
func (t *Tape) Play() (*Replay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Replay{tape: t, ln: ln}
	r.conns.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			r.conns.Go(func() {
				defer nc.Close()
				// A client that has seen enough breaks the connection, which is no failure of the replay.
				_ = r.serve(nc)
			})
		}
	})
	return r, nil
}

// Target is the replay, for the scenarios; from is the server that the tape was recorded from.
func (r *Replay) Target(from *Target) *Target {
	return &Target{Name: "replay", Addr: r.ln.Addr().String(), User: from.User, Password: from.Password, Want: from.Want, valid: from.valid}
}

// Close ends the server; its clients have gone.
func (r *Replay) Close() error {
	err := r.ln.Close()
	r.conns.Wait()
	return err
}

func (r *Replay) serve(nc net.Conn) error {
	f, err := os.Open(r.tape.path)
	if err != nil {
		return err
	}
	defer f.Close()
	in, out := bufio.NewReader(nc), bufio.NewWriterSize(nc, 256<<10)
	out.WriteString("* OK replay\r\n")
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		tag, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		if err := r.answer(command, f, nc, out); err != nil {
			return err
		}
		out.WriteString(tag + " OK done\r\n")
	}
}

func (r *Replay) answer(command string, f *os.File, nc net.Conn, out *bufio.Writer) error {
	which, single := 0, strings.HasPrefix(command, "UID FETCH ")
	switch {
	case strings.HasPrefix(command, "UID FETCH 1:* "):
		if err := out.Flush(); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.Copy(nc, f)
		return err
	case single:
		if _, err := fmt.Sscanf(command, "UID FETCH %d ", &which); err != nil || which < 1 || which > len(r.tape.starts) {
			return fmt.Errorf("command %q", command)
		}
		start, end := r.tape.starts[which-1], r.tape.size
		if which < len(r.tape.starts) {
			end = r.tape.starts[which]
		}
		_, err := io.Copy(out, io.NewSectionReader(f, start, end-start))
		return err
	case strings.HasPrefix(command, "EXAMINE "):
		fmt.Fprintf(out, "* %d EXISTS\r\n", len(r.tape.starts))
	case strings.HasPrefix(command, "UID SEARCH "):
		out.WriteString("* SEARCH")
		for i := range r.tape.starts {
			fmt.Fprintf(out, " %d", i+1)
		}
		out.WriteString("\r\n")
	}
	return nil
}
