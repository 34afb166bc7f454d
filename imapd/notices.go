package imapd

// notices are untagged responses that may be many: what has changed in a mailbox. They are sent whenever some have come together, so that they take little memory
// however many there are. The zero value with conn set is ready.
type notices struct {
	conn *conn
	b    []byte // not sent yet
}

// noticesPiece is how many bytes of notices come together.
const noticesPiece = 8 << 10

// next is called between two notices.
func (n *notices) next() error {
	if len(n.b) < noticesPiece {
		return nil
	}
	return n.flush()
}

// flush sends what is left.
func (n *notices) flush() error {
	if len(n.b) == 0 {
		return nil
	}
	err := n.conn.send(n.b)
	n.b = n.b[:0]
	return err
}

// runs writes count numbers as a set that keeps their order: only what ascends one by one becomes a range.
func (n *notices) runs(count int, number func(k int) uint32) error {
	for k := 0; k < count; {
		if k > 0 {
			n.b = append(n.b, ',')
		}
		first := number(k)
		last := first
		for k++; k < count && number(k) == last+1; k++ {
			last++
		}
		n.b = appendNumber(n.b, first)
		if last > first {
			n.b = appendNumber(append(n.b, ':'), last)
		}
		if err := n.next(); err != nil {
			return err
		}
	}
	return nil
}
