package daemon

import (
	"strings"
	"testing"
)

func TestNeededCapabilities(t *testing.T) {
	for _, test := range []struct{ text, release, want string }{
		{"", "6.18.44\n", "CAP_NET_BIND_SERVICE CAP_NET_ADMIN"},
		{"", "5.19.0-rc1", "CAP_NET_BIND_SERVICE CAP_NET_ADMIN"},
		{"[steering]\nmanage_routes = false\n", "6.1.0-18-amd64", "CAP_NET_BIND_SERVICE"},
		{"[steering]\nmanage_routes = false\n", "5.10.0-28-amd64", "CAP_NET_BIND_SERVICE CAP_BPF"},
		{"", "4.19", "CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_BPF"},
		{"", "", "CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_BPF"},
	} {
		if got := strings.Join(neededCapabilities(parse(t, test.text), test.release).Names(), " "); got != test.want {
			t.Errorf("%q on %q keeps %s, want %s", test.text, test.release, got, test.want)
		}
	}
}
