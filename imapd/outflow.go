package imapd

import "sync"

// outflow sends blocks of responses to a connection, in order, while the next ones are put together: on a machine with several processors both take time at once, and a client
// that reads slowly is not waited for more often than it must be. The zero value with conn set is ready. It is used by one goroutine.
type outflow struct {
	conn *conn
	work chan []byte   // blocks to send; nil while the goroutine does not run
	free chan []byte   // blocks that have been sent
	done chan struct{} // closed when the goroutine has ended
}

// maxBlock is up to which size a block is used again.
const maxBlock = outputBuffer + wholeLimit + 4<<10

// blockBuffers keeps blocks that nobody uses.
var blockBuffers = sync.Pool{New: func() any { b := make([]byte, 0, outputBuffer+4<<10); return &b }}

// buffer returns an empty block.
func (o *outflow) buffer() []byte { return *blockBuffers.Get().(*[]byte) }

// release gives a block back.
func (o *outflow) release(b []byte) {
	if cap(b) > 0 && cap(b) <= maxBlock {
		b = b[:0]
		blockBuffers.Put(&b)
	}
}

// put sends block, or will, and returns an empty one. Only so many are under way that one can be sent and one wait.
func (o *outflow) put(block []byte) ([]byte, error) {
	if o.work == nil {
		o.work, o.free, o.done = make(chan []byte), make(chan []byte, 2), make(chan struct{})
		go o.run(o.work, o.free, o.done)
	}
	o.work <- block
	select {
	case b := <-o.free:
		return b[:0], o.conn.failure()
	default:
		return o.buffer(), o.conn.failure()
	}
}

// run sends blocks until there will be no more. After a failure the connection takes none.
func (o *outflow) run(work <-chan []byte, free chan<- []byte, done chan<- struct{}) {
	defer close(done)
	for b := range work {
		o.conn.send(b)
		select {
		case free <- b:
		default:
			o.release(b)
		}
	}
}

// wait returns when all blocks have been sent, with what went wrong.
func (o *outflow) wait() error {
	if o.work == nil {
		return nil
	}
	close(o.work)
	<-o.done
	close(o.free)
	for b := range o.free {
		o.release(b)
	}
	o.work = nil
	return o.conn.failure()
}
