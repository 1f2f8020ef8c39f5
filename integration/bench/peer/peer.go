package peer

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"anyport/integration/lab"
)

// Site is where a peer is deployed, and for what.
type Site struct {
	Edge     *lab.Host
	Dir      string // for configuration files
	Served   netip.Prefix
	Origin   netip.Addr    // of the same family
	Protocol string        // tcp | udp
	Header   string        // that the origin of conns reads: "" or v2
	Idle     time.Duration // after which a flow ends; 0: the peer's default
	Port     int           // of the origin, for those who cannot learn which one was asked for
	Self     string        // this program, which holds the peers written in Go
	Anyport  string        // the binary
}

// Peer is one way to bring clients to the origin.
type Peer struct {
	Name   string
	Note   string   // how it is deployed
	Needs  []string // programs that must be installed, or files
	Direct bool     // clients ask the origin itself
	deploy func(*Deployment) error
}

// All are the peers in the order of the tables.
var All = []Peer{
	{Name: "anyport", Note: "SK_LOOKUP, one socket a protocol (the default)", deploy: anyport{workers: 1}.deploy},
	{Name: "anyport-2", Note: "the same with `workers = 2`", deploy: anyport{workers: 2}.deploy},
	{Name: "anyport-spp", Note: "the same as the first with `proxy_protocol = \"spp\"`", deploy: anyport{workers: 1, header: "spp"}.deploy},
	{Name: "anyport-egress", Note: "the same as the first with `egress_prefixes`: a flow has no socket of its own", deploy: anyport{workers: 1, egress: "203.0.113.0/24"}.deploy},
	{Name: "anyport-v2", Note: "the same as the first with `proxy_protocol = \"v2\"`", deploy: anyport{workers: 1, header: "v2"}.deploy},
	{Name: "anyport-user", Note: "the same as the first with `fast_path = \"off\"`", deploy: anyport{workers: 1, user: true}.deploy},
	{Name: "anyport-user-spp", Note: "the same with `proxy_protocol = \"spp\"`", deploy: anyport{workers: 1, header: "spp", user: true}.deploy},
	{Name: "anyport-100k", Note: "the same as the first with 100,000 prefixes in its table", deploy: anyport{workers: 1, prefixes: 100_000}.deploy},
	{Name: "anyport-ports", Note: "the same as the first with `ports = [\"7001-7022\"]`: the kernel refuses all others", deploy: anyport{workers: 1, ports: "7001-7022"}.deploy},
	{Name: "anyport-log", Note: "the same as the first with an access log in a file", deploy: anyport{workers: 1, access: true}.deploy},
	{Name: "anyport-log-1%", Note: "the same with `access_sample = \"1%\"`", deploy: anyport{workers: 1, access: true, sample: "1%"}.deploy},
	{Name: "haproxy", Note: "`nbthread 2` behind iptables TPROXY", Needs: []string{"haproxy", "iptables"}, deploy: haproxy{}.deploy},
	{Name: "haproxy-ports", Note: "the same, and it rejects conns to other ports than 7001 to 7022 as soon as it has accepted them",
		Needs: []string{"haproxy", "iptables"}, deploy: haproxy{reject: "tcp-request connection reject if !{ dst_port 7001:7022 }"}.deploy},
	{Name: "haproxy-splice", Note: "the same with `option splice-request` and `splice-response`",
		Needs: []string{"haproxy", "iptables"}, deploy: haproxy{options: "option splice-request\n  option splice-response", pipes: 500}.deploy},
	{Name: "haproxy-sklookup", Note: "its listener fed by the smallest SK_LOOKUP program that can, in place of TPROXY",
		Needs: []string{"haproxy"}, deploy: haproxy{}.deploySteered},
	{Name: "nginx", Note: "stream, 2 workers: TCP behind TPROXY, UDP behind REDIRECT with `reuseport`, 4 MiB buffers, all ports to one",
		Needs: []string{"nginx", "iptables", nginxStream}, deploy: nginx{workers: 2}.deploy},
	{Name: "nginx-1", Note: "the same with 1 worker", Needs: []string{"nginx", "iptables", nginxStream}, deploy: nginx{workers: 1}.deploy},
	{Name: "go", Note: "behind TPROXY: two goroutines and io.Copy a conn, one goroutine a flow", Needs: []string{"iptables"}, deploy: goProxy},
	{Name: "dnat", Note: "iptables DNAT; the origin never learns the dst", Needs: []string{"iptables"}, deploy: dnat},
	{Name: "routed", Note: "no proxy: the edge routes, the client asks the origin", Direct: true, deploy: func(*Deployment) error { return nil }},
}

// Missing names what the peer needs and is not installed; "" means nothing is missing.
func (p Peer) Missing() string {
	for _, need := range p.Needs {
		_, err := os.Stat(need)
		if !filepath.IsAbs(need) {
			_, err = exec.LookPath(need)
		}
		if err != nil {
			return need
		}
	}
	return ""
}

// Deploy starts the peer. It serves as soon as an answer comes.
func (p Peer) Deploy(site Site) (*Deployment, error) {
	d := &Deployment{Site: site}
	if err := p.deploy(d); err != nil {
		d.Close()
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return d, nil
}

// Deployment is a peer in service.
type Deployment struct {
	Site
	cmd     *exec.Cmd // nil where the kernel does it all
	printed bytes.Buffer
	closers []func()
}

// PIDs are the peer's processes, without their children.
func (d *Deployment) PIDs() []int {
	if d.cmd == nil {
		return nil
	}
	return []int{d.cmd.Process.Pid}
}

// Close ends the peer's process. What it set up in the kernel ends with the edge.
func (d *Deployment) Close() {
	if d.cmd != nil {
		d.cmd.Process.Signal(syscall.SIGTERM)
		reaper := time.AfterFunc(3*time.Second, func() { d.cmd.Process.Kill() })
		d.cmd.Wait()
		reaper.Stop()
	}
	for _, undo := range d.closers {
		undo()
	}
}

// Printed is the end of what the peer printed. It is for after Close.
func (d *Deployment) Printed() string {
	b := d.printed.Bytes()
	return string(b[max(0, len(b)-600):])
}

// start starts the peer's process on the edge, in a PID namespace of its own: when the
// process ends, for whatever reason, its children end too.
func (d *Deployment) start(files []*os.File, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.ExtraFiles = files
	cmd.Stdout, cmd.Stderr = &d.printed, &d.printed
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := d.Edge.Start(cmd); err != nil {
		return err
	}
	d.cmd = cmd
	return nil
}

// write puts a configuration file into the deployment's directory.
func (d *Deployment) write(name, text string) (path string, err error) {
	path = filepath.Join(d.Dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
