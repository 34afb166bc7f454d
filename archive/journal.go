package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

const (
	journalDir = "journal"
	journalExt = ".jsonl"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// position is where a group of lines begins: a file of the journal and an offset in bytes.
type position struct {
	File   string `db:"file" json:"file"`
	Offset int64  `db:"offset" json:"offset"`
}

// group is what one batch wrote: lines of facts, packed if there are many (journal_pack.go), and a commit line.
type group struct {
	facts  []fact
	commit commitFact
	end    position // behind the group
}

// journal appends groups of facts. It belongs to one Writer.
type journal struct {
	dir    string
	file   *os.File // the newest one; nil before the first append
	end    position
	broken error // half of a group may stand behind end

	packLeast int // bytes of a group from which on it is packed
}

var journalName = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}(_[0-9]{2})?\.jsonl$`)

// journalFiles lists the journal's files, oldest first: their names are months, with a number from the second one of a month on. Anything else, such as the copies that synchronizing programs make, is not ours.
func journalFiles(dir string) ([]string, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range found {
		if journalName.MatchString(f.Name()) {
			names = append(names, f.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// readJournal calls f for each whole group from a position on and returns the position behind the last one. A torn group at the very end is what a crash
// leaves and ends the reading; anything else that does not fit is an error.
func readJournal(dir string, from position, f func(group) error) (position, error) {
	names, err := journalFiles(dir)
	if err != nil {
		return from, err
	}
	if from.Offset > 0 && !slices.Contains(names, from.File) {
		return from, fmt.Errorf("read journal: %q is missing, and %s was written with it: copy it back from a copy of the archive", filepath.Join(dir, from.File), databaseFile)
	}
	at := from
	for i, name := range names {
		if name < from.File {
			continue
		}
		if name != at.File {
			at = position{File: name}
		}
		end, err := readGroups(filepath.Join(dir, name), at, f)
		if errors.Is(err, errTorn) && i == len(names)-1 {
			return end, nil
		}
		if err != nil {
			return end, fmt.Errorf("read journal %q: %w", name, err)
		}
		at = end
	}
	return at, nil
}

var errTorn = errors.New("the last lines are incomplete")

// readGroups reads one file from a position to its end.
func readGroups(path string, at position, f func(group) error) (position, error) {
	file, err := os.Open(path)
	if err != nil {
		return at, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return at, err
	} else if info.Size() < at.Offset {
		return at, fmt.Errorf("the file has %d bytes and %s knows of %d: a part of the journal is lost", info.Size(), databaseFile, at.Offset)
	}
	if _, err := file.Seek(at.Offset, io.SeekStart); err != nil {
		return at, err
	}
	lines := bufio.NewReaderSize(file, 1<<20)
	for {
		g, length, err := readGroup(lines)
		if errors.Is(err, io.EOF) {
			return at, nil
		}
		if err != nil {
			return at, fmt.Errorf("at byte %d: %w", at.Offset, err)
		}
		at.Offset += length
		g.end = at
		if err := f(g); err != nil {
			return at, err
		}
	}
}

// readGroup returns the next group and its length in bytes, io.EOF at the end and errTorn when the file ends inside the group.
func readGroup(lines *bufio.Reader) (group, int64, error) {
	var g group
	var length int64
	var crc uint32
	for {
		line, n, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			if length == 0 && n == 0 {
				return g, 0, io.EOF
			}
			return g, 0, errTorn
		}
		if err != nil {
			return g, 0, err
		}
		length += n
		if bytes.IndexByte(line, 0) >= 0 {
			return g, 0, unwritten(lines)
		}
		if n > int64(len(line)) {
			return g, 0, fmt.Errorf("line %q is damaged: it has %d bytes", clip(line), n)
		}
		facts, err := decodeFacts(line)
		if err != nil {
			return g, 0, fmt.Errorf("line %q is damaged: %w", clip(line), err)
		}
		if c := commitOf(facts); c != nil {
			g.commit = *c
			if c.Lines != len(g.facts) || c.CRC != fmt.Sprintf("%08x", crc) {
				return g, 0, fmt.Errorf("batch %d does not match its checksum", c.Seq)
			}
			return g, length, nil
		}
		crc = crc32.Update(crc, castagnoli, line)
		g.facts = append(g.facts, facts...)
	}
}

// unwritten tells what zero bytes mean: a power cut can leave the end of a file grown and not written, which is as good as torn. With a whole group behind
// them they are damage.
func unwritten(lines *bufio.Reader) error {
	for {
		line, _, err := readLine(lines)
		if bytes.HasPrefix(line, []byte(`{"commit"`)) && bytes.IndexByte(line, 0) < 0 && err == nil {
			next, _ := lines.Peek(1)
			if len(next) > 0 {
				return errors.New("zero bytes in the middle")
			}
		}
		if errors.Is(err, io.EOF) {
			return errTorn
		}
		if err != nil {
			return err
		}
	}
}

func clip(line []byte) []byte { return line[:min(len(line), 80)] }

// append writes a group and makes it durable. When it fails, nothing of the group stays.
func (j *journal) append(facts []fact, seq ModSeq, now time.Time) error {
	if j.broken != nil {
		return j.broken
	}
	text, err := encodeGroup(facts, j.packLeast, seq, now)
	if err != nil {
		return err
	}
	if err := j.open(now); err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	if _, err = j.file.WriteAt(text, j.end.Offset); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		if j.broken = j.file.Truncate(j.end.Offset); j.broken != nil {
			j.broken = fmt.Errorf("write the journal: half of a batch cannot be taken back; open the archive again: %w", j.broken)
		}
		return errors.Join(fmt.Errorf("write the journal: %w", err), j.broken)
	}
	j.end.Offset += int64(len(text))
	return nil
}

func encodeGroup(facts []fact, packLeast int, seq ModSeq, now time.Time) ([]byte, error) {
	var lines bytes.Buffer
	enc := lineEncoder(&lines)
	for i := range facts {
		if err := enc.Encode(&facts[i]); err != nil {
			return nil, fmt.Errorf("write the journal: %w", err)
		}
	}
	text, err := sealGroup(lines.Bytes(), packLeast, commitFact{Seq: seq, Time: now.UTC().Truncate(time.Second), Lines: len(facts)})
	if err != nil {
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	return text, nil
}

// lineEncoder writes facts as lines of JSON.
func lineEncoder(to io.Writer) *json.Encoder {
	enc := json.NewEncoder(to)
	enc.SetEscapeHTML(false)
	return enc
}

// open gets ready to append: to this month's file, or to the newest one when the clock went back.
func (j *journal) open(now time.Time) error {
	name := max(now.UTC().Format("2006-01")+journalExt, j.end.File)
	if j.file != nil && name == j.end.File {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(j.dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syncDir(j.dir); err != nil {
		f.Close()
		return err
	}
	if j.file != nil {
		j.file.Close()
	}
	if name != j.end.File {
		j.end = position{File: name}
	}
	j.file = f
	return nil
}

// cut takes a torn group from behind the end, so that the next one does not follow it. Its bytes go to quarantine/: nothing is thrown away.
func (j *journal) cut(quarantine string) error {
	if j.end.File == "" {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(j.dir, j.end.File), os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) && j.end.Offset == 0 {
		return nil // nothing was written behind the snapshot yet
	}
	if err != nil {
		return err
	}
	defer f.Close()
	torn, err := io.ReadAll(io.NewSectionReader(f, j.end.Offset, 1<<30))
	if err != nil || len(torn) == 0 {
		return err
	}
	if err := os.MkdirAll(quarantine, 0o700); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-torn-at-%d", j.end.File, j.end.Offset)
	if err := writeDurably(filepath.Join(quarantine, name), torn); err != nil {
		return err
	}
	if err := f.Truncate(j.end.Offset); err != nil {
		return err
	}
	return f.Sync()
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
