package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// certificateInterval is how often, at most, the files of a certificate are looked at: at the first handshake after so long.
const certificateInterval = 10 * time.Second

// certificate is what the server shows its clients. It follows its files: when another program renews them, handshakes from then on use what is new, and
// connections that are open go on. A pair that cannot be used, because only one of the files has been replaced yet, leaves the old one in use.
type certificate struct {
	selfMade bool
	read     func() (*tls.Certificate, error)
	stamp    func() (string, error) // other text when read would return something else
	log      *slog.Logger
	interval time.Duration

	mu      sync.Mutex
	current *tls.Certificate
	seen    string // stamp of current
	refused string // what went wrong last, so that it is reported once
	looked  time.Time
}

// start reads the certificate for the first time.
func (c *certificate) start(log *slog.Logger) (err error) {
	c.log, c.interval = log, certificateInterval
	if c.current, err = c.read(); err != nil {
		return err
	}
	// seen is no stamp yet: what has changed while this was read is noticed by the first handshake.
	return nil
}

// config is how connections are encrypted with the certificate.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
		MinVersion:     tls.VersionTLS12,
	}
}

// get returns the certificate as its files are now.
func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < c.interval {
		return c.current
	}
	c.looked = time.Now()
	stamp, err := c.stamp()
	if err == nil && stamp == c.seen {
		return c.current
	}
	if err == nil {
		var fresh *tls.Certificate
		if fresh, err = c.read(); err == nil {
			c.current, c.seen, c.refused = fresh, stamp, ""
			c.log.Info("TLS certificate read", "valid until", fresh.Leaf.NotAfter.Format(time.DateOnly))
			return c.current
		}
	}
	if text := stamp + err.Error(); text != c.refused {
		c.refused = text
		c.log.Warn("the TLS certificate cannot be read again, the old one stays in use", "error", err)
	}
	return c.current
}

// filesStamp tells versions of some files apart.
func filesStamp(files ...string) (string, error) {
	var b strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%d %d\n", info.Size(), info.ModTime().UnixNano())
	}
	return b.String(), nil
}

// givenCertificate is the pair of files that the configuration names.
func (s *ServeConfig) givenCertificate() *certificate {
	return &certificate{
		read:  s.readPair,
		stamp: func() (string, error) { return filesStamp(s.TLSCert, s.TLSKey) },
	}
}

func (s *ServeConfig) readPair() (*tls.Certificate, error) {
	cert, err := os.ReadFile(s.TLSCert)
	if err != nil {
		return nil, usagef("read serve.tls_cert: %w", err)
	}
	key, err := os.ReadFile(s.TLSKey)
	if err != nil {
		return nil, usagef("read serve.tls_key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, usagef("serve.tls_cert %q and serve.tls_key %q cannot be used: %s; both must be PEM files, the key without a passphrase", s.TLSCert, s.TLSKey, plainTLS(err))
	}
	return &pair, nil
}

// fingerprint is the SHA-256 of a certificate as Thunderbird, Firefox and openssl show it.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}
