package integration

import (
	"strings"
	"testing"
)

const importRules = `
iptables -t mangle -N DIVERT
iptables -t mangle -A DIVERT -j MARK --set-xmark 0x1/0xffffffff
iptables -t mangle -A DIVERT -j ACCEPT
iptables -t mangle -A PREROUTING -p tcp -m socket --transparent -j DIVERT
iptables -t mangle -A PREROUTING -d 192.0.2.0/24 -p tcp --dport 22 -j RETURN
iptables -t mangle -A PREROUTING -d 192.0.2.0/24 -p tcp -j TPROXY --on-ip 127.0.0.1 --on-port 9 --tproxy-mark 1
ip link add elsewhere0 type veth peer name elsewhere1
ip link set elsewhere0 up
ip route add 203.0.113.0/24 dev elsewhere0
iptables -t mangle -A PREROUTING -d 203.0.113.0/24 -p tcp -j TPROXY --on-ip 127.0.0.1 --on-port 10 --tproxy-mark 1
ip6tables -t mangle -A PREROUTING -d 2001:db8:1::/48 -p udp -j TPROXY --on-ip ::1 --on-port 9 --tproxy-mark 1
`

// TestImportLive: iptables-nft and iptables-legacy give one file, without what this host routes elsewhere, and nft is asked for nothing that it
// hides: it sends its reader to iptables-save.
func TestImportLive(t *testing.T) {
	t.Parallel()
	var files []string
	for _, variant := range []string{"-nft", "-legacy"} {
		needTool(t, "iptables"+variant)
		h := newHost(t, "import"+variant)
		h.run(t, tproxyRoutes)
		h.run(t, strings.ReplaceAll(importRules, "tables", "tables"+variant))
		files = append(files, h.output(t, program, "import", "iptables", "--live", "--origin", "10.0.0.5"))
		if variant == "-nft" {
			said := h.output(t, "sh", "-c", program+" import nft --live 2>&1 || true")
			if !strings.Contains(said, "iptables-save") {
				t.Errorf("import nft says\n%s", said)
			}
		}
	}
	if files[0] != files[1] {
		t.Errorf("iptables-nft gives\n%s\niptables-legacy gives\n%s", files[0], files[1])
	}
	if strings.Contains(files[0], "203.0.113.0/24") {
		t.Errorf("the file has dsts of another host:\n%s", files[0])
	}
	for _, want := range []string{"[route.pass-22-tcp]", "[route.tproxy-9-tcp]", "[route.tproxy-9-udp-v6]", `prefixes = ["2001:db8:1::/48"]`} {
		if !strings.Contains(files[0], want) {
			t.Errorf("%s is missing in\n%s", want, files[0])
		}
	}
}
