package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"

	"mailkeep/archive"
	"mailkeep/integration/gmailsim"
)

// The demo's account at the simulated Gmail, and its login for mail programs.
const (
	demoAccount  = "demo@example.org"
	demoMessages = 400
	demoSeed     = 1
	demoUser     = "demo"
	demoPassword = "demo"
)

// portsToTry is how many ports from the default one on the demo tries.
const portsToTry = 50

func (a *app) demoCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "show everything without an account: a simulated Gmail, a backup of it, and the archive served",
		Long: `Starts a simulated Gmail with a few hundred messages on this machine, backs it up over IMAP into a temporary folder (or into --archive), and serves
that on ` + defaultServe + ` until Ctrl-C. No network and no account is needed. With --check it reads every message of every mailbox back over IMAP,
compares it with what the simulated Gmail holds, and ends.`,
		Example: "  mailkeep demo\n  mailkeep demo --check",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "verify by itself and end")
	return cmd
}

func (a *app) demo(ctx context.Context, check bool) (err error) {
	dir, remove, err := a.demoFolder(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	source, err := newDemoSource()
	if err != nil {
		return err
	}
	defer source.Close()
	simCtx, stop := context.WithCancel(ctx)
	defer stop()
	addr, err := source.Listen(simCtx)
	if err != nil {
		return fmt.Errorf("start the simulated Gmail: %w", err)
	}
	a.say("a simulated Gmail with %s runs on %s; backing it up into %s", count(demoMessages, "message"), addr, dir)
	acct := Account{Name: demoAccount, Host: addr, User: demoAccount, Auth: "password", TLS: tlsNone, Connections: defaultConnections}
	if err := a.demoBackup(ctx, dir, &acct, source.password); err != nil {
		return err
	}
	r, err := openArchive(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if check {
		return a.demoCheck(ctx, r, source)
	}
	return a.demoServe(ctx, r)
}

// demoFolder returns the archive's folder and what removes it. A folder that was asked for stays; it must not hold other accounts.
func (a *app) demoFolder(ctx context.Context) (dir string, remove func() error, err error) {
	if a.archiveDir == "" {
		dir, err = os.MkdirTemp("", "mailkeep-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("make a temporary folder: %w", err)
		}
		return dir, func() error { return os.RemoveAll(dir) }, nil
	}
	keep := func() error { return nil }
	r, err := archive.Open(a.archiveDir)
	if errors.Is(err, archive.ErrNotFound) {
		return a.archiveDir, keep, nil
	}
	if err != nil {
		return "", nil, err
	}
	accounts, err := r.Accounts(ctx)
	if err = errors.Join(err, r.Close()); err != nil {
		return "", nil, err
	}
	for _, acct := range accounts {
		if acct.Name != demoAccount {
			return "", nil, usagef("%s holds the real account %q; name another folder for the demo", a.archiveDir, acct.Name)
		}
	}
	return a.archiveDir, keep, nil
}

// demoSource is the simulated Gmail.
type demoSource struct {
	*gmailsim.Server
	password string
}

func newDemoSource() (*demoSource, error) {
	const password = "demo-source"
	s := &demoSource{gmailsim.New(gmailsim.Options{User: demoAccount, Password: password}), password}
	if err := s.Load(gmailsim.Sample(demoMessages, demoSeed), gmailsim.SampleLabels...); err != nil {
		s.Close()
		return nil, fmt.Errorf("fill the simulated Gmail: %w", err)
	}
	return s, nil
}

func (a *app) demoBackup(ctx context.Context, dir string, acct *Account, password string) (err error) {
	w, err := openWriter(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	result := a.backupWith(ctx, w, acct, passwordCredential{acct.User, password}, backupOptions{})
	if result.err == nil && result.incomplete() {
		return fmt.Errorf("back up the simulated Gmail: %w", errIncomplete)
	}
	return result.err
}

func demoLogins() ([]ServeLogin, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(demoPassword), bcrypt.MinCost)
	if err != nil {
		return nil, fmt.Errorf("make the demo's login: %w", err)
	}
	return []ServeLogin{{User: demoUser, PasswordHash: string(hash)}}, nil
}

func (a *app) demoServe(ctx context.Context, r *archive.Reader) error {
	logins, err := demoLogins()
	if err != nil {
		return err
	}
	l := new(listeners)
	if l.imap, err = a.listenNear(defaultServe); err != nil {
		return err
	}
	if l.web, err = a.listenNear(defaultWeb); err != nil {
		return errors.Join(err, l.Close())
	}
	if a.json {
		printJSON(a.stdout, newServeLine(r.Dir(), l, logins))
	} else {
		fmt.Fprintf(a.stdout, "serving the archive over IMAP, read-only, at %s; Ctrl-C ends it\n\n", l.imap.Addr())
		printClientSettings(a.stdout, l, demoUser, demoPassword)
		fmt.Fprintf(a.stdout, "  (the address that Thunderbird asks for may be anything, for example %s)\n  other mail programs: %s\n", demoAccount, l.webURL())
	}
	return a.serveOn(ctx, r, l, &ServeConfig{Logins: logins})
}

// listenNear listens on addr, or on the next free port.
func (a *app) listenNear(addr string) (net.Listener, error) {
	host, first, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	port, err := strconv.Atoi(first)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	for next := port; ; next++ {
		ln, err := listen(net.JoinHostPort(host, strconv.Itoa(next)))
		if err == nil && next != port {
			a.say("port %d is taken, so this is port %d", port, next)
		}
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || next-port == portsToTry {
			return ln, err
		}
	}
}

// demoCheck serves the archive on any free port, reads it all back and compares.
func (a *app) demoCheck(ctx context.Context, r *archive.Reader, source *demoSource) error {
	logins, err := demoLogins()
	if err != nil {
		return err
	}
	ln, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	serveCtx, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- a.serveOn(serveCtx, r, &listeners{imap: ln}, &ServeConfig{Logins: logins}) }()
	started := time.Now()
	result, err := checkServed(ctx, ln.Addr().String(), demoUser, demoPassword, source.Snapshot())
	stop()
	err = errors.Join(err, <-served)
	if err != nil && ctx.Err() != nil {
		return context.Canceled // what else went wrong came of that
	}
	if err != nil {
		return fmt.Errorf("check the served archive: %w", err)
	}
	if a.json {
		printJSON(a.stdout, result)
	} else {
		fmt.Fprintf(a.stdout, "check: %s in %s read back over IMAP in %s: %s\n", count(int64(result.Copies), "message"), count(int64(result.Mailboxes), "mailbox"),
			time.Since(started).Round(time.Millisecond), result.verdict())
	}
	if n := len(result.Differences); n > 0 {
		for _, d := range result.Differences[:min(n, 20)] {
			fmt.Fprintln(a.stderr, printable(d))
		}
		return fmt.Errorf("the served archive differs from its source in %s", count(int64(n), "place"))
	}
	return nil
}
