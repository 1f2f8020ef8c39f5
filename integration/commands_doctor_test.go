package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// diagnosis is what `anyport doctor --json` says.
type diagnosis struct {
	Works    bool
	Findings []struct{ Check, Status, What, Why, Mend string }
}

// doctor runs `anyport doctor` on a host, with this identity.
func (h *host) doctor(t *testing.T, file string, attr *syscall.SysProcAttr) (r diagnosis, status int) {
	t.Helper()
	cmd := exec.Command(program, "doctor", "-c", file, "--json")
	cmd.SysProcAttr = attr
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	var err error
	h.do(func() { err = cmd.Run() })
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, &stdout)
	}
	return r, cmd.ProcessState.ExitCode()
}

// found returns the findings of a check that are not in order, one a line.
func (r diagnosis) found(check string) (text string) {
	for _, f := range r.Findings {
		if f.Check == check && f.Status != "ok" {
			text += fmt.Sprintf("%s: %s: %s\n", f.Status, f.What, f.Why)
		}
	}
	return text
}

// TestDoctor runs doctor on a host with many faults. It names each of them; after
// typing the commands that it prints, the faults are fixed and anyport runs.
func TestDoctor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.Sysctl(map[string]string{"net/ipv4/tcp_syncookies": "0", "net/ipv4/conf/all/rp_filter": "1", "net/core/somaxconn": "100"})
	const toml = "[steering]\nmanage_routes = false\n" + `
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.5"]
`
	file := inFile(t, "[admin]\nsocket = \"\"\n"+toml)
	ill, status := r.edge.doctor(t, file, nil)
	if ill.Works || status != 1 {
		t.Errorf("exit status %d: %+v", status, ill)
	}
	for check, want := range map[string][]string{
		"routes":         {"failure: 192.0.2.0/24 is not local", "failure: 2001:db8:1::/48 is not local"},
		"tcp_syncookies": {"warning: off"},
		"rp_filter":      {"warning: strict on "},
		"somaxconn":      {"warning: 100"},
	} {
		if got := ill.found(check); !holdsAll(got, want) {
			t.Errorf("%s: %q, want %q", check, got, want)
		}
	}

	for _, f := range ill.Findings {
		switch f.Check {
		case "routes", "tcp_syncookies", "rp_filter", "somaxconn":
			if f.Status == "ok" {
				continue
			}
			var out []byte
			var err error
			r.edge.do(func() { out, err = exec.Command("sh", "-c", f.Mend).CombinedOutput() })
			if err != nil {
				t.Errorf("%s: %v: %s", f.Mend, err, out)
			}
		}
	}
	well, status := r.edge.doctor(t, file, nil)
	if !well.Works || status != 0 {
		t.Errorf("after mending: exit status %d: %+v", status, well)
	}
	for _, check := range []string{"routes", "tcp_syncookies", "rp_filter", "somaxconn"} {
		if got := well.found(check); got != "" {
			t.Errorf("after mending: %s", got)
		}
	}

	p := r.edge.serveWith(t, toml)
	running, status := r.edge.doctor(t, p.file, nil)
	if !running.Works || status != 0 || running.found("listeners")+running.found("programs") != "" {
		t.Errorf("anyport is in its own way: %+v", running)
	}
	other, _ := r.edge.doctor(t, file, nil) // does not know of the one that runs
	if got := other.found("programs"); !strings.Contains(got, "is attached to this network namespace too") {
		t.Errorf("a foreign program: %q", got)
	}
}

// TestDoctorNames checks that doctor names the processes whose listeners conflict, over
// TCP and UDP, and what an unprivileged user lacks.
func TestDoctorNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.listenOn(t, "tcp", "192.0.2.7:22")
	r.edge.listenPacket(t, "192.0.2.7:53")
	file := inFile(t, "[admin]\nsocket = \"\"\n[steering]\npin = \"/tmp/anyport\"\n"+`
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
ports    = [22, 53]
origins  = ["10.0.0.5"]
`)
	got, status := r.edge.doctor(t, file, nil)
	me := fmt.Sprintf("%s (pid %d) listens on ", ownName(t), os.Getpid())
	if listeners := got.found("listeners"); status != 1 || !holdsAll(listeners, []string{me + "tcp 192.0.2.7:22", me + "udp 192.0.2.7:53"}) {
		t.Errorf("exit status %d, listeners: %s", status, listeners)
	}
	if pins := got.found("bpffs"); !strings.Contains(pins, "failure: steering.pin: /tmp/anyport is in no bpffs") {
		t.Errorf("bpffs: %q", pins)
	}

	give(t, file, "nobody")
	give(t, program, "nobody")
	nobody, status := r.edge.doctor(t, file, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
	if lacks := nobody.found("privileges"); status != 1 || !strings.Contains(lacks, "CAP_BPF, CAP_NET_ADMIN, CAP_NET_BIND_SERVICE missing") {
		t.Errorf("exit status %d, for an unprivileged user: %s", status, lacks)
	}
}
