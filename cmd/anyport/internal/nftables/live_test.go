package nftables

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"anyport/steering/netnstest"
)

// TestLive loads each ruleset into the kernel, and reads what nft prints of it in both forms.
func TestLive(t *testing.T) {
	for _, name := range examples(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if filepath.Base(name) == "iptables-nft" {
				t.Skip("iptables-nft wrote it, nft cannot")
			}
			netnstest.InNamespace(t)
			addVeth(t)
			load(t, name+".nft")
			asText, asJSON := parsedText(t, nft(t, "list", "ruleset")), parsedText(t, nft(t, "-j", "list", "ruleset"))
			compare(t, asText, asJSON)
			if stored := parsed(t, name+".json"); asJSON.Chains != nil {
				compare(t, stored, asJSON)
			}
		})
	}
}

// addVeth adds eth0, and peer that packets to eth0 are sent from. They live as long as the namespace.
func addVeth(t *testing.T) {
	t.Helper()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "peer"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eth0", "peer"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, file string) {
	t.Helper()
	if out, err := exec.Command("nft", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("nft -f %s: %v\n%s", file, err, out)
	}
}

// nft runs nft in the namespace of the test. Without nft the test is skipped, or fails where root is
// required.
func nft(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil && os.Getenv("REQUIRE_ROOT") != "1" {
		t.Skip(err)
	}
	out, err := exec.Command("nft", args...).Output()
	if err != nil {
		t.Fatalf("nft %v: %v", args, err)
	}
	return string(out)
}
