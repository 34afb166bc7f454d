package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"mailkeep/oauth"
)

// browserPatience is how long a user may take to log in with the browser.
const browserPatience = 15 * time.Minute

// loginByBrowser logs in with the browser and stores the refresh token.
func (a *app) loginByBrowser(ctx context.Context, config string, acct *Account, noBrowser bool) error {
	if acct.OAuth.TokenCommand != "" {
		return usagef("account %q gets its tokens from token_command; log in there, or take that line out of %s", acct.Name, config)
	}
	var place string
	err := a.browse(ctx, acct, noBrowser, func(refresh string) (err error) {
		place, err = tokens.keep(config, acct.Name, refresh, acct.OAuth.TokenFile)
		return err
	})
	if err != nil {
		return err
	}
	a.printLogin(acct, tokens, place)
	return nil
}

// browse lets the user agree in a browser, tries the token at the mail server and hands the refresh token to keep. The browser shows how all of this went.
func (a *app) browse(ctx context.Context, acct *Account, noBrowser bool, keep func(refresh string) error) error {
	l, err := acct.OAuth.Client.NewLogin(acct.User)
	if err != nil {
		return err
	}
	defer l.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, browserPatience, fmt.Errorf("no login came from the browser within %v; run the command again", browserPatience))
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	a.showLogin(l, acct, noBrowser)
	if noBrowser || a.isTerminal() {
		go a.paste(ctx, l, fail)
	}
	_, err = l.Wait(ctx, func(g oauth.Grant) error {
		a.say("testing the login at %s", acct.Host)
		only := &tokenCredential{acct: acct, get: func(context.Context) (oauth.Token, error) { return oauth.Token{Value: g.Access, Expiry: g.Expiry}, nil }}
		if err := a.testLogin(ctx, acct, only); err != nil {
			return err
		}
		return keep(g.Refresh)
	})
	if err != nil {
		return fmt.Errorf("account %q: %w", acct.Name, err)
	}
	return nil
}

// showLogin opens the page, or has the user do it. It is said even with --quiet: nothing can go on without it.
func (a *app) showLogin(l *oauth.Login, acct *Account, noBrowser bool) {
	user := printable(acct.User)
	if !noBrowser && openBrowser(l.URL()) == nil {
		fmt.Fprintf(a.stderr, "log in as %s in the browser that opens now; if none does, open this address:\n\n%s\n\n", user, l.URL())
	} else {
		fmt.Fprintf(a.stderr, "open this address in a browser and log in as %s:\n\n%s\n\n", user, l.URL())
	}
	if noBrowser || a.isTerminal() {
		fmt.Fprintln(a.stderr, "a browser on another machine ends at a page that it cannot show; copy that page's address from the address bar and paste it here")
	}
}

// paste takes addresses from the standard input until one belongs to the login. It may outlast the login, waiting for input: no question comes after that.
func (a *app) paste(ctx context.Context, l *oauth.Login, fail context.CancelCauseFunc) {
	for {
		line, err := a.await(ctx, question{title: "Address"}, a.readLine)
		if err != nil {
			return // the browser may come by itself
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		err = l.Paste(line)
		switch {
		case err == nil:
			return
		case !a.isTerminal():
			fail(usagef("%w", err))
			return
		}
		fmt.Fprintf(a.stderr, "mailkeep: %s\n", printable(err.Error()))
	}
}

// errNoBrowser says that no browser can be opened here.
var errNoBrowser = errors.New("there is no browser on this machine")

// openBrowser shows a page in the user's browser, without waiting for it.
func openBrowser(page string) error {
	command, err := browserCommand(page)
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open the browser: %w", err)
	}
	go cmd.Wait() // only so that the system can forget it
	return nil
}

// browserCommand is the first of $BROWSER, in which %s stands for the page, else what the system has for that.
func browserCommand(page string) ([]string, error) {
	first, _, _ := strings.Cut(os.Getenv("BROWSER"), string(os.PathListSeparator))
	if words := strings.Fields(first); len(words) > 0 {
		named := false
		for i, w := range words {
			if strings.Contains(w, "%s") {
				words[i], named = strings.ReplaceAll(w, "%s", page), true
			}
		}
		if !named {
			words = append(words, page)
		}
		return words, nil
	}
	switch runtime.GOOS {
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler", page}, nil
	case "darwin":
		return []string{"open", page}, nil
	}
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return nil, errNoBrowser
	}
	return []string{"xdg-open", page}, nil
}
