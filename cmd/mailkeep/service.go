package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
)

// service is the file with which a system starts "mailkeep run" by itself when its user logs in.
type service struct {
	path    string   // of the file
	text    string   // its content
	enable  []string // commands that switch it on
	disable []string
}

// setupService writes the service's file for the configuration that is in use.
func (a *app) setupService(args []string) error {
	if len(args) > 0 {
		return usagef("--service takes no address; it starts the backup of all accounts")
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	if _, err := c.pick(nil); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	if strings.HasPrefix(program, os.TempDir()+string(filepath.Separator)) && strings.Contains(program, "go-build") {
		return usagef("this program is a temporary file of \"go run\"; build it first: go build ./cmd/mailkeep")
	}
	config, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	s, err := makeService(runtime.GOOS, program, config)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return fmt.Errorf("write the service: %w", err)
	}
	if err := writeFileAtomic(s.path, []byte(s.text)); err != nil {
		return fmt.Errorf("write the service: %w", err)
	}
	return a.printService(s)
}

// serviceLine is the output of setup --service --json.
type serviceLine struct {
	File    string   `json:"file"`
	Enable  []string `json:"enable"`
	Disable []string `json:"disable"`
}

func (a *app) printService(s service) error {
	if a.json {
		printJSON(a.stdout, serviceLine{s.path, s.enable, s.disable})
		return nil
	}
	fmt.Fprintf(a.stdout, "the service is in %s\nswitch it on:\n", s.path)
	for _, line := range s.enable {
		fmt.Fprintf(a.stdout, "  %s\n", line)
	}
	fmt.Fprintln(a.stdout, "switch it off:")
	for _, line := range s.disable {
		fmt.Fprintf(a.stdout, "  %s\n", line)
	}
	return nil
}

func makeService(system, program, config string) (service, error) {
	switch system {
	case "windows":
		dir, err := os.UserConfigDir()
		if err != nil {
			return service{}, err
		}
		path := filepath.Join(dir, "mailkeep", "mailkeep-task.xml")
		me, err := user.Current()
		if err != nil {
			return service{}, fmt.Errorf("find out who the user is: %w", err)
		}
		return service{path, taskText(program, config, me.Uid),
			[]string{`schtasks /Create /TN mailkeep /XML "` + path + `"`, `schtasks /Run /TN mailkeep`}, []string{`schtasks /End /TN mailkeep`, `schtasks /Delete /TN mailkeep`}}, nil
	case "darwin":
		home, err := os.UserHomeDir()
		path := filepath.Join(home, "Library", "LaunchAgents", launchdLabel+".plist")
		return service{path, launchdText(program, config, filepath.Join(home, "Library", "Logs", "mailkeep.log")),
			[]string{"launchctl bootstrap gui/$(id -u) " + shellQuote(path)}, []string{"launchctl bootout gui/$(id -u)/" + launchdLabel}}, err
	}
	dir, err := os.UserConfigDir()
	return service{filepath.Join(dir, "systemd", "user", "mailkeep.service"), systemdText(program, config),
		[]string{"systemctl --user daemon-reload", "systemctl --user enable --now mailkeep", "loginctl enable-linger    # also while you are not logged in"},
		[]string{"systemctl --user disable --now mailkeep"}}, err
}

// systemdText is a unit of the user's systemd. The exit codes of a wrong configuration and of a damaged archive are not cured by starting again.
func systemdText(program, config string) string {
	return fmt.Sprintf(`[Unit]
Description=mailkeep: back up mail and serve the archive
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=%s run --config %s
WorkingDirectory=%s
Restart=on-failure
RestartSec=60
RestartPreventExitStatus=%d %d
NoNewPrivileges=yes
Nice=5

[Install]
WantedBy=default.target
`, systemdQuote(program), systemdQuote(config), systemdPath(filepath.Dir(config)), exitUsage, exitDamage)
}

// systemdQuote quotes an argument for ExecStart, where % and $ have meanings of their own.
func systemdQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`).Replace(s) + `"`
}

// systemdPath escapes a path that is not split into words.
func systemdPath(s string) string { return strings.ReplaceAll(s, "%", "%%") }

const launchdLabel = "org.mailkeep.run"

func launchdText(program, config, log string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key><string>%s</string>
	<key>ProgramArguments</key>
	<array>
		<string>%s</string>
		<string>run</string>
		<string>--config</string>
		<string>%s</string>
	</array>
	<key>WorkingDirectory</key><string>%s</string>
	<key>RunAtLoad</key><true/>
	<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
	<key>ThrottleInterval</key><integer>60</integer>
	<key>ProcessType</key><string>Background</string>
	<key>StandardOutPath</key><string>%s</string>
	<key>StandardErrorPath</key><string>%[5]s</string>
</dict>
</plist>
`, launchdLabel, xmlText(program), xmlText(config), xmlText(filepath.Dir(config)), xmlText(log))
}

// taskText is a task of Windows' scheduler: started at logon and, should it have ended, every hour; never two at once, and without a time limit.
// The user, a SID, stands in it because a trigger without one means the logon of anybody, which only administrators may ask for.
func taskText(program, config, userID string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>mailkeep: back up mail and serve the archive</Description></RegistrationInfo>
  <Triggers>
    <LogonTrigger><Enabled>true</Enabled><Repetition><Interval>PT1H</Interval></Repetition><UserId>%[4]s</UserId></LogonTrigger>
  </Triggers>
  <Principals><Principal id="Author"><UserId>%[4]s</UserId><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel></Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>10</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%[1]s</Command>
      <Arguments>run --quiet --config %[2]s</Arguments>
      <WorkingDirectory>%[3]s</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
`, xmlText(program), xmlText(`"`+config+`"`), xmlText(filepath.Dir(config)), xmlText(userID))
}

func xmlText(s string) string {
	var b strings.Builder
	// A strings.Builder takes everything.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
