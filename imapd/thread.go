package imapd

import (
	"cmp"
	"slices"
)

// threadAlgorithms are those of THREAD (RFC 5256 section 3). They take messages in the order of the mailbox and return the threads.
var threadAlgorithms = map[string]func([]*arranged) []*threadNode{
	"ORDEREDSUBJECT": threadBySubject,
	"REFERENCES":     threadByReferences,
}

// threadNode is a message in a thread, or a dummy for one that is not there.
type threadNode struct {
	*arranged // nil for a dummy
	children  []*threadNode

	parent *threadNode // these two only while messages are linked
	place  int         // among the parent's children
}

// threadBySubject is ORDEREDSUBJECT: all messages with one base subject are a thread, of which the first one sent is the beginning and the others are answers to it.
func threadBySubject(list []*arranged) []*threadNode {
	sortMessages(list, []sortKey{{compare: sortOrders["SUBJECT"]}, {compare: compareSent}})
	var threads []*threadNode
	for i := range list {
		node := &threadNode{arranged: list[i]}
		if n := len(threads); n > 0 && threads[n-1].subject == node.subject {
			threads[n-1].children = append(threads[n-1].children, node)
			continue
		}
		threads = append(threads, node)
	}
	sortSiblings(threads)
	return threads
}

// first is the message that stands for a node when it is sorted or asked for its subject: of a dummy its first child.
func (n *threadNode) first() *arranged {
	for n.arranged == nil {
		n = n.children[0]
	}
	return n.arranged
}

// sortSiblings sorts by the date of sending; where that is equal, by the order in the mailbox.
func sortSiblings(nodes []*threadNode) {
	slices.SortFunc(nodes, func(a, b *threadNode) int {
		x, y := a.first(), b.first()
		return cmp.Or(compareSent(x, y), cmp.Compare(x.index, y.index))
	})
}

// threadByReferences is REFERENCES. The numbers are those of the steps in the RFC.
func threadByReferences(list []*arranged) []*threadNode {
	top := prune(linkMessages(list)) // 1, 2 and 3
	for _, n := range top {
		if n.arranged == nil {
			sortSiblings(n.children) // 4
		}
	}
	sortSiblings(top)
	top = mergeSubjects(top) // 5
	sortThreads(top)         // 6
	return top
}

// linkMessages makes trees of messages and dummies, and returns their roots: steps 1 and 2.
func linkMessages(list []*arranged) []*threadNode {
	nodes := make([]threadNode, len(list))
	byID := make(map[messageID]*threadNode, len(list))
	all := make([]*threadNode, 0, len(list))
	for i := range list {
		nodes[i].arranged = list[i]
		all = append(all, &nodes[i])
		if id := list[i].id; id != 0 && byID[id] == nil {
			byID[id] = &nodes[i] // of several with one identifier the first has it
		}
	}
	for i := range list {
		var last *threadNode
		for _, id := range list[i].refs {
			ref := byID[id]
			if ref == nil {
				ref = new(threadNode)
				byID[id] = ref
				all = append(all, ref)
			}
			if last != nil && ref.parent == nil {
				last.adopt(ref)
			}
			last = ref
		}
		if n := &nodes[i]; n.parent != last {
			n.leave() // what this message says of itself counts for more than what others say
			if last != nil {
				last.adopt(n)
			}
		}
	}
	for _, n := range all {
		n.children = slices.DeleteFunc(n.children, func(c *threadNode) bool { return c == nil })
	}
	return slices.DeleteFunc(all, func(n *threadNode) bool { return n.parent != nil })
}

// adopt makes a node without a parent a child of n, unless it is an ancestor of n.
func (n *threadNode) adopt(child *threadNode) {
	if n == child {
		return
	}
	if len(child.children) > 0 {
		for a := n.parent; a != nil; a = a.parent {
			if a == child {
				return
			}
		}
	}
	child.parent, child.place = n, len(n.children)
	n.children = append(n.children, child)
}

// leave takes a node away from its parent.
func (n *threadNode) leave() {
	if n.parent != nil {
		n.parent.children[n.place] = nil
		n.parent = nil
	}
}

// prune takes the dummies out of trees, of which only those stay that hold several threads together: step 3.
func prune(top []*threadNode) []*threadNode {
	var kept []*threadNode
	for _, n := range top {
		n.pruneBelow()
		switch {
		case n.arranged != nil || len(n.children) > 1:
			kept = append(kept, n)
		case len(n.children) == 1:
			kept = append(kept, n.children[0])
		}
	}
	return kept
}

// pruneBelow takes all dummies below n out, the deepest first. It does not recurse: a thread may be as deep as the mailbox is large.
func (n *threadNode) pruneBelow() {
	order := n.descendants()
	for _, d := range slices.Backward(order) {
		if !slices.ContainsFunc(d.children, func(c *threadNode) bool { return c.arranged == nil }) {
			continue
		}
		var children []*threadNode
		for _, c := range d.children {
			if c.arranged != nil {
				children = append(children, c)
				continue
			}
			children = append(children, c.children...)
		}
		d.children = children
	}
}

// descendants returns n and all below it, parents before children.
func (n *threadNode) descendants() []*threadNode {
	order := []*threadNode{n}
	for i := 0; i < len(order); i++ {
		order = append(order, order[i].children...)
	}
	return order
}

// mergeSubjects puts threads with the same base subject together: step 5.
func mergeSubjects(top []*threadNode) []*threadNode {
	table := make(map[string]*threadNode)
	for _, n := range top {
		m := n.first()
		if m.subject == "" {
			continue
		}
		known := table[m.subject]
		if known == nil || known.arranged != nil && (n.arranged == nil || known.reply && !n.reply) {
			table[m.subject] = n
		}
	}
	merged := make([]*threadNode, 0, len(top))
	places := make(map[*threadNode]int) // in merged
	for _, n := range top {
		subject := n.first().subject
		known := table[subject]
		switch {
		case subject == "" || known == n:
			places[n] = len(merged)
			merged = append(merged, n)
		case known.arranged == nil && n.arranged == nil:
			known.children = append(known.children, n.children...)
		case known.arranged == nil || n.reply && !known.reply:
			known.children = append(known.children, n)
		default: // neither answers the other; the one in the table came first, or else it would not be there
			dummy := &threadNode{children: []*threadNode{known, n}}
			merged[places[known]] = dummy
			table[subject] = dummy
		}
	}
	return merged
}

// sortThreads sorts all siblings, the youngest generation first: step 6.
func sortThreads(top []*threadNode) {
	root := threadNode{children: top}
	for _, n := range slices.Backward(root.descendants()) {
		sortSiblings(n.children)
	}
}

// appendThreads appends threads as THREAD tells them.
func appendThreads(dst []byte, top []*threadNode, number func(*arranged) uint32) []byte {
	if len(top) > 0 {
		dst = append(dst, ' ')
	}
	for _, n := range top {
		dst = appendThread(dst, n, number)
	}
	return dst
}

// appendThread appends one thread. It goes down only where a thread branches.
func appendThread(dst []byte, n *threadNode, number func(*arranged) uint32) []byte {
	dst = append(dst, '(')
	for blank := false; ; blank = true {
		if n.arranged != nil {
			if blank {
				dst = append(dst, ' ')
			}
			dst = appendNumber(dst, number(n.arranged))
		}
		if len(n.children) != 1 {
			break
		}
		n = n.children[0]
	}
	if len(n.children) > 0 && n.arranged != nil {
		dst = append(dst, ' ')
	}
	for _, c := range n.children {
		dst = appendThread(dst, c, number)
	}
	return append(dst, ')')
}
