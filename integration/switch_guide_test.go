package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const guide = "../docs/how-to/replace-tproxy.md"

// blockOf returns the block of the guide with these words behind its fence.
func blockOf(t *testing.T, info string) string {
	t.Helper()
	for _, b := range documents(t)[guide] {
		if b.info == info {
			return b.text
		}
	}
	t.Fatalf("%s has no block %q", guide, info)
	return ""
}

// commandsOf returns the commands of a script, or those of the steps of a letter: "B" are the steps B1, B2 …
func commandsOf(script, letter string) (all []string) {
	within := letter == ""
	for line := range strings.Lines(script) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "# Back"):
			within = false
		case letter != "" && strings.HasPrefix(line, "# "+letter):
			within = true
		case within && line != "" && !strings.HasPrefix(line, "#"):
			all = append(all, line)
		}
	}
	return all
}

// operator types commands on the edge, in a directory of its own.
type operator struct {
	*rig
	dir     string
	anyport *process // the one that serves; nil: none
	old     *process
	oldConn net.Conn // of the old proxy; nil: it has ended
}

// shell has the built anyport in its PATH.
func (o *operator) shell(command string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "PATH="+o.dir+":/usr/sbin:/sbin:"+os.Getenv("PATH"))
	return cmd
}

// output runs a command to its end; it must succeed, except for the grep that finds nothing.
func (o *operator) output(t *testing.T, command string) string {
	t.Helper()
	var out []byte
	var err error
	cmd := o.shell(command)
	o.edge.do(func() { out, err = cmd.Output() })
	if err != nil && !strings.Contains(command, "| grep -v") {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

// typeIn does what the guide says at a command.
func (o *operator) typeIn(t *testing.T, command string) {
	t.Helper()
	switch {
	case strings.HasPrefix(command, "anyport run --shadow"):
		p := o.edge.spawn(t, o.shell("exec "+command))
		p.expect(t, "shadow: nothing is steered")
		o.longConn(t, byHAProxy).Close()
		p.signal(t, syscall.SIGINT)
		if status := p.wait(t); status != 0 {
			t.Errorf("%s ended with %d", command, status)
		}
		p.expect(t, "TODAY: PROXY")
	case strings.HasPrefix(command, "anyport run --confirm"):
		o.anyport = o.edge.spawn(t, o.shell("exec "+command))
		o.anyport.expect(t, "msg=serving")
		o.awaitCarrier(t, byAnyport) // a socket match precedes the rule
	case strings.HasPrefix(command, "ss "):
		if got := o.output(t, command); !strings.Contains(got, "haproxy") {
			t.Errorf("the old conn is not in %q", got)
		}
		expectCarrier(t, o.oldConn, byHAProxy)
		o.oldConn.Close()
		for end := time.Now().Add(patience); o.output(t, command) != ""; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the last conn of the old proxy has not ended:\n%s", o.output(t, command))
			}
		}
		o.old.signal(t, syscall.SIGKILL) // the next step
		o.old.wait(t)
	default:
		o.output(t, command)
	}
}

// TestGuide follows docs/how-to/replace-tproxy.md: its set-up, its import, the steps that import prints, which are
// those of the guide, and the way back. New conns come all the time, and none is refused or cut.
func TestGuide(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", carrier)
	r.edge.run(t, "ip addr add "+byHAProxy+"/24 dev origin0")
	o := &operator{rig: r, dir: t.TempDir()}
	if err := os.Symlink(program, filepath.Join(o.dir, "anyport")); err != nil {
		t.Fatal(err)
	}
	cfg := filepath.Join(o.dir, "haproxy.cfg")
	if err := os.WriteFile(cfg, []byte(oldProxy), 0o600); err != nil {
		t.Fatal(err)
	}
	haproxy := needTool(t, "haproxy")
	o.old = r.edge.spawn(t, exec.Command(haproxy, "-db", "-f", cfg))
	r.edge.run(t, blockOf(t, "sh setup"))
	r.awaitCarrier(t, byHAProxy)
	o.oldConn = r.longConn(t, byHAProxy)
	stop := r.newConns(t)

	o.output(t, "anyport import iptables --live --origin 10.0.0.5 > anyport.toml")
	file := filepath.Join(o.dir, "anyport.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = fmt.Appendf(text, "\n[admin]\nsocket = %q\n", filepath.Join(o.dir, "admin.sock"))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	script := o.output(t, "anyport import iptables --live --script")
	if steps := blockOf(t, "sh steps"); steps != script {
		t.Errorf("the guide has the steps\n%s\nand import prints\n%s", steps, script)
	}
	for _, command := range commandsOf(script, "") {
		o.typeIn(t, command)
	}

	o.old = r.edge.spawn(t, exec.Command(haproxy, "-db", "-f", cfg))
	conn := r.longConn(t, byAnyport)
	for _, command := range commandsOf(script, "C") {
		o.typeIn(t, command)
	}
	o.anyport.signal(t, syscall.SIGTERM)
	r.awaitCarrier(t, byHAProxy)
	expectCarrier(t, conn, byAnyport)
	conn.Close()
	if status := o.anyport.wait(t); status != 0 {
		t.Errorf("anyport ended with %d", status)
	}
	if n := stop(); n < 10 {
		t.Errorf("only %d new conns", n)
	}
}
