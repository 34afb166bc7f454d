package thunderbird

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Account is an IMAP account of the profile, reached without TLS.
type Account struct {
	Addr     string // host:port
	User     string // distinct among the accounts of a profile
	Password string
	Name     string // shown as the account's name
}

// quiet are preferences of a Thunderbird that looks nothing up, shows no tour and reports nothing.
var quiet = map[string]any{
	"app.donation.eoy.version.viewed":                             999,
	"app.normandy.enabled":                                        false,
	"app.update.auto":                                             false,
	"app.update.enabled":                                          false,
	"browser.safebrowsing.malware.enabled":                        false,
	"browser.sessionstore.resume_from_crash":                      false,
	"calendar.timezone.useSystemTimezone":                         true,
	"datareporting.healthreport.uploadEnabled":                    false,
	"datareporting.policy.dataSubmissionEnabled":                  false,
	"datareporting.policy.dataSubmissionPolicyBypassNotification": true,
	"extensions.getAddons.cache.enabled":                          false,
	"extensions.systemAddon.update.enabled":                       false,
	"extensions.update.enabled":                                   false,
	"mail.accounthub.enabled":                                     false,
	"mail.biff.play_sound":                                        false,
	"mail.biff.show_alert":                                        false,
	"mail.inappnotifications.enabled":                             false,
	"mail.inappnotifications.url":                                 "",
	"mail.provider.enabled":                                       false,
	"mail.rights.override":                                        true,
	"mail.server.default.login_at_startup":                        false,
	"mail.shell.checkDefaultClient":                               false,
	"mail.spotlight.firstRunDone":                                 true,
	"mail.winsearch.firstRunDone":                                 true,
	"mailnews.start_page.enabled":                                 false,
	"mailnews.start_page_override.mstone":                         "ignore",
	"network.captive-portal-service.enabled":                      false,
	"network.connectivity-service.enabled":                        false,
	"network.dns.disablePrefetch":                                 true,
	"network.manage-offline-status":                               false,
	"network.prefetch-next":                                       false,
	"services.settings.server":                                    "data:,#dummy/v1",
	"toolkit.startup.max_resumed_crashes":                         -1,
	"toolkit.telemetry.enabled":                                   false,
	"toolkit.telemetry.server":                                    "",
	"toolkit.telemetry.unified":                                   false,
	"ui.prefersReducedMotion":                                     1,

	// what speaks HTTP all the same runs into a closed port of this machine
	"network.proxy.type":      1,
	"network.proxy.http":      "127.0.0.1",
	"network.proxy.http_port": 9,
	"network.proxy.ssl":       "127.0.0.1",
	"network.proxy.ssl_port":  9,

	"marionette.port": 0, // any free one, written to a file in the profile
}

// writeProfile makes a profile with some accounts; the first is the default one.
func writeProfile(dir string, accounts []Account, more map[string]any) error {
	prefs := maps.Clone(quiet)
	list := []string{"account1"}
	prefs["mail.account.account1.server"] = "server1"
	prefs["mail.accountmanager.localfoldersserver"] = "server1"
	prefs["mail.accountmanager.defaultaccount"] = "account2"
	prefs["mail.account.lastKey"] = len(accounts) + 1
	set(prefs, "mail.server.server1.", map[string]any{
		"type": "none", "hostname": "Local Folders", "userName": "nobody", "name": "Local Folders", "directory-rel": "[ProfD]Mail/Local Folders",
	})
	for i, a := range accounts {
		n := strconv.Itoa(i + 2)
		host, port, err := net.SplitHostPort(a.Addr)
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		list = append(list, "account"+n)
		set(prefs, "mail.server.server"+n+".", map[string]any{
			"type": "imap", "hostname": host, "port": number, "userName": a.User, "name": a.Name,
			"socketType": 0, "authMethod": 3, // no TLS, normal password
			"login_at_startup": false, "check_new_mail": false, "directory-rel": "[ProfD]ImapMail/" + a.User,
		})
		set(prefs, "mail.identity.id"+n+".", map[string]any{"fullName": a.Name, "useremail": a.User + "@example.net", "valid": true})
		set(prefs, "mail.account.account"+n+".", map[string]any{"server": "server" + n, "identities": "id" + n})
	}
	prefs["mail.accountmanager.accounts"] = strings.Join(list, ",")
	maps.Copy(prefs, more)
	return writePrefs(filepath.Join(dir, "prefs.js"), prefs)
}

func set(prefs map[string]any, prefix string, values map[string]any) {
	for k, v := range values {
		prefs[prefix+k] = v
	}
}

func writePrefs(path string, prefs map[string]any) error {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(prefs)) {
		v, err := json.Marshal(prefs[k])
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "user_pref(%q, %s);\n", k, v)
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}
