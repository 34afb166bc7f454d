package backup_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func TestErrors(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, `\Inbox`))
	r.srv.SetCredentials("another")
	_, err := backup.Run(context.Background(), r.w, r.o)
	if !errors.Is(err, backup.ErrAuth) {
		t.Errorf("wrong password: %v", err)
	}
	r.srv.SetCredentials("password")
	r.run()
	r.must(r.srv.Close())
	start := time.Now()
	if _, err = backup.Run(context.Background(), r.w, r.o); !errors.Is(err, backup.ErrConnection) {
		t.Errorf("no server: %v", err)
	}
	if time.Since(start) > time.Second {
		t.Error("a server that is not there took long to notice")
	}
	// The same name for another kind of server.
	plain := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	if _, err = backup.Run(context.Background(), r.w, plain.o); !errors.Is(err, backup.ErrProtocol) {
		t.Errorf("no Gmail any more: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = backup.Run(ctx, plain.w, plain.o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Each kind of refusal has a sentence of its own, and says whether waiting, another password or a web browser helps.
func TestLoginRefusals(t *testing.T) {
	cases := map[string]struct {
		kind error
		says string
	}{
		"[AUTHENTICATIONFAILED] Invalid credentials (Failure)":                                                           {backup.ErrAuth, "check the user name and the password"},
		"[ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)":    {backup.ErrAuth, "takes an app password"},
		"[ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)":    {backup.ErrAuth, "with a web browser first"},
		"[WEBALERT https://accounts.google.com/signin/continue?x=y] Web login required. (Failure)":                       {backup.ErrAuth, "with a web browser first"},
		"[ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable it.":         {backup.ErrAuth, "IMAP is switched off"},
		"[ALERT] Too many simultaneous connections. (Failure)":                                                           {backup.ErrConnection, "too many programs"},
		"[LIMIT] Maximum number of connections from user+IP exceeded":                                                    {backup.ErrConnection, "too many programs"},
		"[UNAVAILABLE] Temporary System Problem (Failure)":                                                               {backup.ErrConnection, "does not want to serve this account now"},
		"[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)":                                            {backup.ErrQuota, "has downloaded enough for now"},
		"[ALERT] Account exceeded command or bandwidth limits. https://support.google.com/mail/answer/7126229 (Failure)": {backup.ErrQuota, "has downloaded enough for now"},
		"[EXPIRED] That password isn't any good any more":                                                                {backup.ErrAuth, "has expired"},
		"[CONTACTADMIN] Account locked":                                                                                  {backup.ErrAuth, "locked"},
	}
	for text, c := range cases {
		r := newRig(t, gmailsim.Options{})
		r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{No: text}, Times: -1})
		start := time.Now()
		_, err := backup.Run(context.Background(), r.w, r.o)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s:\n\t%v", text, err)
		}
		if time.Since(start) > 2*time.Second {
			t.Errorf("%s: it took %v to say so", text, time.Since(start))
		}
	}
}
