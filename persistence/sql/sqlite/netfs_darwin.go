package sqlite

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// networkNames are the names that statfs(2) gives network file systems.
var networkNames = []string{"nfs", "smbfs", "afpfs", "webdav", "cifs", "9p", "osxfuse", "macfuse", "fusefs", "vmhgfs", "acfs"}

func networkFS(path string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return ""
	}
	name := unix.ByteSliceToString(st.Fstypename[:])
	if slices.Contains(networkNames, strings.ToLower(name)) || strings.Contains(name, "fuse") || st.Flags&unix.MNT_LOCAL == 0 {
		return name
	}
	return ""
}

func isReadOnlyFS(err error) bool { return errors.Is(err, unix.EROFS) }
