package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"mailkeep/archive"
	"mailkeep/imapd"
)

func (a *app) serveCommand() *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "serve the archive as a read-only IMAP server",
		Long: `Serves the archive to mail programs: every label is a mailbox, nothing can be changed, dragging a message to a live account restores it.
It listens on this machine only, unless tls_cert and tls_key are configured. A backup may run meanwhile in another process; what it adds appears at once.`,
		Example: "  mailkeep serve\n  mailkeep serve --imap 127.0.0.1:2143",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), addr) },
	}
	cmd.Flags().StringVar(&addr, "imap", "", "`address` to listen on (default: serve.imap of the configuration, else "+defaultServe+")")
	return cmd
}

func (a *app) serve(ctx context.Context, addr string) (err error) {
	c, err := a.config()
	if err != nil {
		return err
	}
	if addr != "" {
		c.Serve.IMAP = addr
	}
	r, err := openArchive(c.Archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	ln, err := c.Serve.listen()
	if err != nil {
		return err
	}
	a.printServe(c, ln.Addr())
	return a.serveOn(ctx, r, ln, c.Serve.Logins)
}

// listen opens the address. Without TLS it takes only addresses of this machine.
func (s *ServeConfig) listen() (net.Listener, error) {
	if len(s.Logins) == 0 {
		return nil, usagef("nobody could log in: the configuration has no [[serve.login]]; \"mailkeep setup\" makes one")
	}
	host, _, err := net.SplitHostPort(s.IMAP)
	if err != nil || checkListen(s.IMAP) != nil {
		return nil, usagef("%q is not an address and a port such as %q", s.IMAP, defaultServe)
	}
	if s.TLSCert == "" && !isLoopback(host) {
		return nil, usagef("serving on %s without TLS would send passwords and mail readable over the network; configure serve.tls_cert and serve.tls_key, or listen on 127.0.0.1", s.IMAP)
	}
	var config *tls.Config
	if s.TLSCert != "" {
		pair, err := s.certificate()
		if err != nil {
			return nil, err
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	ln, err := listen(s.IMAP)
	if err == nil && config != nil {
		ln = tls.NewListener(ln, config)
	}
	return ln, err
}

// certificate reads the pair of files that the configuration names.
func (s *ServeConfig) certificate() (tls.Certificate, error) {
	cert, err := os.ReadFile(s.TLSCert)
	if err != nil {
		return tls.Certificate{}, usagef("read serve.tls_cert: %w", err)
	}
	key, err := os.ReadFile(s.TLSKey)
	if err != nil {
		return tls.Certificate{}, usagef("read serve.tls_key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, usagef("serve.tls_cert %q and serve.tls_key %q cannot be used: %s; both must be PEM files, the key without a passphrase", s.TLSCert, s.TLSKey, plainTLS(err))
	}
	return pair, nil
}

func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	switch {
	case isErrno(err, syscall.EADDRINUSE, 10048):
		return nil, tellf(syscall.EADDRINUSE, "%s is in use, perhaps by another mailkeep; end that, or choose another address with --imap", addr)
	case isErrno(err, syscall.EACCES, 10013):
		return nil, tellf(syscall.EACCES, "%s may not be listened on; ports below 1024 need privileges, choose another with --imap", addr)
	case isErrno(err, syscall.EADDRNOTAVAIL, 10049):
		return nil, tellf(err, "%s is no address of this machine; choose another with --imap or serve.imap", addr)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return ln, nil
}

// serveOn serves until ctx ends, which is no error. It closes ln.
func (a *app) serveOn(ctx context.Context, r *archive.Reader, ln net.Listener, logins []ServeLogin) error {
	o := imapd.Options{Logger: a.log}
	for _, l := range logins {
		o.Logins = append(o.Logins, imapd.Login{User: l.User, Hash: []byte(l.PasswordHash), Account: l.Account})
	}
	server := imapd.New(r, o)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	var err error
	select {
	case <-ctx.Done():
		err = server.Close()
		<-failed
	case err = <-failed:
		err = errors.Join(err, server.Close())
	}
	return err
}

// serveLine is the output of serve --json and demo --json.
type serveLine struct {
	Event   string   `json:"event"` // "serving"
	Archive string   `json:"archive"`
	IMAP    string   `json:"imap"`
	TLS     bool     `json:"tls"`
	Users   []string `json:"users"`
}

func (a *app) printServe(c *Config, addr net.Addr) {
	line := serveLine{Event: "serving", Archive: c.Archive, IMAP: addr.String(), TLS: c.Serve.TLSCert != ""}
	for _, l := range c.Serve.Logins {
		line.Users = append(line.Users, l.User)
	}
	if a.json {
		printJSON(a.stdout, line)
		return
	}
	if a.quiet {
		return
	}
	fmt.Fprintf(a.stdout, "serving %s over IMAP, read-only; Ctrl-C ends it\n\n", c.Archive)
	for _, user := range line.Users {
		printClientSettings(a.stdout, addr, line.TLS, user, "the one that \"mailkeep setup\" printed")
	}
}

// printClientSettings prints what to type into a mail program.
func printClientSettings(out io.Writer, addr net.Addr, secure bool, user, password string) {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		host = addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "the name of this machine"
	}
	security := "None"
	if secure {
		security = "SSL/TLS"
	}
	fmt.Fprintf(out, "  type into your mail program (Thunderbird: add a mail account, configure manually):\n"+
		"    protocol             IMAP\n"+
		"    server               %s\n"+
		"    port                 %s\n"+
		"    connection security  %s\n"+
		"    authentication       Normal password\n"+
		"    user name            %s\n"+
		"    password             %s\n\n", host, port, security, user, password)
}
