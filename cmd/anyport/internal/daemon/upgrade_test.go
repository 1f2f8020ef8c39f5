package daemon

import (
	"bufio"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/systemd"
)

// upgradingDaemon is one with an upgrade under way, whose steps count.
func upgradingDaemon(log io.Writer) (d *daemon, cancelled, abandoned *int) {
	cancelled, abandoned = new(int), new(int)
	u := &upgradeRun{over: make(chan struct{})}
	u.cancel = func() { *cancelled++ }
	u.abandon = func() {
		*abandoned++
		close(u.over)
	}
	return &daemon{log: slog.New(slog.NewTextHandler(log, nil)), upgrading: u, decisions: make(chan func())}, cancelled, abandoned
}

// TestSignalsDuringUpgrade: orders and a finished read wait for the end of the upgrade, SIGHUP is kept for
// it, the first order to stop cancels it, and the second ends it.
func TestSignalsDuringUpgrade(t *testing.T) {
	var log syncBuffer
	d, cancelled, abandoned := upgradingDaemon(&log)
	d.reloading = &reload{read: make(chan struct{})}
	if d.orders() != nil || d.fileRead() != nil || d.upgrading.done() == nil {
		t.Error("something does not wait for the upgrade")
	}
	for _, step := range []struct {
		sig                  syscall.Signal
		atOnce               bool
		cancelled, abandoned int
		logged               string
	}{
		{syscall.SIGHUP, false, 0, 0, ""},
		{syscall.SIGUSR2, false, 0, 0, "an upgrade is under way already"},
		{syscall.SIGTERM, false, 1, 0, "signal=terminated"},
	} {
		before := len(log.String())
		if got := d.signalled(step.sig, nil); got != step.atOnce || *cancelled != step.cancelled || *abandoned != step.abandoned {
			t.Errorf("%v: at once %v, %d cancelled, %d abandoned", step.sig, got, *cancelled, *abandoned)
		}
		if line := log.String()[before:]; !strings.Contains(line, step.logged) || step.logged == "" && line != "" {
			t.Errorf("%v: the log says %q, want %q", step.sig, line, step.logged)
		}
	}
	if !d.upgrading.reload || d.upgrading.stop != syscall.SIGTERM {
		t.Errorf("kept are %v, %v", d.upgrading.reload, d.upgrading.stop)
	}
	d.abortUpgrade()
	d.abortUpgrade() // there is none any more
	if *abandoned != 1 || d.upgrading != nil || d.orders() == nil || d.fileRead() == nil {
		t.Errorf("%d abandoned, upgrading %v", *abandoned, d.upgrading)
	}
}

// TestFinishUpgrade: after an upgrade that has failed, this process does what has waited for it.
func TestFinishUpgrade(t *testing.T) {
	var log syncBuffer
	d, _, _ := upgradingDaemon(&log)
	d.slow = slowfs.New(time.Minute)
	d.serving.Store(&generation{number: 1, config: parse(t, "")})
	d.upgrading.reload = true
	d.finishUpgrade(nil)
	if d.upgrading != nil || d.reloading == nil || !d.reloading.signal {
		t.Fatalf("upgrading %v, reloading %+v: want the reload of SIGHUP", d.upgrading, d.reloading)
	}
	<-d.reloading.done()
	if d.reloading.err == nil {
		t.Error("it has read a file that is not there")
	}
}

// child is a process that writes each signal that it gets to its output, until SIGWINCH: of all that have
// come, a shell acts on the one with the highest number last.
func child(t *testing.T) (cmd *exec.Cmd, out *bufio.Reader) {
	// A shell cannot trap a signal that was ignored when it began, as SIGHUP is under nohup.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
	t.Helper()
	cmd = exec.Command("sh", "-c", `trap 'echo HUP' HUP; trap 'echo TERM' TERM; trap 'echo INT' INT; trap 'echo end; exit' WINCH; echo ready; while :; do sleep 0.02; done`)
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	out = bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd, out
}

// TestForwardSignals: the process that serves after an upgrade gets the signals that came too late, but no
// order to stop beside a service manager: that sends it to all processes of the service itself, and a
// second one means at once.
func TestForwardSignals(t *testing.T) {
	for _, test := range []struct {
		name    string
		u       upgradeRun
		reading bool // a reload by SIGHUP has not finished
		manager bool
		want    string
	}{
		{"none", upgradeRun{}, false, false, ""},
		{"a reload", upgradeRun{reload: true}, false, false, "HUP"},
		{"a reload that has begun here", upgradeRun{}, true, true, "HUP"},
		{"a stop", upgradeRun{stop: syscall.SIGTERM}, false, false, "TERM"},
		{"a stop of the manager's", upgradeRun{stop: syscall.SIGTERM}, false, true, ""},
		{"both", upgradeRun{reload: true, stop: syscall.SIGTERM}, false, false, "HUP TERM"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log syncBuffer
			d := &daemon{log: slog.New(slog.NewTextHandler(&log, nil)), upgrading: &test.u}
			if test.manager {
				t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "notify"))
				d.opt.Manager = systemd.FromEnvironment()
			}
			if test.reading {
				d.reloading = &reload{read: make(chan struct{}), signal: true}
			}
			cmd, out := child(t)
			d.successor.Store(int64(cmd.Process.Pid))
			d.finishUpgrade(nil)
			var got []string
			for len(got) < len(strings.Fields(test.want)) {
				line, err := out.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, strings.TrimSpace(line))
			}
			_ = cmd.Process.Signal(syscall.SIGWINCH)
			if rest, _ := io.ReadAll(out); strings.Join(got, " ") != test.want || string(rest) != "end\n" {
				t.Errorf("it got %q and %q, want %q", got, rest, test.want)
			}
			_ = cmd.Wait()
			d.forwardSignals(&upgradeRun{reload: true}, cmd.Process.Pid) // it is gone
			if !strings.Contains(log.String(), "cannot forward a signal to the process that serves now") {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}

// TestParentOfNext: systemd wants the new process as a child of its own, or it does not learn of its end.
func TestParentOfNext(t *testing.T) {
	d := &daemon{}
	if d.parentOfNext() != handover.Self {
		t.Error("by hand: want this process")
	}
	t.Setenv("NOTIFY_SOCKET", "@anyport-test")
	d.opt.Manager = systemd.FromEnvironment()
	if d.parentOfNext() != handover.Manager {
		t.Error("under a service manager: want that")
	}
}

// TestUpgradeRefused: a process that stops, or has been replaced, starts no other one.
func TestUpgradeRefused(t *testing.T) {
	d := &daemon{}
	d.stopping.Store(true)
	refusedWith(t, d.beginUpgrade("/bin/true", nil, nil), errStopping.Error())
	d.successor.Store(int64(os.Getpid()))
	refusedWith(t, d.beginUpgrade("/bin/true", nil, nil), "serves since an upgrade: ask again")
	if d.upgrading != nil {
		t.Error("an upgrade is under way")
	}
}
