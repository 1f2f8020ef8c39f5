package privileges

import (
	"os"
	"slices"
	"strings"
)

// sharedUsers are users that distributions give to more than one service: those of Debian's
// base-passwd and Fedora's setup that belong to no single program, and the usual ones of web servers.
var sharedUsers = strings.Fields("nobody nfsnobody daemon bin sys games mail news uucp proxy operator ftp www-data www http apache nginx")

// overflowUID is the user that NFS and user namespaces show for users they cannot map
// (/proc/sys/kernel/overflowuid).
const overflowUID = 65534

// SharedUser returns the user that this process runs as if other services are likely to run
// as the same one, and "" otherwise. Their processes may send signals to this one.
func SharedUser() string { return sharedUser(os.Geteuid(), userName(os.Geteuid())) }

// sharedUser is the pure part of SharedUser.
func sharedUser(uid int, name string) string {
	if uid == overflowUID || slices.Contains(sharedUsers, name) {
		return name
	}
	return ""
}
