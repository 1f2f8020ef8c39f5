package ruleset

import "strings"

// owners are the programs that keep chains of their own, by how the names of these begin. Such a
// program writes its rules again when it starts, so nobody should take them over.
var owners = []struct{ begin, program string }{
	{"DOCKER", "Docker"},
	{"KUBE-", "kube-proxy"},
	{"ISTIO_", "Istio"},
	{"CILIUM_", "Cilium"}, {"OLD_CILIUM_", "Cilium"},
	{"cali-", "Calico"},
	{"FLANNEL-", "Flannel"},
	{"CNI-", "CNI plugins"}, {"NETAVARK", "Podman"},
	{"LIBVIRT_", "libvirt"},
	{"ufw-", "ufw"}, {"ufw6-", "ufw"},
	{"f2b-", "Fail2ban"},
	{"ts-", "Tailscale"},
	// firewalld with its backend iptables
	{"PREROUTING_direct", "firewalld"}, {"PREROUTING_ZONES", "firewalld"}, {"PREROUTING_POLICIES", "firewalld"}, {"PRE_", "firewalld"},
	// OpenWrt's fw3; fw4 has a table of its own
	{"zone_", "OpenWrt"}, {"prerouting_rule", "OpenWrt"},
}

// tableOwners are the programs that keep whole tables of nftables.
var tableOwners = map[string]string{
	"fw4": "OpenWrt fw4", "firewalld": "firewalld", "kube-proxy": "kube-proxy", "docker-bridges": "Docker",
	"netavark": "Podman", "libvirt_network": "libvirt", "istio-ambient": "Istio",
}

// OwnerOf names the program that keeps a chain, or "" if somebody wrote it.
func OwnerOf(table, chain string) string {
	if program := tableOwners[table]; program != "" {
		return program
	}
	for _, o := range owners {
		if strings.HasPrefix(chain, o.begin) {
			return o.program
		}
	}
	return ""
}
