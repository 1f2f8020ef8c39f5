package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// owner is one process that has a socket open.
type owner struct {
	name string
	pid  int
}

// socketOwners returns the processes that have wanted open, by the inodes of these sockets, as far as this process may
// see them. It comes first, since most are its own; then it reads /proc only as far as it must. Processes come and go
// meanwhile: what cannot be read is left out.
func socketOwners(wanted map[uint32]Listener) map[uint32]owner {
	owners := make(map[uint32]owner)
	findOwned(ownPID(), wanted, owners)
	for _, pid := range processes() {
		if len(owners) == len(wanted) {
			break
		}
		findOwned(pid, wanted, owners)
	}
	return owners
}

// ownPID is the number of this process in /proc, which may be that of another PID namespace, as in a container
// that has the host's.
func ownPID() int {
	own, _ := os.Readlink("/proc/self")
	if pid, err := strconv.Atoi(own); err == nil {
		return pid
	}
	return os.Getpid()
}

// processes are the ids of those in /proc.
func processes() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// findOwned adds those of the wanted sockets that a process has open and that have no owner yet.
func findOwned(pid int, wanted map[uint32]Listener, owners map[uint32]owner) {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	files, _ := os.ReadDir(dir)
	for _, file := range files {
		inode, ok := SocketInode(dir + file.Name())
		if _, want := wanted[inode]; !ok || !want {
			continue
		}
		if _, has := owners[inode]; !has {
			owners[inode] = owner{ProcessName(pid), pid}
		}
	}
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
