package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/netnstest"
)

// eth0 makes an interface with two addresses. Its peer is up, so that it has a carrier.
func eth0(t *testing.T) {
	t.Helper()
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "peer0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lo", "eth0", "peer0"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
		if name != "eth0" {
			continue
		}
		for _, text := range []string{"203.0.113.5/24", "2001:db8:c::2/64"} {
			addr, err := netlink.ParseAddr(text)
			if err != nil {
				t.Fatal(err)
			}
			addr.Flags = unix.IFA_F_NODAD
			if err := netlink.AddrAdd(link, addr); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listen opens a TCP listener on a port of the kernel's choice.
func listen(t *testing.T, network, address string) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr()
}

// name is that of this process, as others see it.
func name(t *testing.T) string {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(comm))
}

const served = `
[steering]
manage_routes = false
[admin]
socket = ""
[route.game]
protocol = "tcp"
prefixes = ["192.0.2.0/24", "203.0.113.5", "2001:db8:c:0:5::/80"]
origins = ["10.0.0.5"]
`

func TestGather(t *testing.T) {
	netnstest.Enter(t)
	eth0(t)
	write(t, "/proc/sys/net/ipv4/conf/eth0/rp_filter", "1")
	write(t, "/proc/sys/net/ipv4/tcp_syncookies", "0")
	write(t, "/proc/sys/net/core/somaxconn", "100")
	taken := listen(t, "tcp4", "0.0.0.0:0")
	listen(t, "tcp4", "127.0.0.1:0") // in nobody's way
	file := write(t, filepath.Join(t.TempDir(), "anyport.toml"), served)

	report := Examine(Gather(t.Context(), file, true))
	checkComplete(t, report)
	want := map[string][]string{
		"file":           {"ok: " + file + ": 1 route, 3 prefixes"},
		"kernel":         {"ok: Linux "},
		"privileges":     {"ok: "},
		"programs":       {"ok: no other"},
		"ipv6":           {"ok: on"},
		"routes":         {"failure: 192.0.2.0/24 is not local", "failure: 2001:db8:c:0:5::/80 is not local"},
		"neighbours":     {"warning: 2001:db8:c:0:5::/80 lies in 2001:db8:c::/64, the subnet on eth0"},
		"listeners":      {fmt.Sprintf("failure: %s (pid %d) listens on tcp %v, which route \"game\" takes", name(t), os.Getpid(), taken)},
		"rp_filter":      {"warning: strict on eth0,"},
		"tcp_syncookies": {"warning: off"},
		"somaxconn":      {"warning: 100, less than listen.tcp_backlog = 4096"},
		"conntrack":      {"ok: not in use"},
	}
	for check, texts := range want {
		found := of(report, check)
		matches := func(f Finding, text string) bool { return strings.HasPrefix(string(f.Status)+": "+f.What, text) }
		if !slices.EqualFunc(found, texts, matches) {
			t.Errorf("%s: got %+v, want %q", check, found, texts)
		}
	}
}

func sameText(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// TestGatherChangesNothing asks twice: the second answer shows what the first left.
func TestGatherChangesNothing(t *testing.T) {
	netnstest.Enter(t)
	write(t, "/proc/sys/net/ipv6/conf/default/accept_dad", "0") // or link-local addresses become usable between the two
	eth0(t)
	file := write(t, filepath.Join(t.TempDir(), "anyport.toml"), served)
	first := Gather(t.Context(), file, true)
	second := Gather(t.Context(), file, true)
	if diff := cmp.Diff(first, second, compareAddrs, cmp.Comparer(sameText)); diff != "" {
		t.Error(diff)
	}
}

func TestGatherRules(t *testing.T) {
	netnstest.Enter(t)
	nft, installed := find("nft")
	if !installed {
		t.Skip("nft is not installed")
	}
	const rule = "ip daddr 192.0.2.0/24 meta l4proto tcp tproxy ip to 127.0.0.1:9000"
	script := "table inet t { chain pre { type filter hook prerouting priority mangle; " + rule + "; }; }"
	if out, err := exec.Command(nft, script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := write(t, filepath.Join(t.TempDir(), "anyport.toml"), served)
	found := of(Examine(Gather(t.Context(), file, true)), "tproxy")
	if len(found) != 1 || found[0].What != "a TPROXY rule would win: "+rule {
		t.Fatalf("got %+v", found)
	}
	if out, err := exec.Command("sh", "-c", found[0].Mend).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", found[0].Mend, err, out)
	}
	if found := of(Examine(Gather(t.Context(), file, true)), "tproxy"); len(found) != 1 || found[0].Status != OK {
		t.Errorf("got %+v after mending", found)
	}
}

// TestGatherFile needs no root: whatever it may not read is said, and is no panic.
func TestGatherFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.toml")
	broken := write(t, filepath.Join(t.TempDir(), "broken.toml"), "[route.x]\nprotocol = \"sctp\"\n")
	tests := []struct {
		name, file string
		named      bool
		want       Status
	}{
		{"none at the default path", missing, false, OK},
		{"none where one was named", missing, true, Failure},
		{"a broken one", broken, false, Failure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report := Examine(Gather(t.Context(), tt.file, tt.named))
			checkComplete(t, report)
			if found := of(report, "file"); len(found) == 0 || found[0].Status != tt.want {
				t.Errorf("got %+v, want %v", found, tt.want)
			}
		})
	}
}

// TestGatherWithoutPrivileges: what needs CAP_NET_ADMIN says so, and asks the kernel nothing.
func TestGatherWithoutPrivileges(t *testing.T) {
	for want, read := range map[string]func(context.Context, *Facts) error{
		"to find out what anyport could pin needs its privileges": readDeath,
		"to look for leftovers needs CAP_NET_ADMIN":               readLeftovers,
		"to list the sk_lookup programs needs CAP_NET_ADMIN":      readPrograms,
	} {
		if err := read(t.Context(), &Facts{}); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
