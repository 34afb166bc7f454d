package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// selfMadeName is the file, in the folder "mailkeep" of the user's configuration folder, that holds the self-made certificate and its key.
	selfMadeName = "serve-certificate.pem"
	// selfMadeLife is less than the 825 days beyond which Apple's programs take no certificate.
	selfMadeLife = 820 * 24 * time.Hour
	// selfMadeRenewal is how long before its end another one is made.
	selfMadeRenewal = 30 * 24 * time.Hour
	// maxSelfMadeIPs bounds the addresses in the certificate: machines with containers have hundreds.
	maxSelfMadeIPs = 32
)

// selfMadeCertificate is one that this machine has signed itself. It is made once: mail programs remember the exception that their user made for exactly this
// certificate. So it stays as it is when the machine gets other names or addresses, until shortly before it expires.
func (s *ServeConfig) selfMadeCertificate() (*certificate, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return nil, usagef("there is no place for the self-made certificate: %w; configure serve.tls_cert and serve.tls_key", err)
	}
	file := filepath.Join(dir, "mailkeep", selfMadeName)
	return &certificate{
		selfMade: true,
		read:     func() (*tls.Certificate, error) { return selfMade(file, s.Names, time.Now()) },
		stamp:    func() (string, error) { return selfMadeStamp(file, time.Now()) },
	}, nil
}

// selfMadeStamp changes with the file, and from the day on which the certificate is renewed every day until that has succeeded.
func selfMadeStamp(file string, now time.Time) (string, error) {
	stamp, err := filesStamp(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "none", nil // read makes another one
	}
	if err == nil {
		var pair *tls.Certificate
		if pair, err = readSelfMade(file); err == nil && expires(pair, now) {
			stamp += "expires " + now.Format(time.DateOnly)
		}
	}
	return stamp, err
}

func expires(pair *tls.Certificate, now time.Time) bool {
	return now.After(pair.Leaf.NotAfter.Add(-selfMadeRenewal))
}

// selfMade returns the certificate that file holds. When there is none, or it expires soon, it makes another one for this machine and the further names.
func selfMade(file string, names []string, now time.Time) (*tls.Certificate, error) {
	pair, err := readSelfMade(file)
	if err == nil && !expires(pair, now) {
		return pair, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text, err := makeSelfMade(names, now)
	if err == nil {
		err = writeSelfMade(file, text)
	}
	if err != nil {
		return nil, fmt.Errorf("make a TLS certificate: %w", err)
	}
	return readSelfMade(file)
}

func readSelfMade(file string) (*tls.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the self-made certificate: %w", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the self-made certificate: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, usagef("%s holds a key and others may read it; if nobody has, chmod 600 it, else delete it and another one is made", file)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, usagef("%s cannot be used: %s; delete it and another certificate is made, for which mail programs will ask again", file, plainTLS(err))
	}
	return &pair, nil
}

// makeSelfMade makes a key and a certificate for the names and addresses of this machine, as PEM.
func makeSelfMade(names []string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	hosts, ips := ownNames(names), ownAddresses(names)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: hosts[0], Organization: []string{"mailkeep, made by this machine itself"}},
		DNSNames:              hosts,
		IPAddresses:           ips,
		NotBefore:             now.Add(-24 * time.Hour), // clocks differ
		NotAfter:              now.Add(selfMadeLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, // and no authority: Mozilla's programs refuse a server that shows one
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), nil
}

// writeSelfMade replaces the file as a whole, so that no other process reads half of it. Only its owner may read it.
func writeSelfMade(file string, text []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, selfMadeName+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// ownNames are the names under which this machine is found, those given first. There is at least one.
func ownNames(given []string) []string {
	names := slices.DeleteFunc(slices.Clone(given), func(name string) bool { return !isHostName(name) })
	if host, err := os.Hostname(); err == nil {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if isHostName(host) {
			names = append(names, host)
			if !strings.Contains(host, ".") {
				names = append(names, host+".local") // multicast DNS
			}
		}
	}
	names = append(names, "localhost")
	var once []string
	for _, name := range names {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	return once
}

// isHostName tells whether s may stand as a DNS name in a certificate.
func isHostName(s string) bool {
	if s == "" || len(s) > 253 || net.ParseIP(s) != nil {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// ownAddresses are those of loopback, those given, and those at which other machines may reach this one.
func ownAddresses(given []string) []net.IP {
	ips := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, s := range given {
		if ip := net.ParseIP(s); ip != nil {
			ips = append(ips, ip)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ips // the exception for the certificate holds whatever the address
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if ok && n.IP.IsGlobalUnicast() && len(ips) < maxSelfMadeIPs {
			ips = append(ips, n.IP)
		}
	}
	return ips
}
