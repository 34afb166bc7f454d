package main

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestNetworkErrorsInPlainWords gives what Go's packages say about a connection to the functions that tell it to users.
func TestNetworkErrorsInPlainWords(t *testing.T) {
	acct := &Account{Host: "imap.example.org:993"}
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, test := range []struct {
		got  error
		want string
	}{
		{explainDial(t.Context(), acct, dial(&net.DNSError{Err: "server misbehaving", Name: "imap.example.org", Server: "127.0.0.53:53"})),
			`look up host "imap.example.org": server misbehaving; check the network connection`},
		{explainDial(t.Context(), acct, dial(os.NewSyscallError("connect", syscall.ENETUNREACH))),
			"connect to imap.example.org:993: " + syscall.ENETUNREACH.Error() + "; check the network connection"},
		{explainTLS(acct, errors.New("remote error: tls: handshake failure")),
			"imap.example.org:993: the TLS handshake does not succeed: the other side says handshake failure; check host, port and tls"},
		{explainTLS(acct, errors.New("tls: failed to verify certificate: x509: certificate has expired")),
			"imap.example.org:993: the TLS handshake does not succeed: failed to verify certificate: certificate has expired; check host, port and tls"},
	} {
		if test.got.Error() != test.want {
			t.Errorf("got  %s\nwant %s", test.got, test.want)
		}
	}
	if err := explainDial(t.Context(), acct, dial(syscall.ENETUNREACH)); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("the cause is lost: %v", err)
	}
}
