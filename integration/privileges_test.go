package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPrivileges checks what each thread of a running anyport holds: only the
// documented capabilities. With these it must be able to do all its work: a reload with
// new prefixes and drop ports, answers from low ports, also from one that another
// process holds, and a stop that cleans up.
func TestPrivileges(t *testing.T) {
	t.Parallel()
	const bindService, netAdmin = 1 << 10, 1 << 12
	bpf := 0
	if olderKernel(t, 5, 19) { // there each map update of a reload takes CAP_BPF
		bpf = 1 << 39
	}
	for _, c := range []struct {
		name, steering, user string
		capabilities         int
		served               string // what a reload has it serve
		run                  func(file string) *exec.Cmd
	}{
		{"root", "", "Uid:0000", bindService | netAdmin, "203.0.113.0/24", anyportRun},
		{"another user", "user = \"65534\"\n", "Uid:65534655346553465534", bindService | netAdmin, "203.0.113.0/24", anyportRun},
		{"without routes", "manage_routes = false\n", "Uid:0000", bindService, "192.0.2.128/25", anyportRun},
		{"capabilities alone", "", "Uid:65534655346553465534", bindService | netAdmin, "203.0.113.0/24", runCapable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.edge.local(t, servedV4)
			r.edge.openTUN(t)
			r.edge.listenPacket(t, "0.0.0.0:161") // and lets nobody else have it
			r.origin.both(t, "10.0.0.5:4000", named("old"))
			r.origin.both(t, "10.0.0.6:4000", named("new"))
			file := "[steering]\n" + c.steering + `
[route.web]
protocol = ["tcp", "udp"]
prefixes = [%q]
ports    = %s
origins  = [%q]
`
			run := func(path string) *exec.Cmd { give(t, path, c.user); return c.run(path) }
			p := r.edge.launchAs(t, run, fmt.Sprintf(file, "192.0.2.0/25", `"all"`, "10.0.0.5:4000"))
			p.expect(t, "msg=serving")
			p.holds(t, c.user, c.capabilities|bpf)
			r.reach(t, "old", dstV4+":53", dstV4+":161", dstV4+":65535")

			p.write(t, fmt.Sprintf(file, c.served, "[53, 161]", "10.0.0.6:4000")+`
[route.silent]
protocol = "tcp"
prefixes = ["192.0.2.200"]
action   = "drop"
`)
			if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 || !strings.Contains(got.stdout, `+ route "silent"`) {
				t.Fatalf("reload: %+v", got)
			}
			inside := netip.MustParsePrefix(c.served).Addr().Next().String()
			r.reach(t, "new", inside+":53", inside+":161")
			if got := r.client.ask("tcp", netip.MustParseAddrPort("192.0.2.200:80"), silent); got != silent {
				t.Errorf("a port to be silent: %s", got)
			}
			p.holds(t, c.user, c.capabilities|bpf)
		})
	}
}

// openTUN gives everybody the right to open /dev/net/tun, as udev does.
func (h *host) openTUN(t *testing.T) {
	t.Helper()
	node := filepath.Join(scratch, "tun")
	if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(node, 0o666), h.Bind(node, "/dev/net/tun")); err != nil {
		t.Fatal(err)
	}
}

// olderKernel compares the kernel's release.
func olderKernel(t *testing.T, major, minor int) bool {
	t.Helper()
	var name unix.Utsname
	var a, b int
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &a, &b); err != nil {
		t.Fatal(err)
	}
	return a < major || a == major && b < minor
}

// reach asks dsts over TCP and UDP.
func (r *rig) reach(t *testing.T, want string, dsts ...string) {
	t.Helper()
	for _, dst := range dsts {
		for _, network := range []string{"tcp", "udp"} {
			if got := r.client.ask(network, netip.MustParseAddrPort(dst), want); got != want {
				t.Errorf("%s %s: %s, want %s", network, dst, got, want)
			}
		}
	}
}

// runCapable starts anyport as deploy/anyport.service does: with another user's
// rights, and the capabilities and limits that it needs. Locked memory is counted for maps
// before Linux 5.11 alone, and not every root may raise its limit.
func runCapable(file string) *exec.Cmd {
	const needed = "+bpf,+net_admin,+net_bind_service,+net_raw"
	return exec.Command("sh", "-c", `ulimit -l unlimited 2>/dev/null; exec "$@"`, "sh", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
		"--inh-caps="+needed, "--ambient-caps="+needed, "--bounding-set=-all,"+needed, program, "run", "-c", file)
}

// give lets everybody read the file, as it would stand in /etc, and makes its directory
// that of the user, who can then remove the admin socket.
func give(t *testing.T, file, user string) {
	t.Helper()
	dir := filepath.Dir(file)
	for path := file; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(user, "65534") {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
}

// holds looks at every thread of the process that serves.
func (p *proxy) holds(t *testing.T, user string, capabilities int) {
	t.Helper()
	now := p.status(t)
	set := fmt.Sprintf("%016x", capabilities)
	want := []string{user, "CapInh:" + strings.Repeat("0", 16), "CapPrm:" + set, "CapEff:" + set, "CapAmb:" + strings.Repeat("0", 16), "NoNewPrivs:1"}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", now.PID))
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended since
		}
		lines := privilegeLines.FindAllString(strings.NewReplacer("\t", "", " ", "").Replace(string(text)), -1)
		if !slices.Equal(lines, want) {
			t.Errorf("%s: %v, want %v", thread, lines, want)
		}
	}
	if held := now.Privileges; !held.NoNewPrivs || len(held.Capabilities) == 0 {
		t.Errorf("status tells of %+v", held)
	}
}

var privilegeLines = regexp.MustCompile(`(?m)^(Uid|Cap(Inh|Prm|Eff|Amb)|NoNewPrivs):.*$`)

// runForAll is `anyport run` with a file that the user can read again, by number.
func runForAll(t *testing.T, user string) func(file string) *exec.Cmd {
	return func(file string) *exec.Cmd { give(t, file, user); return anyportRun(file) }
}

// TestMissingBindService: without the capability that answers from low ports the start says so, unless no route needs it.
func TestMissingBindService(t *testing.T) {
	t.Parallel()
	run := func(path string) *exec.Cmd {
		return exec.Command("setpriv", "--bounding-set=-net_bind_service,-net_raw", "--inh-caps=-net_bind_service,-net_raw", program, "run", "-c", path)
	}
	const text = "UDP answers from ports below 1024 cannot be sent: CAP_NET_BIND_SERVICE is missing"
	for file, warns := range map[string]bool{
		allOf("192.0.2.0/24"): true,
		strings.Replace(allOf("192.0.2.0/24"), "[route.all]\n", "[route.all]\nports = [\"1024-65535\"]\n", 1): false,
	} {
		h := newHost(t, "edge")
		p := h.launchAs(t, run, file)
		p.expect(t, "msg=serving")
		if got := strings.Contains(p.String(), text); got != warns {
			t.Errorf("it warns: %v, want %v, with\n%s", got, warns, file)
		}
	}
}
