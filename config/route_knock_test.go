package config

import (
	"strings"
	"testing"
)

// TestKnockRefused: what cannot be knocked at, or would open to a scan, is an error of the file.
func TestKnockRefused(t *testing.T) {
	const head = "[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n"
	const ports = "ports = [22]\n"
	for _, test := range []struct{ name, text, want string }{
		{"a port twice", head + ports + "knock = [7000, 8000, 7000]", "7000 is already at knock[0]"},
		{"two ports", head + ports + "knock = [7000, 8000]", "has 2 ports: write 3 to 5"},
		{"six ports", head + ports + "knock = [1, 3, 5, 7, 9, 11]", "has 6 ports: write 3 to 5"},
		{"a scan upwards", head + ports + "knock = [7000, 7001, 7002]", "a scan of all ports in their order would open it"},
		{"a scan downwards", head + ports + "knock = [7002, 7001, 7000]", "a scan of all ports in their order would open it"},
		{"its own port", head + ports + "knock = [7000, 22, 9000]", "port 22 is one of the route's own"},
		{"spa and ports", head + ports + "knock = [\"spa\", 7000]", `"spa" stands alone`},
		{"spa without keys", head + ports + "knock = [\"spa\"]", `"spa" needs keys`},
		{"behind a load balancer", head + ports + "knock = [7000, 1234, 9000]\naccept_proxy = [\"10.0.0.0/8\"]", "cannot be combined with accept_proxy"},
		{"spa behind a load balancer", "[knock]\nkeys = \"/k\"\n" + head + ports + "knock = [\"spa\"]\naccept_proxy = [\"10.0.0.0/8\"]", "cannot be combined with accept_proxy"},
		{"a port of another route", head + ports + "knock = [7000, 1234, 9000]\n" + strings.ReplaceAll(head, "route.a", "route.b") + "ports = [23]\nknock = [5, 1, 7000]", `port 7000 is also in the knock of route "a"`},
		{"the doorbell taken", "[knock]\nkeys = \"/k\"\n" + head + ports + "knock = [\"spa\"]\n" + strings.NewReplacer("route.a", "route.b", "tcp", "udp").Replace(head) + "ports = [62201]\n", `udp port 62201 is where route "a" (line 3) is knocked at`},
	} {
		var texts []string
		for _, p := range problemsOf(t, test.text) {
			texts = append(texts, p.Text)
		}
		if all := strings.Join(texts, "\n"); !strings.Contains(all, test.want) {
			t.Errorf("%s: %q, want %q", test.name, all, test.want)
		}
	}
}
