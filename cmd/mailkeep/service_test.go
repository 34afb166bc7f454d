package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	oddProgram = `/opt/my "tools"/100%/mail$keep & <co>`
	oddConfig  = `/home/me/a b/mail'keep.toml`
)

func TestSystemdService(t *testing.T) {
	text := systemdText(oddProgram, oddConfig)
	for _, want := range []string{
		`ExecStart="/opt/my \"tools\"/100%%/mail$$keep & <co>" run --config "/home/me/a b/mail'keep.toml"`, "WorkingDirectory=/home/me/a b\n",
		"RestartPreventExitStatus=2 5\n", "WantedBy=default.target\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// words are the texts in an XML document.
func words(t *testing.T, text string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	var all []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if data, ok := token.(xml.CharData); ok && strings.TrimSpace(string(data)) != "" {
			all = append(all, string(data))
		}
	}
}

func TestLaunchdService(t *testing.T) {
	text := launchdText(oddProgram, oddConfig, "/Users/me/Library/Logs/mailkeep.log")
	all := words(t, text)
	i := slices.Index(all, oddProgram)
	if i < 0 || !slices.Equal(all[i:i+4], []string{oddProgram, "run", "--config", oddConfig}) || !slices.Contains(all, "/home/me/a b") {
		t.Errorf("%q", all)
	}
	if plutil, err := exec.LookPath("plutil"); err == nil {
		cmd := exec.Command(plutil, "-lint", "-")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("plutil: %v: %s", err, out)
		}
	}
}

func TestWindowsTask(t *testing.T) {
	const me = "S-1-5-21-1-2-3-1001"
	text := taskText(oddProgram, oddConfig, me)
	all := words(t, text)
	if !slices.Contains(all, oddProgram) || !slices.Contains(all, `run --quiet --config "`+oddConfig+`"`) || !slices.Contains(all, "/home/me/a b") || !slices.Contains(all, "PT0S") {
		t.Errorf("%q", all)
	}
	var task struct {
		Trigger   []string `xml:"Triggers>LogonTrigger>UserId"`
		Principal []string `xml:"Principals>Principal>UserId"`
	}
	if err := xml.Unmarshal([]byte(text), &task); err != nil {
		t.Fatal(err)
	}
	if want := []string{me}; !slices.Equal(task.Trigger, want) || !slices.Equal(task.Principal, want) {
		t.Errorf("started at the logon of %q as %q; want %q", task.Trigger, task.Principal, want)
	}
}

func TestServicePlaces(t *testing.T) {
	for system, file := range map[string]string{"linux": "mailkeep.service", "darwin": "org.mailkeep.run.plist", "windows": "mailkeep-task.xml"} {
		s, err := makeService(system, oddProgram, oddConfig)
		if err != nil || !strings.HasSuffix(s.path, file) || len(s.enable) == 0 || len(s.disable) == 0 || s.text == "" {
			t.Errorf("%s: %+v, %v", system, s, err)
		}
	}
}
