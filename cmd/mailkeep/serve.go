package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"mailkeep/archive"
	"mailkeep/imapd"
)

func (a *app) serveCommand() *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "serve the archive as a read-only IMAP server",
		Long: `Serves the archive to mail programs: every label is a mailbox, nothing can be changed, dragging a message to a live account restores it.
It listens on this machine only, unless there is a certificate: tls_cert and tls_key, or tls_self_signed = true. Beside it a page explains how each mail program is
connected. At most 1,000 connections are open at once, 100 from one address; three wrong passwords end a connection, each after a longer wait. A backup may run meanwhile in another process; what it adds appears at once.`,
		Example: "  mailkeep serve\n  mailkeep serve --imap 127.0.0.1:2143",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), addr) },
	}
	cmd.Flags().StringVar(&addr, "imap", "", "`address` to listen on (default: serve.imap of the configuration, else "+defaultServe+")")
	return cmd
}

func (a *app) serve(ctx context.Context, addr string) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	if addr != "" {
		c.Serve.IMAP = addr
	}
	if err := a.checkDisk(ctx, c.Archive); err != nil {
		return err
	}
	r, err := openArchive(c.Archive)
	if err != nil {
		return err
	}
	l, err := c.Serve.listen(a.log)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	a.printServe(c, l)
	return a.serveLasting(ctx, c, r, l)
}

// How often is looked whether gmail.db was replaced: the pause doubles with each time that it was, so that a file system on which a file seems to be another one every time is no
// reason to end connections without end.
const (
	lookForAnother = time.Second
	lookSeldom     = time.Hour
)

var errReplaced = errors.New("gmail.db was replaced")

// serveLasting serves until ctx ends, which is no error. When a rebuild puts another gmail.db in the place, all connections end, and mail programs come back to that. It closes r and l.
func (a *app) serveLasting(ctx context.Context, c *Config, r *archive.Reader, l *listeners) error {
	for pause := lookForAnother; ; pause = min(2*pause, lookSeldom) {
		round, stop := context.WithCancelCause(ctx)
		go awaitReplacement(round, r, pause, stop)
		err := a.serveOn(round, r, l, &c.Serve)
		replaced := err == nil && ctx.Err() == nil && context.Cause(round) == errReplaced
		stop(nil)
		if err = errors.Join(err, r.Close()); err != nil || !replaced {
			return err
		}
		a.log.Warn("gmail.db was replaced by another one, as \"mailkeep rebuild\" does: mail programs are connected to that now")
		if r, err = openArchive(c.Archive); err != nil {
			return err
		}
		if l, err = c.Serve.listen(a.log); err != nil {
			return errors.Join(err, r.Close())
		}
	}
}

// awaitReplacement calls stop with errReplaced when another gmail.db is in the place, and returns then, or when ctx ends.
func awaitReplacement(ctx context.Context, r *archive.Reader, pause time.Duration, stop context.CancelCauseFunc) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if r.Replaced() {
			stop(errReplaced)
			return
		}
	}
}

// gcPercent is how much the heap of a server may grow, in per cent, before it is collected. What a server holds for long, the lists of its mailboxes, hardly changes;
// with Go's 100 as much again would be held of answers that were sent long ago.
const gcPercent = 50

// serveOn serves until ctx ends, which is no error. It closes l.
func (a *app) serveOn(ctx context.Context, r *archive.Reader, l *listeners, s *ServeConfig) error {
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}
	o := imapd.Options{Logger: a.log}
	for _, login := range s.Logins {
		o.Logins = append(o.Logins, imapd.Login{User: login.User, Hash: []byte(login.PasswordHash), Account: login.Account})
	}
	if l.certificate != nil {
		o.TLSConfig = l.certificate.config()
	}
	server := imapd.New(r, o)
	g, ctx := errgroup.WithContext(ctx)
	for _, ln := range []net.Listener{l.imap, l.imaps} {
		if ln != nil {
			g.Go(func() error { return server.Serve(ln) })
		}
	}
	if l.web != nil {
		g.Go(func() error { return a.serveWeb(ctx, l.web, l.webOptions(r.Dir(), s.Logins)) })
	}
	g.Go(func() error {
		a.keepSummaries(ctx, r)
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	return g.Wait()
}

// serveLine is the output of serve --json and demo --json.
type serveLine struct {
	Event       string   `json:"event"` // "serving"
	Archive     string   `json:"archive"`
	IMAP        string   `json:"imap,omitempty"`        // address for plain connections, with STARTTLS if TLS is set
	IMAPS       string   `json:"imaps,omitempty"`       // address for TLS from the first byte
	TLS         bool     `json:"tls"`                   // there is a certificate
	Fingerprint string   `json:"fingerprint,omitempty"` // SHA-256 of a self-made certificate
	Web         string   `json:"web,omitempty"`         // URL
	Users       []string `json:"users"`
}

func newServeLine(dir string, l *listeners, logins []ServeLogin) serveLine {
	line := serveLine{Event: "serving", Archive: dir, TLS: l.certificate != nil, Web: l.webURL()}
	if l.imap != nil {
		line.IMAP = l.imap.Addr().String()
	}
	if l.imaps != nil {
		line.IMAPS = l.imaps.Addr().String()
	}
	if line.TLS && l.certificate.selfMade {
		line.Fingerprint = fingerprint(l.certificate.get().Leaf)
	}
	for _, login := range logins {
		line.Users = append(line.Users, login.User)
	}
	return line
}

func (a *app) printServe(c *Config, l *listeners) {
	line := newServeLine(c.Archive, l, c.Serve.Logins)
	if a.json {
		printJSON(a.stdout, line)
		return
	}
	if a.quiet {
		return
	}
	fmt.Fprintf(a.stdout, "serving %s over IMAP, read-only; Ctrl-C ends it\n\n", c.Archive)
	for _, user := range line.Users {
		printClientSettings(a.stdout, l, user, "the one that \"mailkeep setup\" printed")
	}
	printCertificate(a.stdout, l.certificate)
	if line.Web != "" {
		fmt.Fprintf(a.stdout, "  how to connect each mail program: %s\n\n", line.Web)
	}
}

// webURL is where the page is found from this machine, or "".
func (l *listeners) webURL() string {
	if l.web == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(l.web.Addr().String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "https"
	if isLocal(l.web.Addr()) {
		scheme = "http"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// printClientSettings prints what to type into a mail program, for each address that is listened on.
func printClientSettings(out io.Writer, l *listeners, user, password string) {
	for i, s := range l.servers() {
		host := s.Host
		if host == "" {
			host = "the name of this machine"
		}
		if i == 0 {
			fmt.Fprintf(out, "  type into your mail program (Thunderbird: add a mail account, configure manually):\n    protocol             IMAP\n")
		} else {
			fmt.Fprintf(out, "   or\n")
		}
		fmt.Fprintf(out, "    server               %s\n    port                 %d\n    connection security  %s\n", host, s.Port, s.Security)
	}
	fmt.Fprintf(out, "    authentication       Normal password\n    user name            %s\n    password             %s\n\n", user, password)
}

// printCertificate prints how a self-made certificate is told from somebody else's.
func printCertificate(out io.Writer, c *certificate) {
	if c == nil || !c.selfMade {
		return
	}
	leaf := c.get().Leaf
	fmt.Fprintf(out, "  mail programs will ask whether to trust the certificate, which this machine has made itself (valid until %s); say yes only if they show the SHA-256 fingerprint\n    %s\n\n",
		leaf.NotAfter.Format(time.DateOnly), fingerprint(leaf))
}
