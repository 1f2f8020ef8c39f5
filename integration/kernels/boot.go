package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// kernel is a kernel under test.
type kernel struct {
	dir     string // of its files
	release string
	results []result
}

// patience bounds one kernel's steps, all together.
const patience = time.Hour

// memory of the guest, in MiB. 40,000 conns through anyport have 160,000 sockets, with 1 GiB of kernel
// memory, and files-max is a tenth of the memory in KiB.
const memory = "3072"

// withUs makes a process end with this one. The kernel ties it to the thread that forked,
// which main keeps locked.
var withUs = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

// console is the file of what the guest has printed, kept for whoever looks into a failure.
func (k *kernel) console() string { return filepath.Join(k.dir, "console") }

// boot runs this program, with those flags, in a guest with this kernel.
func (k *kernel) boot(flags string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	archive, err := k.initramfs(self + " " + flags)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "anyport-kernel-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	socket := filepath.Join(dir, "files")
	stop, err := shareFiles(ctx, socket)
	if err != nil {
		return err
	}
	defer stop()
	return k.emulate(ctx, socket, archive)
}

// shareFiles starts virtiofsd, which gives the guest access to the host's files.
func shareFiles(ctx context.Context, socket string) (stop func(), err error) {
	var path string
	for _, place := range []string{"/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"} { // Debian 13, 12
		if _, err := os.Stat(place); err == nil {
			path = place
			break
		}
	}
	if path == "" {
		return nil, errors.New("there is no virtiofsd: apt-get install qemu-system-x86, or virtiofsd since Debian 13")
	}
	cmd := exec.CommandContext(ctx, path, "--socket-path="+socket, "-o", "source=/", "-o", "cache=auto", "-o", "sandbox=chroot")
	cmd.SysProcAttr = withUs
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	for range 500 {
		if _, err := os.Stat(socket); err == nil {
			return stop, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	return nil, fmt.Errorf("virtiofsd does not listen: %s", &said)
}

// emulate starts the guest, and reads its console until it ends.
func (k *kernel) emulate(ctx context.Context, socket, archive string) error {
	cmd := k.emulator(ctx, socket, archive)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	console, err := os.Create(k.console())
	if err != nil {
		return err
	}
	defer console.Close()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: apt-get install qemu-system-x86", err)
	}
	all, err := k.listen(io.TeeReader(out, console))
	if err != nil {
		cmd.Process.Kill()
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return err
	}
	if !all {
		return errors.New("it ended before its steps had")
	}
	return nil
}

// emulator is the command line of QEMU: without KVM, so that it runs everywhere, on two processors, since the
// proxy's loops must race. The guest's memory is shared with virtiofsd.
func (k *kernel) emulator(ctx context.Context, socket, archive string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Nehalem", "-smp", "2", "-m", memory,
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-object", "memory-backend-memfd,id=memory,size="+memory+"M,share=on", "-numa", "node,memdev=memory",
		"-chardev", "socket,id=files,path="+socket, "-device", "vhost-user-fs-pci,chardev=files,tag=host",
		"-kernel", filepath.Join(k.dir, "vmlinuz"), "-initrd", archive,
		"-append", "console=ttyS0 panic=-1 quiet loglevel=4")
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, withUs
	return cmd
}

// listen records the results that the guest prints. all reports whether it printed the last
// one.
func (k *kernel) listen(console io.Reader) (all bool, err error) {
	lines := bufio.NewScanner(console)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text, ours := strings.CutPrefix(strings.TrimRight(lines.Text(), "\r"), resultMark)
		switch {
		case !ours:
			continue
		case text == "end":
			all = true
			continue
		}
		var r result
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return false, fmt.Errorf("%q: %w", text, err)
		}
		fmt.Printf("%s: %s\n", k.release, r)
		k.results = append(k.results, r)
	}
	return all, lines.Err()
}

// failures counts the steps that have failed.
func (k *kernel) failures() (n int) {
	for _, r := range k.results {
		if r.Failed {
			n++
		}
	}
	return n
}
