package gmailsim

import (
	"bufio"
	"compress/flate"
	"errors"
	"io"
	"time"
)

var errCut = errors.New("connection cut by a fault")

// out is a connection's output: buffer, then faults and limits, then
// compression if any, then the socket.
type out struct {
	sess      *session
	buf       *bufio.Writer
	dst       io.Writer
	deflate   *flate.Writer
	sent      int64 // protocol bytes that left the buffer
	bandwidth int
	stopAt    int64 // absolute offset where this command's answer is cut; -1 none
	stall     bool  // at stopAt, stall instead of closing
	held      bool  // deflate holds bytes that were not flushed
}

func newOut(s *session) *out {
	o := &out{sess: s, dst: s.raw, stopAt: -1}
	o.buf = bufio.NewWriterSize(gate{o}, 32<<10)
	return o
}

// position is the offset of the next byte written.
func (o *out) position() int64 { return o.sent + int64(o.buf.Buffered()) }

func (o *out) flush() error {
	if err := o.buf.Flush(); err != nil {
		return err
	}
	return o.flushDeflate()
}

// flushDeflate pushes compressed bytes out; without any it writes nothing.
func (o *out) flushDeflate() error {
	if o.deflate == nil || !o.held {
		return nil
	}
	o.held = false
	return o.deflate.Flush()
}

// compress switches to raw deflate (RFC 4978) from the next byte.
func (o *out) compress() error {
	w, err := flate.NewWriter(o.dst, flate.DefaultCompression)
	o.deflate = w
	return err
}

// gate is where every output byte passes one by one, faults in hand.
type gate struct{ o *out }

// Write sends p up to the next fault.
func (g gate) Write(p []byte) (int, error) {
	o, done := g.o, 0
	for done < len(p) {
		chunk := p[done:]
		row := o.sess.srv.byteFault(o.sess.id, o.sent)
		limit := int64(-1)
		if row != nil {
			limit = row.When.Byte - 1
		}
		if o.stopAt >= 0 && (limit < 0 || o.stopAt < limit) {
			limit, row = o.stopAt, nil
		}
		if limit >= 0 && limit-o.sent < int64(len(chunk)) {
			chunk = chunk[:max(limit-o.sent, 0)]
		}
		n, err := o.send(chunk)
		done += n
		if err != nil {
			return done, err
		}
		if o.sent == limit && done < len(p) {
			if err := o.misbehave(row); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

func (o *out) send(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		n := len(p)
		if o.bandwidth > 0 {
			n = min(n, max(o.bandwidth/20, 1))
			if !o.sess.sleep(time.Duration(n) * time.Second / time.Duration(o.bandwidth)) {
				return total, errCut
			}
		}
		w := o.dst
		if o.deflate != nil {
			w, o.held = o.deflate, true
		}
		k, err := w.Write(p[:n])
		if err == nil && o.bandwidth > 0 {
			err = o.flushDeflate()
		}
		total += k
		o.sent += int64(k)
		o.sess.srv.stats.update(func(c *Counters) { c.BytesOut += int64(k) })
		if err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

// misbehave acts at an output byte: a table row, or this command's CutAfter.
func (o *out) misbehave(row *faultRow) error {
	if row == nil {
		if o.stall {
			o.sess.stall()
		}
		return o.cut()
	}
	if !o.sess.srv.strike(row) {
		return nil
	}
	do := row.Do
	if do.Run != nil {
		do.Run()
	}
	if do.Bandwidth != 0 {
		o.bandwidth = do.Bandwidth
	}
	if do.Raw != "" {
		if _, err := o.send([]byte(do.Raw)); err != nil {
			return err
		}
	}
	if do.Bye != "" {
		if _, err := o.send([]byte("* BYE " + do.Bye + "\r\n")); err != nil {
			return err
		}
	}
	if do.Stall {
		o.sess.stall()
	}
	if do.Stall || do.Close || do.Bye != "" {
		return o.cut()
	}
	return nil
}

// cut lets out what is already compressed, then closes the socket.
func (o *out) cut() error {
	if err := o.flushDeflate(); err != nil {
		return err
	}
	o.sess.raw.Close()
	return errCut
}

// countingReader counts protocol bytes read from the client.
type countingReader struct {
	src  io.Reader
	sess *session
}

// Read implements io.Reader.
func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.sess.srv.stats.update(func(c *Counters) { c.BytesIn += int64(n) })
	return n, err
}

// stall waits until the client or the server closes.
func (s *session) stall() {
	if err := s.out.flushDeflate(); err != nil {
		return
	}
	buf := make([]byte, 4096)
	for {
		if _, err := s.raw.Read(buf); err != nil {
			return
		}
	}
}

// sleep waits, and reports false if the server closes first.
func (s *session) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.srv.done:
		return false
	}
}
