package dovecot

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// owner is the system user that Dovecot's mail processes run as.
type owner struct {
	uid, gid        int
	name, group     string
	internal, login string // users of Dovecot's own processes
	root            bool   // the caller is root
}

// findOwner chooses the users: the caller everywhere, or, as Dovecot refuses to read mail as root, "mail" or "nobody".
func findOwner() (owner, error) {
	if os.Getuid() != 0 {
		return currentOwner()
	}
	for _, name := range []string{"mail", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		o, err := ownerOf(u)
		o.root, o.internal, o.login = true, "dovecot", "dovenull"
		return o, err
	}
	return owner{}, fmt.Errorf("no system user %q or %q that could own the mail", "mail", "nobody")
}

func currentOwner() (owner, error) {
	u, err := user.Current()
	if err != nil {
		return owner{}, err
	}
	o, err := ownerOf(u)
	o.internal, o.login = u.Username, u.Username
	return o, err
}

func ownerOf(u *user.User) (owner, error) {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return owner{}, fmt.Errorf("user id %q is not a number", u.Uid)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return owner{}, fmt.Errorf("group id %q is not a number", u.Gid)
	}
	group := u.Gid
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		group = g.Name
	}
	return owner{uid: uid, gid: gid, name: u.Username, group: group}, nil
}

// give hands a file or folder made by root to the mail user.
func (o owner) give(path string) error {
	if !o.root {
		return nil
	}
	return os.Lchown(path, o.uid, o.gid)
}

func is24(version string) bool {
	return !strings.HasPrefix(version, "2.3.") && !strings.HasPrefix(version, "2.2.")
}

// users is the passwd-file: name:password:uid:gid:gecos:home:shell:fields.
func (s *Server) users(version string) string {
	var b strings.Builder
	for _, u := range s.opt.Users {
		root := s.MailRoot(u.Name)
		mail := fmt.Sprintf("userdb_mail=%s:%s/mail", u.Storage, root)
		if is24(version) {
			mail = fmt.Sprintf("userdb_mail_driver=%s userdb_mail_path=%s/mail", u.Storage, root)
		}
		fmt.Fprintf(&b, "%s:{PLAIN}%s:%d:%d::%s::%s\n", u.Name, u.Password, s.owner.uid, s.owner.gid, root, mail)
	}
	return b.String()
}

func (s *Server) config(version string) string {
	var b strings.Builder
	if is24(version) {
		b.WriteString(s.config24())
	} else {
		b.WriteString(s.config23())
	}
	fsync := "optimized"
	if s.opt.NoFsync {
		fsync = "never"
	}
	mechanisms := strings.Join(append([]string{"plain", "login"}, s.opt.Mechanisms...), " ")
	fmt.Fprintf(&b, `
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
listen = 127.0.0.1
auth_mechanisms = %[11]s
first_valid_uid = 1
mail_uid = %[2]d
mail_gid = %[3]d
mail_fsync = %[4]s
mail_max_userip_connections = 5000
imap_hibernate_timeout = %[9]ds
default_internal_user = %[5]s
default_login_user = %[6]s
namespace inbox {
  inbox = yes
  separator = %[7]s
}
service imap {
  process_limit = 1200
%[10]s}
service anvil {
  client_limit = 8000
}
service auth {
  client_limit = 8000
}
service imap-login {
%[8]s}
`, s.dir, s.owner.uid, s.owner.gid, fsync, s.owner.internal, s.owner.login, s.opt.Separator, s.listeners(),
		int(s.opt.Hibernate.Seconds()), s.hibernation(), mechanisms)
	if s.opt.Compress && !is24(version) { // later versions offer it always
		b.WriteString("mail_plugins = zlib\nprotocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n")
	}
	if !s.owner.root {
		b.WriteString(s.unprivileged())
	}
	return b.String()
}

// listeners is Dovecot's "high performance" login service: one process serves many logins.
func (s *Server) listeners() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	tlsPort := "0"
	if s.TLSAddr != "" {
		_, tlsPort, _ = net.SplitHostPort(s.TLSAddr)
	}
	return fmt.Sprintf(`  service_count = 0
  client_limit = 4000
  process_min_avail = 1
  inet_listener imap {
    port = %s
  }
  inet_listener imaps {
    port = %s
    ssl = yes
  }
`, port, tlsPort)
}

// hibernation is what lets connections pass between imap and imap-hibernate; it goes into "service imap".
func (s *Server) hibernation() string {
	if s.opt.Hibernate == 0 {
		return ""
	}
	group := ""
	if s.owner.root {
		group = fmt.Sprintf("  extra_groups = %s\n", s.owner.internal)
	}
	return fmt.Sprintf(`%s  unix_listener imap-master {
    user = %s
  }
}
service imap-hibernate {
  unix_listener imap-hibernate {
    user = %s
  }
`, group, s.owner.internal, s.owner.name)
}

// unprivileged takes away what only root can do: changing user, group and root folder.
func (s *Server) unprivileged() string {
	var b strings.Builder
	fmt.Fprintf(&b, "default_internal_group = %s\n", s.owner.group)
	for _, service := range []string{"anvil", "imap-login", "stats"} {
		fmt.Fprintf(&b, "service %s {\n  chroot =\n}\n", service)
	}
	return b.String()
}

func (s *Server) config23() string {
	tls := "ssl = no\n"
	if s.opt.TLS {
		tls = fmt.Sprintf("ssl = yes\nssl_cert = <%[1]s/cert.pem\nssl_key = <%[1]s/key.pem\n", s.dir)
	}
	oauth := ""
	if s.opt.UserInfo != "" {
		oauth = fmt.Sprintf("passdb {\n  driver = oauth2\n  mechanisms = %s\n  args = %s/oauth2.conf\n}\n", strings.Join(s.opt.Mechanisms, " "), s.dir)
	}
	return fmt.Sprintf(`protocols = imap
disable_plaintext_auth = no
%[2]s%[3]spassdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
`, s.dir, tls, oauth)
}

// oauth23 is the configuration of the database of access tokens.
func (s *Server) oauth23() string {
	return fmt.Sprintf("introspection_mode = auth\nintrospection_url = %s\nforce_introspection = yes\nusername_attribute = email\nuse_grant_password = no\n", s.opt.UserInfo)
}

func (s *Server) config24() string {
	tls := "ssl = no\n"
	if s.opt.TLS {
		tls = fmt.Sprintf("ssl = yes\nssl_server_cert_file = %[1]s/cert.pem\nssl_server_key_file = %[1]s/key.pem\n", s.dir)
	}
	if s.opt.UserInfo != "" {
		tls += fmt.Sprintf("oauth2 {\n  introspection_mode = auth\n  introspection_url = %s\n  force_introspection = yes\n  username_attribute = email\n}\n", s.opt.UserInfo)
	}
	return fmt.Sprintf(`dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols {
  imap = yes
}
auth_allow_cleartext = yes
auth_username_format = %%{user}
%[2]spassdb passwd-file {
  passwd_file_path = %[1]s/users
}
userdb passwd-file {
  passwd_file_path = %[1]s/users
}
`, s.dir, tls)
}
