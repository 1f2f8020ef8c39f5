package gommproxy_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/gommproxy"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/cmd/anyport/internal/proxyconf/proxyconftest"
)

// options read one file, peers.txt.
func options() proxyconf.Options {
	return proxyconf.Options{
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:1::/48")},
		ReadFile: func(path string) ([]byte, error) {
			if path != "peers.txt" {
				return nil, fs.ErrNotExist
			}
			return []byte("10.1.0.0/16\n# the second site\n10.2.0.1/32\n\n2001:db8:5::/48\n"), nil
		},
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{
			"-l 0.0.0.0:25 -4 127.0.0.1:2525 -6 [::1]:2525 --allowed-subnets peers.txt -mark 123 -v 1", `
# go-mmproxy: -l 0.0.0.0:25 -4 127.0.0.1:2525 -6 [::1]:2525 --allowed-subnets peers.txt -mark 123 -v 1
# not transparent: 127.0.0.1 is on this host and would answer clients past anyport; write proxy_protocol if it reads headers
[route.mmproxy]
protocol     = "tcp"
prefixes     = ["192.0.2.0/24"]
ports        = [25]
origins      = ["127.0.0.1:2525", "[::1]:2525"]
accept_proxy = ["10.1.0.0/16", "10.2.0.1", "2001:db8:5::/48"]
`,
		},
		{
			"/usr/bin/go-mmproxy -p udp --l=[::]:53 -4=10.0.0.5:5353 -close-after 90 -allowed-subnets=peers.txt", `
# go-mmproxy: -p udp --l=[::]:53 -4=10.0.0.5:5353 -close-after 90 -allowed-subnets=peers.txt
[route.mmproxy]
protocol         = "udp"
prefixes         = ["192.0.2.0/24", "2001:db8:1::/48"]
ports            = [53]
origins          = ["10.0.0.5:5353"]
accept_proxy     = ["10.1.0.0/16", "10.2.0.1", "2001:db8:5::/48"]
udp_idle_timeout = "1m30s"
transparent      = true
`,
		},
		{
			"mmproxy -l 192.0.2.7:8443", `
# go-mmproxy: -l 192.0.2.7:8443
# go-mmproxy without --allowed-subnets believes the header of everybody: name the peers in accept_proxy
# not transparent: 127.0.0.1 is on this host and would answer clients past anyport; write proxy_protocol if it reads headers
[route.mmproxy]
protocol     = "tcp"
prefixes     = ["192.0.2.7"]
ports        = [8443]
origins      = ["127.0.0.1:443", "[::1]:443"]
accept_proxy = ["0.0.0.0/0", "::/0"]
`,
		},
	} {
		reading, err := gommproxy.Read(strings.Fields(c.args), options())
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		var toml strings.Builder
		if err := reading.Draft(options()).Write(&toml); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimPrefix(c.want, "\n"); toml.String() != want {
			t.Errorf("%s:\n%swant:\n%s", c.args, toml.String(), want)
		}
		proxyconftest.Accepted(t, c.args, toml.String())
		for _, l := range reading.Lines {
			if len(l.Keys)+len(l.Left) == 0 {
				t.Errorf("%s has no outcome", l.Text)
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-l 0.0.0.0":                    "it has no port",
		"-l":                            "has no value",
		"25":                            "is not an option of go-mmproxy",
		"-4 127.0.0.1":                  "it has no port",
		"-p sctp":                       "it is tcp or udp",
		"--allowed-subnets nowhere.txt": "run anyport import where go-mmproxy runs",
		"-l 127.0.0.1:25":               "loopback",
		"-close-after soon":             "a number of seconds",
		"-l server:25":                  "is not an address without a zone",
		"-l 0.0.0.0:25 -4 0.0.0.0:25":   "reverse proxy",
	} {
		if _, err := gommproxy.Read(strings.Fields(args), options()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	o := options()
	o.Prefixes = nil
	if _, err := gommproxy.Read(nil, o); err == nil || !strings.Contains(err.Error(), "--prefix") {
		t.Errorf("no prefix: %v", err)
	}
	if _, err := gommproxy.Read([]string{"--allowed-subnets", "x"}, options()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
