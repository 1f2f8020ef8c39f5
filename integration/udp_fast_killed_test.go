package integration

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFastPathKilled: without pins the kernel forwards nothing any more when anyport is killed, and the next
// process has no flows; with pins it forwards, and the next one goes on. However the program is attached to the
// devices, nothing of it is left after a stop: see newRig.
func TestFastPathKilled(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	for name, outlives := range map[string]bool{"without pins": false, "pinned": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, pin := newRig(t), ""
			if outlives {
				bpffs := t.TempDir()
				if err := r.edge.Mount("bpf", bpffs); err != nil {
					t.Fatal(err)
				}
				pin = filepath.Join(bpffs, "anyport")
			}
			r.killFastPath(t, pin)
		})
	}
}

func (r *rig) killFastPath(t *testing.T, pin string) {
	t.Helper()
	r.origin.answer(t, "10.0.0.5:4711", bytes.Clone)
	p := r.edge.launchAs(t, anyportRun, "[steering]\npin = \""+pin+"\"\n"+`
[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
`)
	running := p.process
	running.expect(t, "msg=serving")
	conn := r.client.dial(t, "udp", dstV4+":4711")
	p.goFast(t, asker(t), conn)
	running.signal(t, syscall.SIGKILL)
	running.wait(t)
	eventually(t, "the kernel forwards only what is pinned", func() bool {
		return heard(conn, "nobody lives", time.Second/4) == (pin != "")
	})
	running = p.restart(t)
	p.goFast(t, asker(t), conn)
	running.signal(t, syscall.SIGTERM)
	running.signal(t, syscall.SIGINT) // at once
	running.wait(t)
	if pin == "" {
		return
	}
	if got := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); got != 0 {
		t.Errorf("unload ended with %d", got)
	}
}
