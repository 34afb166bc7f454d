package wire

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// itemUse says what happens to a FETCH item.
type itemUse uint8

const (
	useDrop    itemUse = iota // the client does not know it
	useStream                 // passed on as it comes, literals included
	useCollect                // collected, then checked, repaired or put into its group's section
)

// itemInfo is what the translator knows about a FETCH item.
type itemInfo struct {
	name         string // folded; "" for an unknown item
	use          itemUse
	renamed      string // the name to pass it on under, when not its own
	group, index int    // its place in itemGroups; index is -1 for an item of no group
}

// fetchItems are the FETCH items that the client (imapclient of go-imap v2 beta.8) understands, those of the agreed
// sections, and answers to BODY sections under other names: the older names, which RFC 3501 section 6.4.5 declares
// equivalent, and the request's name, which some servers repeat in the answer.
var fetchItems = func() map[string]itemInfo {
	items := make(map[string]itemInfo)
	for _, name := range []string{"ENVELOPE", "BODY", "BODYSTRUCTURE", "BINARY", "BINARY.SIZE"} {
		items[name] = itemInfo{name: name, use: useStream, index: -1}
	}
	for _, name := range []string{"UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "MODSEQ"} {
		items[name] = itemInfo{name: name, use: useCollect, index: -1}
	}
	for name, other := range map[string]string{
		"RFC822": "BODY[]", "RFC822.HEADER": "BODY[HEADER]", "RFC822.TEXT": "BODY[TEXT]", "BODY.PEEK": "BODY", "BINARY.PEEK": "BINARY",
	} {
		items[name] = itemInfo{name: name, use: useStream, renamed: other, index: -1}
	}
	for g := range itemGroups {
		for i, name := range itemGroups[g].items {
			items[name] = itemInfo{name: name, use: useCollect, group: g, index: i}
		}
	}
	return items
}()

// itemPhase is the place inside an item where the scan stands.
type itemPhase uint8

const (
	phaseSection itemPhase = iota // between [ and ]
	phaseTail                     // after ], before the space: <origin>
	phaseValue
)

// fetchResponse rewrites one FETCH response while it streams in. Items go to the output; as long as a response to UID
// FETCH has not shown its UID they go to hold.
type fetchResponse struct {
	r *responses

	num     []byte
	wants   commandInfo
	holding bool
	opened  bool // "* n FETCH (" is out
	lists   int  // open parentheses around the items: one, more from Domino, which puts some around single items
	inList  bool // the outer parenthesis was met
	count   int  // items in the output or in hold
	hold    hold

	inItem bool // the current item is cut by a literal
	info   itemInfo
	phase  itemPhase
	depth  int    // of parentheses inside the value
	value  []byte // collected so far

	haveUID bool
	groups  [len(itemGroups)]groupItems
}

// groupItems collects the items of one agreed section.
type groupItems struct {
	got  groupMask // which of the group's items came, by index
	sent bool
	text []byte
}

func (f *fetchResponse) begin(num []byte, wants commandInfo) {
	f.num = append(f.num[:0], num...)
	f.wants = wants
	f.holding = wants.byUID
	f.opened, f.inList, f.inItem, f.haveUID = false, false, false, false
	f.count, f.lists = 0, 0
	for g := range f.groups {
		f.groups[g] = groupItems{text: f.groups[g].text[:0]}
	}
}

// line takes the text of a line without line end and announcement of a literal; size is that of the literal, or
// negative at the end of the response. It returns where the literal's bytes belong.
func (f *fetchResponse) line(text []byte, size int64) (literalUse, error) {
	if f.inItem {
		n, err := f.advance(text, 0, size)
		if err != nil || f.inItem {
			return f.literalUse(), err
		}
		text = text[n:]
	}
	for {
		text = bytes.TrimLeft(text, " ")
		if len(text) == 0 {
			return 0, wireErrorf("FETCH response %s ends inside its list", f.num)
		}
		switch {
		case text[0] == '(':
			f.inList = true
			f.lists++
			text = text[1:]
			continue
		case !f.inList:
			return 0, wireErrorf("FETCH response %s without a list", f.num)
		case text[0] == ')':
			f.lists--
			text = text[1:]
			if f.lists == 0 {
				return 0, f.finish(text, size)
			}
			continue
		}
		n, err := f.item(text, size)
		if err != nil || f.inItem {
			return f.literalUse(), err
		}
		text = text[n:]
	}
}

// item reads an item's name and as much of its value as the line holds.
func (f *fetchResponse) item(text []byte, size int64) (int, error) {
	end := bytes.IndexAny(text, " ()[\"")
	if end < 0 && size >= 0 {
		end = len(text)
	}
	if end <= 0 {
		return 0, wireErrorf("FETCH response %s: %.40q is no item", f.num, text)
	}
	f.info = f.classify(text[:end])
	f.value = f.value[:0]
	f.depth = 0
	if f.info.use == useStream {
		if err := f.startStream(text[:end]); err != nil {
			return 0, err
		}
		if bytes.HasPrefix(text[end:], []byte("[]")) && strings.HasSuffix(f.info.renamed, "]") {
			end += 2 // RFC822[], an invention of some servers
		}
	}
	f.phase = phaseTail
	pos := end
	if pos < len(text) && text[pos] == '[' {
		f.phase = phaseSection
		pos++
	}
	return f.scan(text, end, pos, size)
}

// startStream writes the name of an item that is passed on.
func (f *fetchResponse) startStream(name []byte) error {
	if err := f.separate(); err != nil {
		return err
	}
	if f.info.renamed != "" {
		return f.put([]byte(f.info.renamed))
	}
	return f.put(name)
}

// classify looks an item up. The items of a section that no pending command asks for are as unknown as any other.
func (f *fetchResponse) classify(name []byte) itemInfo {
	var room foldRoom
	info := fetchItems[string(room.fold(name))]
	if info.index >= 0 && !f.wants.groups.has(info.group) {
		info.use = useDrop
	}
	return info
}

// advance continues the item that a literal cut.
func (f *fetchResponse) advance(text []byte, pos int, size int64) (int, error) {
	if f.phase == phaseValue && f.depth == 0 {
		return 0, f.endItem()
	}
	return f.scan(text, 0, pos, size)
}

// scan moves from text[pos] to the end of the item and hands text[start:end] over.
func (f *fetchResponse) scan(text []byte, start, pos int, size int64) (int, error) {
	end, complete, err := f.scanItem(text, pos)
	if err != nil {
		return 0, err
	}
	piece := text[start:end]
	if complete {
		if err := f.take(piece); err != nil {
			return 0, err
		}
		return end, f.endItem()
	}
	if size < 0 {
		return 0, wireErrorf("FETCH response %s ends inside %s", f.num, f.info.name)
	}
	f.inItem = true
	if f.info.name != "BINARY" && f.info.name != "BINARY.PEEK" {
		// The mark of a literal8 (RFC 3516 section 4.2), which the client expects for BINARY only.
		piece = bytes.TrimSuffix(piece, []byte("~"))
	}
	if err := f.take(piece); err != nil {
		return 0, err
	}
	var room [24]byte
	return end, f.take(appendLiteralHead(room[:0], size))
}

// scanItem returns where the item ends, or the end of the text when it goes on after a literal.
func (f *fetchResponse) scanItem(text []byte, pos int) (end int, complete bool, err error) {
	begin := -1 // of an atom at depth 0
	for pos < len(text) {
		c := text[pos]
		switch {
		case c == '"':
			if begin >= 0 {
				return pos, true, nil
			}
			if f.phase == phaseTail {
				f.phase = phaseValue
			}
			if pos, err = skipQuoted(text, pos); err != nil {
				return 0, false, err
			}
			if f.phase == phaseValue && f.depth == 0 {
				return pos, true, nil
			}
			continue
		case f.phase == phaseSection:
			if c == ']' {
				f.phase = phaseTail
			}
		case f.phase == phaseTail:
			switch c {
			case ' ':
				f.phase = phaseValue
			case '(':
				f.phase = phaseValue // the space before a list may be missing
				continue
			case ')':
				return pos, true, nil
			}
		case c == '(':
			if begin >= 0 {
				return pos, true, nil
			}
			f.depth++
		case c == ')':
			if f.depth == 0 {
				return pos, true, nil
			}
			if f.depth--; f.depth == 0 {
				return pos + 1, true, nil
			}
		case c == ' ':
			if begin >= 0 {
				return pos, true, nil
			}
		case f.depth == 0 && begin < 0:
			begin = pos
		}
		pos++
	}
	return len(text), false, nil
}

// skipQuoted returns the position after the quoted string that starts at pos.
func skipQuoted(text []byte, pos int) (int, error) {
	for i := pos + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1, nil
		}
	}
	return 0, wireErrorf("a quoted string without end: %.40q", text[pos:])
}

// take hands over a piece of the current item.
func (f *fetchResponse) take(b []byte) error {
	switch f.info.use {
	case useStream:
		return f.put(b)
	case useCollect:
		if len(f.value)+len(b) > MaxItem {
			return wireErrorf("a FETCH item of more than %d MiB", MaxItem>>20)
		}
		f.value = append(f.value, b...)
	}
	return nil
}

func (f *fetchResponse) literalUse() literalUse {
	switch {
	case f.info.use == useDrop:
		return literalDrop
	case f.info.use == useCollect:
		return literalCollect
	case f.holding:
		return literalHold
	}
	return literalPass
}

// endItem settles a complete item.
func (f *fetchResponse) endItem() error {
	f.inItem = false
	if f.info.use != useCollect {
		return nil
	}
	value := bytes.Trim(f.value, " ")
	switch f.info.name {
	case "UID":
		return f.uid(value)
	case "FLAGS":
		return f.write("FLAGS ", appendFlagList(nil, value))
	case "INTERNALDATE":
		if !validDate(value) {
			return nil
		}
		return f.write("INTERNALDATE ", value)
	case "RFC822.SIZE":
		if _, err := strconv.ParseInt(string(value), 10, 64); err != nil || !isNumber(value) {
			return nil
		}
		return f.write("RFC822.SIZE ", value)
	case "MODSEQ":
		seq := bytes.Trim(value, "( )")
		if _, err := strconv.ParseUint(string(seq), 10, 64); err != nil || !isNumber(seq) {
			return nil
		}
		return f.write("MODSEQ (", append(seq[:len(seq):len(seq)], ')'))
	}
	return f.group(value)
}

// validDate tells whether the client will accept an INTERNALDATE: it refuses the whole connection over one it cannot read.
func validDate(value []byte) bool {
	s, quoted := strings.CutPrefix(string(value), `"`)
	t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", strings.TrimSuffix(s, `"`))
	return quoted && err == nil && !t.IsZero()
}

// uid writes the UID, and after it what waited for it.
func (f *fetchResponse) uid(value []byte) error {
	n, err := strconv.ParseUint(string(value), 10, 32)
	if err != nil || n == 0 || f.haveUID {
		return nil
	}
	f.haveUID = true
	if !f.holding {
		return f.write("UID ", value)
	}
	f.holding = false
	waiting := f.count > 0
	f.count = 0
	if err := f.write("UID ", value); err != nil || !waiting {
		return err
	}
	f.count++
	f.r.emitString(" ")
	return f.release()
}

// release sends what was held.
func (f *fetchResponse) release() error {
	if f.hold.file == nil {
		f.r.emit(f.hold.mem)
		f.hold.reset()
		return nil
	}
	if err := f.hold.rewind(); err != nil {
		return err
	}
	f.r.replay = true
	return nil
}

// group adds an item to its section, and sends the section once all its items are there.
func (f *fetchResponse) group(value []byte) error {
	g, i := f.info.group, f.info.index
	set := &f.groups[g]
	if set.got.has(i) || set.sent {
		return nil
	}
	set.got.set(i)
	set.text = append(set.text, f.info.name...)
	set.text = append(set.text, ' ')
	set.text = append(set.text, value...)
	set.text = append(set.text, "\r\n"...)
	if len(set.text) > MaxItem {
		return wireErrorf("%s of more than %d MiB", f.info.name, MaxItem>>20)
	}
	if set.got != itemGroups[g].all() {
		return nil
	}
	return f.sendGroup(g)
}

func (f *fetchResponse) sendGroup(g int) error {
	set := &f.groups[g]
	if set.sent || len(set.text) == 0 {
		return nil
	}
	set.sent = true
	head := append([]byte("BODY[HEADER.FIELDS ("), itemGroups[g].name...)
	head = append(head, ")] "...)
	head = appendLiteralHead(head, int64(len(set.text)))
	return f.write(string(head), set.text)
}

// finish ends the list. A response without any item left is dropped: the client would take it for an answer to FETCH.
func (f *fetchResponse) finish(rest []byte, size int64) error {
	if size >= 0 || len(bytes.Trim(rest, " )")) > 0 {
		return wireErrorf("FETCH response %s goes on after its list: %.40q", f.num, rest)
	}
	for g := range f.groups {
		if err := f.sendGroup(g); err != nil {
			return err
		}
	}
	if f.holding && f.count > 0 {
		f.holding = false
		f.open()
		if err := f.release(); err != nil {
			return err
		}
	}
	if f.opened {
		f.r.emitString(")\r\n")
	}
	return nil
}

// write adds a complete item.
func (f *fetchResponse) write(name string, value []byte) error {
	if err := f.separate(); err != nil {
		return err
	}
	if err := f.put([]byte(name)); err != nil {
		return err
	}
	return f.put(value)
}

// separate writes what comes before an item.
func (f *fetchResponse) separate() error {
	if !f.holding && !f.opened {
		f.open()
	}
	f.count++
	if f.count == 1 {
		return nil
	}
	return f.put([]byte(" "))
}

func (f *fetchResponse) open() {
	f.opened = true
	f.r.emitString("* ")
	f.r.emit(f.num)
	f.r.emitString(" FETCH (")
}

func (f *fetchResponse) put(b []byte) error {
	if f.holding {
		return f.hold.write(b)
	}
	f.r.emit(b)
	return nil
}
