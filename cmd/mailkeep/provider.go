package main

import (
	"strings"
	"unicode"
)

// provider is a mail service whose settings are known.
type provider struct {
	name    string
	host    string // host:port
	tls     string // "" means tlsImplicit
	advice  string // how to get the password that works over IMAP
	refusal string // why it cannot be backed up; "" when it can
	short   bool   // the login name is the part of the address before the @
}

const (
	adviceGmail = "Google wants an app password, not your own: switch on 2-step verification, then make one at https://myaccount.google.com/apppasswords"
	adviceGMX   = "Switch IMAP on in the settings of your mailbox on the web (E-mail, POP3 & IMAP); with 2-factor login make an application password there."
	adviceOwn   = "Use your mail password, or an app password if you log in with two factors."
)

const refusalOutlook = "Microsoft accepts OAuth only for this address, and mailkeep does not support that yet"

// providers are the known services; providerDomains says which address belongs to which.
var providers = map[string]provider{
	"gmail":    {name: "Gmail", host: "imap.gmail.com:993", advice: adviceGmail},
	"fastmail": {name: "Fastmail", host: "imap.fastmail.com:993", advice: "Fastmail wants an app password: Settings, Privacy & Security, Manage app passwords."},
	"icloud": {name: "iCloud", host: "imap.mail.me.com:993", short: true,
		advice: "Apple wants an app-specific password: https://account.apple.com, Sign-In and Security."},
	"yahoo":   {name: "Yahoo", host: "imap.mail.yahoo.com:993", advice: "Yahoo wants an app password: Account, Security, Generate app password."},
	"aol":     {name: "AOL", host: "imap.aol.com:993", advice: "AOL wants an app password: Account, Security, Generate app password."},
	"gmxnet":  {name: "GMX", host: "imap.gmx.net:993", advice: adviceGMX},
	"gmxcom":  {name: "GMX", host: "imap.gmx.com:993", advice: adviceGMX},
	"webde":   {name: "WEB.DE", host: "imap.web.de:993", advice: adviceGMX},
	"mailcom": {name: "mail.com", host: "imap.mail.com:993", advice: adviceGMX},
	"outlook": {name: "Outlook", host: "outlook.office365.com:993", refusal: refusalOutlook},
	"proton": {name: "Proton Mail", host: "127.0.0.1:1143", tls: tlsStart,
		advice: "Start Proton Mail Bridge on this machine and use the password that it shows, not your own; export its certificate in the Bridge's settings and name the file with --tls-ca."},
	"tuta":       {name: "Tuta", refusal: "Tuta offers no IMAP"},
	"posteo":     {name: "Posteo", host: "posteo.de:993", advice: adviceOwn},
	"mailboxorg": {name: "mailbox.org", host: "imap.mailbox.org:993", advice: adviceOwn},
	"zoho":       {name: "Zoho", host: "imap.zoho.com:993", advice: "Switch IMAP on in Zoho Mail's settings; with 2-factor login make an application-specific password."},
	"yandex":     {name: "Yandex", host: "imap.yandex.com:993", advice: "Yandex wants an app password: Yandex ID, Security, App passwords; and IMAP switched on in Mail's settings."},
	"mailru":     {name: "Mail.ru", host: "imap.mail.ru:993", advice: "Mail.ru wants a password for external applications: Settings, Security."},
	"tonline":    {name: "Telekom", host: "secureimap.t-online.de:993", advice: "Telekom wants the password for e-mail programs, which you set in the customer centre."},
	"seznam":     {name: "Seznam", host: "imap.seznam.cz:993", advice: adviceOwn},
	"orange":     {name: "Orange", host: "imap.orange.fr:993", advice: adviceOwn},
	"free":       {name: "Free", host: "imap.free.fr:993", advice: adviceOwn},
	"comcast":    {name: "Comcast", host: "imap.comcast.net:993", advice: "Allow third-party access in the security settings of Xfinity mail first."},
	"runbox":     {name: "Runbox", host: "mail.runbox.com:993", advice: adviceOwn},
	"migadu":     {name: "Migadu", host: "imap.migadu.com:993", advice: adviceOwn},
	"qq":         {name: "QQ Mail", host: "imap.qq.com:993", advice: "QQ wants an authorization code: Settings, Account, switch IMAP on."},
}

// providerDomains maps the domains of addresses to services. A name that ends in a dot stands for it under any country's domain.
var providerDomains = map[string]string{
	"gmail.com": "gmail", "googlemail.com": "gmail",
	"fastmail.com": "fastmail", "fastmail.fm": "fastmail", "sent.com": "fastmail",
	"icloud.com": "icloud", "me.com": "icloud", "mac.com": "icloud",
	"yahoo.": "yahoo", "ymail.com": "yahoo", "rocketmail.com": "yahoo", "aol.": "aol",
	"gmx.net": "gmxnet", "gmx.de": "gmxnet", "gmx.at": "gmxnet", "gmx.ch": "gmxnet", "gmx.": "gmxcom", "web.de": "webde", "mail.com": "mailcom",
	"outlook.": "outlook", "hotmail.": "outlook", "live.": "outlook", "msn.com": "outlook",
	"proton.me": "proton", "protonmail.com": "proton", "protonmail.ch": "proton", "pm.me": "proton",
	"tuta.com": "tuta", "tutanota.com": "tuta", "tutanota.de": "tuta", "tutamail.com": "tuta", "tuta.io": "tuta", "keemail.me": "tuta",
	"posteo.": "posteo", "mailbox.org": "mailboxorg", "zoho.com": "zoho", "zohomail.com": "zoho",
	"yandex.": "yandex", "ya.ru": "yandex", "mail.ru": "mailru", "bk.ru": "mailru", "inbox.ru": "mailru", "list.ru": "mailru",
	"t-online.de": "tonline", "magenta.de": "tonline", "seznam.cz": "seznam", "email.cz": "seznam", "orange.fr": "orange", "wanadoo.fr": "orange", "free.fr": "free",
	"comcast.net": "comcast", "runbox.com": "runbox", "migadu.com": "migadu", "qq.com": "qq", "foxmail.com": "qq",
}

// findProvider returns the service of an address, if it is known.
func findProvider(address string) (provider, bool) {
	domain := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	id, ok := providerDomains[domain]
	if name, country, _ := strings.Cut(domain, "."); !ok && isCountry(country) {
		id, ok = providerDomains[name+"."]
	}
	return providers[id], ok
}

// isCountry tells whether the rest of a domain is like "de", "co.uk" or "com.br".
func isCountry(rest string) bool {
	second, top, two := strings.Cut(rest, ".")
	if !two {
		return rest != ""
	}
	return (second == "co" || second == "com" || second == "ne") && !strings.Contains(top, ".")
}

// user returns the login name that belongs to an address.
func (p provider) user(address string) string {
	if local, _, ok := strings.Cut(address, "@"); ok && p.short {
		return local
	}
	return address
}

// isBlankOrControl tells whether a character has no place in an address.
func isBlankOrControl(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// checkAddress tells what is wrong with a typed address; it need not be deliverable, only a login name with a domain.
func checkAddress(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || strings.ContainsFunc(s, isBlankOrControl) || strings.Contains(domain, "@") {
		return usagef("%q is not an e-mail address; it looks like me@example.org", s)
	}
	return nil
}
