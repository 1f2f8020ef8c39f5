package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUpgradeIsNotWaitedFor upgrades to a binary that never sends a message: commands
// are answered meanwhile, a SIGHUP is obeyed when the upgrade is over, and a SIGTERM at
// once.
func TestUpgradeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	p := r.edge.serveWith(t, relayFile)
	dir := t.TempDir()
	mute, pids := filepath.Join(dir, "mute"), filepath.Join(dir, "pid")
	if err := os.WriteFile(mute, fmt.Appendf(nil, "#!/bin/sh\necho $$ > %s.new\nmv %s.new %s\nexec sleep 1000\n", pids, pids, pids), 0o700); err != nil {
		t.Fatal(err)
	}
	begin := func() (command *process, child int) {
		t.Helper()
		os.Remove(pids)
		command = r.edge.spawn(t, exec.Command(program, "upgrade", "--binary", mute, "--socket", p.socket))
		eventually(t, "the new process runs", func() bool {
			text, err := os.ReadFile(pids)
			child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			return err == nil
		})
		return command, child
	}

	command, child := begin()
	for _, line := range []string{"status", "flows", "explain tcp 192.0.2.7:80", "reload --dry-run"} {
		if got := anyport(t, append(strings.Fields(line), "--socket", p.socket)...); got.status != 0 {
			t.Errorf("%s during an upgrade: %+v", line, got)
		}
	}
	p.signal(t, syscall.SIGHUP)
	p.signal(t, syscall.SIGUSR2)
	p.expect(t, "an upgrade is under way already")
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status := command.wait(t); status != 1 {
		t.Errorf("the upgrade ended with %d", status)
	}
	p.expect(t, "msg=reloaded", "generation=2")
	r.reach(t, "origin", dstV4+":80")

	command, child = begin()
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status != 0 { // long before the new process could be thought dead
		t.Errorf("exit status %d", status)
	}
	p.expect(t, "upgrade cancelled", "told to stop")
	if status := command.wait(t); status != 1 {
		t.Errorf("the upgrade ended with %d", status)
	}
	command.expect(t, "told to stop meanwhile")
	if err := syscall.Kill(child, 0); err == nil {
		t.Errorf("the new process, pid %d, lives on", child)
	}
}

// TestStopDuringUpgrade stops anyport at a random moment of an upgrade, repeatedly:
// whichever of the two processes serves at that time, none is left, and the host is as
// it was.
func TestStopDuringUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	before := r.edge.belongings(t)
	stayed := 0
	for range soak(6, 100) {
		p := r.edge.serveWith(t, relayFile)
		f := newFamily(t, p)
		t.Cleanup(func() { // else who waits for the end of their output would wait for ever
			if next := successor(p.journal); next != 0 {
				syscall.Kill(next, syscall.SIGKILL)
			}
		})
		command := r.edge.spawn(t, exec.Command(program, "upgrade", "--socket", p.socket))
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond) // any moment is right
		_ = p.cmd.Process.Signal(syscall.SIGTERM)                    // fails where all is over
		f.gone(t, f.pids[0])
		command.wait(t)
		if next := successor(p.journal); next != 0 {
			f.pids = append(f.pids, next)
			if !strings.Contains(p.String(), "told to stop") { // the signal came when all was over
				stayed++
				syscall.Kill(next, syscall.SIGTERM)
			}
			f.gone(t, next)
		}
		if status := p.wait(t); status != 0 { // and all who print with it
			t.Errorf("exit status %d", status)
		}
		if after := r.edge.belongings(t); len(after) != len(before) {
			t.Errorf("the host has %v, and had %v", after, before)
		}
		if _, err := os.Stat(p.socket); err == nil {
			t.Errorf("%s is left behind", p.socket)
		}
	}
	t.Logf("%d signals came when the upgrade was over", stayed)
}

// successor is the process that serves after an upgrade, by the log; 0 is none.
func successor(j *journal) (pid int) {
	line, ok := find(j.String(), []string{"another process serves"})
	if ok {
		fmt.Sscanf(line[strings.Index(line, " pid="):], " pid=%d", &pid)
	}
	return pid
}
