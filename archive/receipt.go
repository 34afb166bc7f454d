package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	receiptsDir = "receipts"
	// ReceiptFormat is the Format of the receipts that this version writes.
	ReceiptFormat = 1
)

// Receipt says how a comparison of an account with the archive came out. It is kept as receipts/ACCOUNT-TIME.json, and never changed.
type Receipt struct {
	Format   int       `json:"format"` // 1
	Account  string    `json:"account"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`

	ModSeq ModSeq `json:"batch"`       // the archive's last batch that the list below contains
	Items  int64  `json:"items"`       // lines of that list
	List   string `json:"list_sha256"` // see Reader.ListDigest

	Server   int64 `json:"on_server"` // messages that the server has, but for those left out on purpose
	Held     int64 `json:"held"`      // of these: in the archive
	Missing  int64 `json:"missing"`   // of these: not in the archive
	Failed   int64 `json:"failed"`    // of the missing: in the failure ledger
	Fresh    int64 `json:"fresh"`     // of the missing: arrived after the last backup
	LeftOut  int64 `json:"left_out"`  // at the server, and left out by the configuration or pruned
	Gone     int64 `json:"gone"`      // in the archive and not at the server any more
	Returned int64 `json:"returned"`  // marked as gone in the archive, and yet at the server

	Labels int64 `json:"labels_missing"` // labels that messages have at the server, and not in the archive
	Flags  int64 `json:"flags_differ"`
	Sizes  int64 `json:"sizes_differ"`

	Deep    int64 `json:"deep"`         // messages that were fetched and hashed
	Differ  int64 `json:"bytes_differ"` // of these: the server has other bytes
	Damaged int64 `json:"damaged"`      // of these: the archive's own file is not what was recorded

	Unread []string `json:"unread,omitempty"` // mailboxes of the server that could not be read

	Mailboxes []ReceiptMailbox `json:"mailboxes"`
}

// ReceiptMailbox is one mailbox of a Receipt.
type ReceiptMailbox struct {
	Name     string `json:"name"`
	Server   int64  `json:"on_server"`
	Archive  int64  `json:"in_archive"`
	Missing  int64  `json:"missing"`
	Extra    int64  `json:"extra"`              // in the archive, and not in this mailbox of the server
	Excluded bool   `json:"excluded,omitempty"` // not compared: the configuration leaves it out
}

// Sound tells whether a receipt shows that what is marked as gone is gone, and everything else here: all mailboxes were read, nothing is missing but what the failure ledger
// knows or what arrived since the last backup, and nothing that is marked as gone is at the server. The reason says what keeps it from that.
func (r *Receipt) Sound() (reason string, ok bool) {
	switch {
	case len(r.Unread) > 0:
		return fmt.Sprintf("%d mailboxes could not be read", len(r.Unread)), false
	case r.Missing > r.Failed+r.Fresh:
		return fmt.Sprintf("%d messages of the server were missing from the archive", r.Missing-r.Failed-r.Fresh), false
	case r.Returned > 0:
		return fmt.Sprintf("%d messages that are marked as gone were at the server", r.Returned), false
	case r.Damaged > 0:
		return fmt.Sprintf("%d files of the archive were damaged", r.Damaged), false
	}
	return "", true
}

// WriteReceipt keeps a receipt in the archive at dir and returns its file. It needs no lock: each has a file of its own, and a crash leaves it whole or not at all.
func WriteReceipt(dir string, r Receipt) (string, error) {
	r.Format = ReceiptFormat
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write a receipt: %w", err)
	}
	folder := filepath.Join(dir, receiptsDir)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("write a receipt: %w", noSpace(err))
	}
	path := filepath.Join(folder, receiptName(r.Account)+r.Finished.UTC().Format("20060102T150405Z")+".json")
	if err := writeDurably(path, append(text, '\n')); err != nil {
		return "", fmt.Errorf("write a receipt: %w", noSpace(err))
	}
	return path, nil
}

// receiptName is how the names of an account's receipts begin: bytes that not every file system takes, and capitals, which some do not tell from small letters, are written in
// hexadecimal.
func receiptName(account string) string {
	var name strings.Builder
	for i := range len(account) {
		switch c := account[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.' && i > 0, c == '@', c == '_', c == '+':
			name.WriteByte(c)
		default:
			fmt.Fprintf(&name, "%%%02x", c)
		}
	}
	if name.Len() > 150 { // names of files have at most 255 bytes
		short := name.String()[:100]
		return fmt.Sprintf("%s%%%.16s-", short, RefOf([]byte(account)))
	}
	return name.String() + "-"
}

// LastReceipt returns the newest receipt of an account in the archive at dir, or ErrNotFound. Files that cannot be understood do not count, and neither do those of a time to come:
// a clock that was wrong once must not hide what is found later.
func LastReceipt(dir, account string) (*Receipt, error) {
	found, err := os.ReadDir(filepath.Join(dir, receiptsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for receipts: %w", err)
	}
	prefix := receiptName(account)
	var names []string
	for _, f := range found {
		if strings.HasPrefix(f.Name(), prefix) && strings.HasSuffix(f.Name(), ".json") {
			names = append(names, f.Name())
		}
	}
	slices.Sort(names)
	for _, name := range slices.Backward(names) {
		text, err := os.ReadFile(filepath.Join(dir, receiptsDir, name))
		if err != nil {
			return nil, fmt.Errorf("read receipt: %w", err)
		}
		var r Receipt
		if json.Unmarshal(text, &r) == nil && r.Format == ReceiptFormat && r.Account == account && time.Until(r.Finished) < time.Hour {
			return &r, nil
		}
	}
	return nil, fmt.Errorf("find a receipt of account %q: %w", account, ErrNotFound)
}
