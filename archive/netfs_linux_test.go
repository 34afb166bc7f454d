package archive

import (
	"bufio"
	"strings"
	"testing"
)

func TestNetworkMount(t *testing.T) {
	const mounts = `22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 0:35 / /home/me/far\040away rw,nosuid shared:20 - fuse.sshfs me@host: rw,user_id=1000
41 40 253:1 /x /home/me/far\040away/near rw - ext4 /dev/vda2 rw
42 22 0:36 / /mnt/ntfs rw - fuseblk /dev/sda1 rw
43 22 0:37 / /mnt/zip rw - fuse.archivemount zip rw
44 22 0:38 / /mnt/cloud rw - fuse.rclone remote: rw
broken line
`
	for dir, want := range map[string]string{
		"/home/me": "", "/home/me/far away": "sshfs", "/home/me/far away/mail": "sshfs", "/home/me/far away/near/mail": "", "/home/me/far awayness": "",
		"/mnt/ntfs/mail": "", "/mnt/zip": "", "/mnt/cloud/a/b": "rclone", "/": "",
	} {
		if got := networkMount(bufio.NewScanner(strings.NewReader(mounts)), dir); got != want {
			t.Errorf("%s is on %q, want %q", dir, got, want)
		}
	}
}
