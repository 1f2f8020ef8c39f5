package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// owner is one process that has a socket open.
type owner struct {
	name string
	pid  int
}

// socketOwners returns the processes by the inodes of their sockets, as far as this
// process may see them. Processes come and go meanwhile: what cannot be read is left out.
func socketOwners() map[uint32]owner {
	owners := make(map[uint32]owner)
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		inode, ok := SocketInode(link)
		if !ok {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link))))
		owners[inode] = owner{ProcessName(pid), pid}
	}
	return owners
}

// SocketInode is the inode of the socket that /proc/PID/fd/N, a link, leads to. Not ok: it is no socket, or
// was closed.
func SocketInode(link string) (inode uint32, ok bool) {
	target, _ := os.Readlink(link)
	text, isSocket := strings.CutPrefix(target, "socket:[")
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 32)
	return uint32(n), isSocket && err == nil
}

// ProcessName is the name of a process, and "" if it has ended or is hidden. Anybody can give his process a name
// that a terminal would obey: "?" stands for each such character.
func ProcessName(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(string(name)))
}
