package archive

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Ref identifies a message: the SHA-256 of its bytes. The zero Ref is no message.
type Ref [sha256.Size]byte

// RefOf returns the Ref of a message held in memory.
func RefOf(message []byte) Ref { return sha256.Sum256(message) }

// ParseRef reads the 64 hexadecimal digits that String writes.
func ParseRef(s string) (Ref, error) {
	var r Ref
	if len(s) != 2*len(r) {
		return Ref{}, fmt.Errorf("parse message reference %q: want %d hexadecimal digits", s, 2*len(r))
	}
	if _, err := hex.Decode(r[:], []byte(s)); err != nil {
		return Ref{}, fmt.Errorf("parse message reference %q: %w", s, err)
	}
	return r, nil
}

// String returns the digest in lower-case hexadecimal: the name of the message's file without its extension.
func (r Ref) String() string { return hex.EncodeToString(r[:]) }

// IsZero tells whether r names no message.
func (r Ref) IsZero() bool { return r == Ref{} }

// MarshalText writes the form of String, which the journal holds.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the form of String.
func (r *Ref) UnmarshalText(text []byte) error {
	parsed, err := ParseRef(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// Value stores the Ref as a 32-byte BLOB.
func (r Ref) Value() (driver.Value, error) { return r[:], nil }

// Scan reads a 32-byte BLOB.
func (r *Ref) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(r) {
		return fmt.Errorf("scan message reference: have %T, want a BLOB of %d bytes", src, len(r))
	}
	copy(r[:], b)
	return nil
}

// Fingerprint tells before a download that a message is here already: the first 16 bytes of the SHA-256 of its whole header block and its size. It is a
// hint for finding a Ref, never an identity. The zero Fingerprint is none.
type Fingerprint [16]byte

// FingerprintOf computes the fingerprint of a message from its header block, as the server sends it for BODY[HEADER], and its RFC822.SIZE in bytes.
func FingerprintOf(header []byte, size int64) Fingerprint {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", size)
	h.Write(header)
	return Fingerprint(h.Sum(nil)[:16])
}

// IsZero tells whether f is no fingerprint.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// MarshalText writes base64 without padding, which the journal holds: there is one in most lines, and nobody looks for it.
func (f Fingerprint) MarshalText() ([]byte, error) {
	return []byte(base64.RawStdEncoding.EncodeToString(f[:])), nil
}

// UnmarshalText reads what MarshalText wrote, and the hexadecimal digits of older journals.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	decode := base64.RawStdEncoding.DecodeString
	if len(text) == 2*len(f) {
		decode = hex.DecodeString
	}
	b, err := decode(string(text))
	if err != nil || len(b) != len(f) {
		return fmt.Errorf("parse fingerprint %q: want base64 or hexadecimal digits of %d bytes", text, len(f))
	}
	copy(f[:], b)
	return nil
}

// Value stores the fingerprint as a BLOB, or NULL when it is none.
func (f Fingerprint) Value() (driver.Value, error) {
	if f.IsZero() {
		return nil, nil
	}
	return f[:], nil
}

// Scan reads a BLOB or NULL.
func (f *Fingerprint) Scan(src any) error {
	*f = Fingerprint{}
	if src == nil {
		return nil
	}
	b, ok := src.([]byte)
	if !ok || len(b) != len(f) {
		return fmt.Errorf("scan fingerprint: have %T, want a BLOB of %d bytes", src, len(f))
	}
	copy(f[:], b)
	return nil
}
