package crashloop

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Identity tells a process from all others, also from later ones with its number.
type Identity struct {
	PID   int    `json:"pid"`
	Began uint64 `json:"began"` // ticks since the boot: field 22 of /proc/PID/stat (proc(5))
	Boot  string `json:"boot"`
}

// own is the identity of this process.
func own() (Identity, error) { return identityOf(os.Getpid()) }

// identityOf reads the identity of a process that lives.
func identityOf(pid int) (Identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Identity{}, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Identity{}, err
	}
	began, err := startTicks(stat)
	return Identity{PID: pid, Began: began, Boot: strings.TrimSpace(string(boot))}, err
}

// startTicks reads the field from a line of /proc/PID/stat. The name of the program, field 2, is in
// parentheses and may hold blanks and parentheses. A zombie is an error: it has died, even if its
// parent does not know that yet.
func startTicks(stat []byte) (uint64, error) {
	const field, first = 22, 3 // first is the number of the first one after the name
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= field-first {
		return 0, fmt.Errorf("/proc/PID/stat has another form: %q", stat)
	}
	if state := string(fields[0]); state == "Z" || state == "X" {
		return 0, fmt.Errorf("the process has ended: its state is %s", state)
	}
	return strconv.ParseUint(string(fields[field-first]), 10, 64)
}

// alive reports whether it is a process that runs now.
func (i Identity) alive() bool {
	now, err := identityOf(i.PID)
	return err == nil && now == i
}
