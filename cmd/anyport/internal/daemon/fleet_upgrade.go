package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/upgrade"
)

// leaveFleet ends this process's part in the fleet, without removing the host's report: the new process writes one.
func (d *daemon) leaveFleet() {
	if d.fleet.follower != nil {
		d.fleet.follower.LeaveReport()
		d.fleet.leave()
		d.fleet.disk.Stop()
	}
}

// takeTable goes on with the table of the process before. That of the disk may be older, or there may be none.
func (d *daemon) takeTable() error {
	if d.before == nil {
		return nil
	}
	fd := d.before.Take(upgrade.FDTable)
	if fd < 0 || !d.opt.Config.FromSource() {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil
	}
	file := os.NewFile(uintptr(fd), upgrade.FDTable)
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<40))
	if err != nil {
		return fmt.Errorf("the table of the process before: %w", err)
	}
	c, err := WithTable(d.opt.Config, text)
	if err != nil {
		return err
	}
	d.opt.Config = d.opt.unpinned(c)
	d.secrets.note(string(text))
	d.fleet.taken = true
	return nil
}

// memoryFile is a file without a name that holds a text. The caller closes it.
func memoryFile(name string, text []byte) (fd int, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	for written := 0; written < len(text) && err == nil; {
		var n int
		n, err = unix.Write(fd, text[written:])
		written += max(n, 0)
	}
	if err != nil {
		return -1, errors.Join(os.NewSyscallError("write", err), unix.Close(fd))
	}
	return fd, nil
}
