package gommproxy_test

import (
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/gommproxy"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/cmd/anyport/internal/proxyconf/proxyconftest"
)

func FuzzRead(f *testing.F) {
	f.Add("-l 0.0.0.0:25 -4 127.0.0.1:2525 -6 [::1]:2525 --allowed-subnets peers.txt", "10.0.0.0/8\n2001:db8::/32\n")
	f.Add("-p udp --l=[::]:53 -4=10.0.0.5:5353 -close-after 90", "")
	f.Fuzz(func(t *testing.T, args, peers string) {
		proxyconftest.Anything(t, func(o proxyconf.Options) (*proxyconf.Reading, error) {
			o.ReadFile = func(string) ([]byte, error) { return []byte(peers), nil }
			return gommproxy.Read(strings.Fields(args), o)
		})
	})
}
