package discover

import "strings"

// service is a mail service whose settings are known.
type service struct {
	name    string
	host    string // host:port
	tls     string // "" means Implicit
	advice  string // how to get the password that works over IMAP
	refusal string // why it cannot be backed up; "" when it can
	short   bool   // the login name is the part of the address before the @
	oauth   oauthUse
}

// oauthUse says what OAuth is to a service.
type oauthUse int

const (
	noOAuth    oauthUse = iota
	alsoOAuth           // beside app passwords
	oauthAlone          // passwords are not taken
)

const (
	adviceGmail = "Google wants an app password, not your own: switch on 2-step verification, then make one at https://myaccount.google.com/apppasswords" +
		" (where that is not allowed: setup --auth oauth2)"
	adviceWorkspace = "Google wants an app password: switch on 2-step verification, then make one at https://myaccount.google.com/apppasswords." +
		" Your company may forbid these; then log in with the browser: setup --auth oauth2"
	adviceMicrosoft = "Microsoft takes no passwords from mail programs, so you log in with the browser."
	adviceGMX       = "Switch IMAP on in the settings of your mailbox on the web (E-mail, POP3 & IMAP); with 2-factor login make an application password there."
	adviceOwn       = "Use your mail password, or an app password if you log in with two factors."

	refusalTuta = "Tuta offers no IMAP"
	refusalHey  = "HEY offers no IMAP"
)

// services are the known services; domains, exchangers and their hosts say which address belongs to which.
var services = map[string]service{
	"gmail":     {name: "Gmail", host: "imap.gmail.com:993", advice: adviceGmail, oauth: alsoOAuth},
	"workspace": {name: "Google Workspace", host: "imap.gmail.com:993", advice: adviceWorkspace, oauth: alsoOAuth},
	"outlook":   {name: "Outlook", host: "outlook.office365.com:993", advice: adviceMicrosoft, oauth: oauthAlone},
	"m365":      {name: "Microsoft 365", host: "outlook.office365.com:993", advice: adviceMicrosoft, oauth: oauthAlone},
	"fastmail": {name: "Fastmail", host: "imap.fastmail.com:993",
		advice: "Fastmail wants an app password: https://app.fastmail.com/settings/security/apps"},
	"icloud": {name: "iCloud", host: "imap.mail.me.com:993", short: true,
		advice: "Apple wants an app-specific password: https://account.apple.com, Sign-In and Security."},
	"icloudcustom": {name: "iCloud", host: "imap.mail.me.com:993",
		advice: "Apple wants an app-specific password: https://account.apple.com, Sign-In and Security. The login name is that of your iCloud address: setup --user NAME"},
	"yahoo":   {name: "Yahoo", host: "imap.mail.yahoo.com:993", advice: "Yahoo wants an app password: https://login.yahoo.com/account/security, Generate app password."},
	"aol":     {name: "AOL", host: "imap.aol.com:993", advice: "AOL wants an app password: https://login.aol.com/account/security, Generate app password."},
	"gmxnet":  {name: "GMX", host: "imap.gmx.net:993", advice: adviceGMX},
	"gmxcom":  {name: "GMX", host: "imap.gmx.com:993", advice: adviceGMX},
	"webde":   {name: "WEB.DE", host: "imap.web.de:993", advice: adviceGMX},
	"mailcom": {name: "mail.com", host: "imap.mail.com:993", advice: adviceGMX},
	"proton": {name: "Proton Mail", host: "127.0.0.1:1143", tls: StartTLS,
		advice: "Start Proton Mail Bridge (https://proton.me/mail/bridge) on this machine and use the password that it shows, not your own; export its certificate in the Bridge's settings and name the file with --tls-ca."},
	"tuta":       {name: "Tuta", refusal: refusalTuta},
	"hey":        {name: "HEY", refusal: refusalHey},
	"posteo":     {name: "Posteo", host: "posteo.de:993", advice: adviceOwn},
	"mailboxorg": {name: "mailbox.org", host: "imap.mailbox.org:993", advice: adviceOwn},
	"zoho":       {name: "Zoho", host: "imap.zoho.com:993", advice: "Switch IMAP on in Zoho Mail's settings; with 2-factor login make an application-specific password at https://accounts.zoho.com, Security."},
	"zohopro":    {name: "Zoho", host: "imappro.zoho.com:993", advice: "Switch IMAP on in Zoho Mail's settings; with 2-factor login make an application-specific password at https://accounts.zoho.com, Security."},
	"zohoeu":     {name: "Zoho", host: "imappro.zoho.eu:993", advice: "Switch IMAP on in Zoho Mail's settings; with 2-factor login make an application-specific password at https://accounts.zoho.eu, Security."},
	"yandex":     {name: "Yandex", host: "imap.yandex.com:993", advice: "Yandex wants an app password: https://id.yandex.com/security, App passwords; and IMAP switched on in Mail's settings."},
	"mailru":     {name: "Mail.ru", host: "imap.mail.ru:993", advice: "Mail.ru wants a password for external applications: https://account.mail.ru/user/2-step-auth/passwords"},
	"tonline":    {name: "Telekom", host: "secureimap.t-online.de:993", advice: "Telekom wants the password for e-mail programs, which you set in the customer centre."},
	"freenet":    {name: "freenet", host: "mx.freenet.de:993", advice: adviceOwn},
	"seznam":     {name: "Seznam", host: "imap.seznam.cz:993", advice: adviceOwn},
	"orange":     {name: "Orange", host: "imap.orange.fr:993", advice: adviceOwn},
	"free":       {name: "Free", host: "imap.free.fr:993", advice: adviceOwn},
	"sfr":        {name: "SFR", host: "imap.sfr.fr:993", advice: adviceOwn},
	"laposte":    {name: "La Poste", host: "imap.laposte.net:993", advice: adviceOwn},
	"libero":     {name: "Libero", host: "imapmail.libero.it:993", advice: "Libero wants a password for mail programs when 2-step verification is on."},
	"wp":         {name: "WP", host: "imap.wp.pl:993", advice: "Switch IMAP on in the settings of your mailbox on the web."},
	"bluewin":    {name: "Bluewin", host: "imaps.bluewin.ch:993", advice: adviceOwn},
	"comcast":    {name: "Comcast", host: "imap.comcast.net:993", advice: "Allow third-party access in the security settings of Xfinity mail first."},
	"att":        {name: "AT&T", host: "imap.mail.att.net:993", advice: "AT&T wants a secure mail key, which you make in your profile on its web site."},
	"runbox":     {name: "Runbox", host: "mail.runbox.com:993", advice: adviceOwn},
	"migadu":     {name: "Migadu", host: "imap.migadu.com:993", advice: adviceOwn},
	"mailfence":  {name: "Mailfence", host: "imap.mailfence.com:993", advice: adviceOwn},
	"disroot":    {name: "Disroot", host: "disroot.org:993", short: true, advice: adviceOwn},
	"riseup":     {name: "Riseup", host: "mail.riseup.net:993", short: true, advice: adviceOwn},
	"hushmail":   {name: "Hushmail", host: "imap.hushmail.com:993", advice: adviceOwn},
	"ukrnet":     {name: "ukr.net", host: "imap.ukr.net:993", advice: "ukr.net wants a password for external programs: Settings, IMAP access."},
	"naver":      {name: "Naver", host: "imap.naver.com:993", short: true, advice: "Switch IMAP on in Naver Mail's settings; with 2-step verification make an application password."},
	"qq":         {name: "QQ Mail", host: "imap.qq.com:993", advice: "QQ wants an authorization code: Settings, Account, switch IMAP on."},
	"exmail":     {name: "Tencent Exmail", host: "imap.exmail.qq.com:993", advice: "With secure login on, make a client password in Exmail's settings."},
	"netease":    {name: "NetEase 163", host: "imap.163.com:993", advice: "NetEase wants an authorization code: Settings, POP3/SMTP/IMAP."},
	"netease126": {name: "NetEase 126", host: "imap.126.com:993", advice: "NetEase wants an authorization code: Settings, POP3/SMTP/IMAP."},

	// for other domains only
	"gandi":      {name: "Gandi", host: "mail.gandi.net:993", advice: adviceOwn},
	"ionosde":    {name: "IONOS", host: "imap.ionos.de:993", advice: adviceOwn},
	"ionos":      {name: "IONOS", host: "imap.ionos.com:993", advice: adviceOwn},
	"strato":     {name: "STRATO", host: "imap.strato.de:993", advice: adviceOwn},
	"infomaniak": {name: "Infomaniak", host: "mail.infomaniak.com:993", advice: "Infomaniak wants the password of the mail address, or one that you make for a device."},
	"rackspace":  {name: "Rackspace", host: "secure.emailsrvr.com:993", advice: adviceOwn},
	"private":    {name: "Namecheap Private Email", host: "mail.privateemail.com:993", advice: adviceOwn},
	"hostinger":  {name: "Hostinger", host: "imap.hostinger.com:993", advice: adviceOwn},
	"godaddy":    {name: "GoDaddy", host: "imap.secureserver.net:993", advice: adviceOwn},
}

// domains maps the domains of addresses to services. A name that ends in a dot stands for it under any country's domain.
var domains = map[string]string{
	"gmail.com": "gmail", "googlemail.com": "gmail",
	"outlook.": "outlook", "hotmail.": "outlook", "live.": "outlook", "msn.com": "outlook", "passport.com": "outlook", "windowslive.com": "outlook",
	"fastmail.com": "fastmail", "fastmail.fm": "fastmail", "sent.com": "fastmail", "messagingengine.com": "fastmail",
	"icloud.com": "icloud", "me.com": "icloud", "mac.com": "icloud",
	"yahoo.": "yahoo", "ymail.com": "yahoo", "rocketmail.com": "yahoo", "myyahoo.com": "yahoo", "aol.": "aol", "aim.com": "aol", "verizon.net": "aol",
	"gmx.net": "gmxnet", "gmx.de": "gmxnet", "gmx.at": "gmxnet", "gmx.ch": "gmxnet", "gmx.": "gmxcom", "web.de": "webde", "email.de": "webde", "mail.com": "mailcom",
	"proton.me": "proton", "protonmail.com": "proton", "protonmail.ch": "proton", "pm.me": "proton",
	"tuta.com": "tuta", "tutanota.com": "tuta", "tutanota.de": "tuta", "tutamail.com": "tuta", "tuta.io": "tuta", "keemail.me": "tuta", "hey.com": "hey",
	"posteo.": "posteo", "mailbox.org": "mailboxorg", "zoho.com": "zoho", "zohomail.com": "zoho",
	"yandex.": "yandex", "ya.ru": "yandex", "mail.ru": "mailru", "bk.ru": "mailru", "inbox.ru": "mailru", "list.ru": "mailru", "internet.ru": "mailru",
	"t-online.de": "tonline", "magenta.de": "tonline", "freenet.de": "freenet", "seznam.cz": "seznam", "email.cz": "seznam", "post.cz": "seznam",
	"orange.fr": "orange", "wanadoo.fr": "orange", "free.fr": "free", "sfr.fr": "sfr", "neuf.fr": "sfr", "laposte.net": "laposte", "libero.it": "libero",
	"wp.pl": "wp", "bluewin.ch": "bluewin", "comcast.net": "comcast", "att.net": "att", "sbcglobal.net": "att", "bellsouth.net": "att",
	"runbox.com": "runbox", "migadu.com": "migadu", "mailfence.com": "mailfence", "disroot.org": "disroot", "riseup.net": "riseup", "hushmail.com": "hushmail",
	"ukr.net": "ukrnet", "naver.com": "naver", "qq.com": "qq", "foxmail.com": "qq", "163.com": "netease", "126.com": "netease126",
}

// exchangers maps the domains in which mail exchangers lie to the service that runs them for other domains.
var exchangers = map[string]string{
	"google.com": "workspace", "googlemail.com": "workspace", "psmtp.com": "workspace",
	"mail.protection.outlook.com": "m365", "mx.microsoft": "m365", "olc.protection.outlook.com": "outlook",
	"messagingengine.com": "fastmail", "mail.icloud.com": "icloudcustom", "yahoodns.net": "yahoo", "protonmail.ch": "proton", "tutanota.de": "tuta",
	"hey.com": "hey", "mailbox.org": "mailboxorg", "zoho.com": "zohopro", "zoho.eu": "zohoeu", "yandex.net": "yandex", "yandex.ru": "yandex", "mail.ru": "mailru",
	"migadu.com": "migadu", "runbox.com": "runbox", "mailfence.com": "mailfence", "mxbiz1.qq.com": "exmail", "mxbiz2.qq.com": "exmail",
	"mail.gandi.net": "gandi", "kundenserver.de": "ionosde", "ionos.de": "ionosde", "ionos.com": "ionos", "perfora.net": "ionos", "rzone.de": "strato",
	"infomaniak.ch": "infomaniak", "emailsrvr.com": "rackspace", "privateemail.com": "private", "hostinger.com": "hostinger", "secureserver.net": "godaddy",
}

// byDomain returns the service of an address's domain, if it is known.
func byDomain(domain string) (service, bool) {
	id, ok := domains[domain]
	if name, country, _ := strings.Cut(domain, "."); !ok && isCountry(country) {
		id, ok = domains[name+"."]
	}
	return services[id], ok
}

// isCountry tells whether the rest of a domain is like "de", "co.uk" or "com.br".
func isCountry(rest string) bool {
	second, top, two := strings.Cut(rest, ".")
	if !two {
		return rest != ""
	}
	return (second == "co" || second == "com" || second == "ne") && !strings.Contains(top, ".")
}

// byExchanger returns the service that a mail exchanger belongs to.
func byExchanger(host string) (service, bool) {
	for at := host; at != ""; {
		if id, ok := exchangers[at]; ok {
			return services[id], true
		}
		_, at, _ = strings.Cut(at, ".")
	}
	return service{}, false
}

// byHost returns the service of an IMAP server, when that alone tells how one logs in there: what others publish about these is often out of date.
func byHost(host string) (service, bool) {
	switch strings.ToLower(host) {
	case "imap.gmail.com", "imap.googlemail.com":
		return services["workspace"], true
	case "outlook.office365.com", "outlook.office.com", "imap-mail.outlook.com":
		return services["m365"], true
	}
	return service{}, false
}

// server makes the settings for one address.
func (s service) server(local, address, source string) Server {
	if s.refusal != "" {
		return Server{Name: s.name, Refusal: s.refusal, Source: source}
	}
	out := Server{Name: s.name, Host: s.host, TLS: s.tls, User: address, Advice: s.advice, Source: source,
		Access: Access{OAuth: s.oauth != noOAuth, Password: s.oauth != oauthAlone}}
	if out.TLS == "" {
		out.TLS = Implicit
	}
	if s.short {
		out.User = local
	}
	return out
}
