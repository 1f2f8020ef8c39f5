package services

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// manager is the process of the service manager.
const manager = 1

// forkedOnly is PF_FORKNOEXEC of include/linux/sched.h: the process has executed no program since it was forked.
const forkedOnly = 0x40

// unstarted reports whether a process of a service is still a copy of the manager. Before version 255 systemd forks
// itself and moves the copy into the cgroup of the service. Until the copy has closed them it holds all sockets of
// the manager: those of socket units, and what every service has in its store, the sockets of anyport among them.
// Once this is false it stays false, so it must be asked before the sockets are read.
func unstarted(pid, manager int) bool {
	return pid != manager && flagsOf(pid)&forkedOnly != 0 && sameProgram(pid, manager) && !sameCgroup(pid, manager)
}

// flagsOf reads the flags of a process, the seventh field after its name in proc_pid_stat(5).
func flagsOf(pid int) uint64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 7 {
		return 0 // it has ended
	}
	flags, _ := strconv.ParseUint(string(fields[6]), 10, 64)
	return flags
}

// sameProgram is false if this process may not know: it needs CAP_SYS_PTRACE.
func sameProgram(a, b int) bool {
	of, err := os.Stat(fmt.Sprintf("/proc/%d/exe", a))
	if err != nil {
		return false
	}
	other, err := os.Stat(fmt.Sprintf("/proc/%d/exe", b))
	return err == nil && os.SameFile(of, other)
}

// sameCgroup tells a copy of the manager from the workers of a service that is process 1 of a container.
func sameCgroup(a, b int) bool {
	of, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", a))
	if err != nil {
		return false
	}
	other, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", b))
	return err == nil && bytes.Equal(of, other)
}
