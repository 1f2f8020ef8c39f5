package services

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/table"
)

// socket is one that sock_diag(7) would list.
func socket(protocol config.Protocol, addr string, cookie uint64) host.Socket {
	return host.Socket{Listener: host.Listener{Protocol: protocol, Addr: netip.MustParseAddrPort(addr)}, Cookie: cookie}
}

func TestChoose(t *testing.T) {
	all := []host.Socket{
		socket(config.TCP, "127.0.0.1:53", 4), socket(config.TCP, "127.0.0.1:53", 3), // a group
		socket(config.TCP, "127.0.0.1:853", 5),
		socket(config.UDP, "0.0.0.0:53", 6), socket(config.UDP, "0.0.0.0:40000", 7),
	}
	target := func(protocol config.Protocol, listener string, port uint16) Target {
		to := Target{Service: table.Service{Name: "x.service"}, Protocol: protocol, Port: port}
		if listener != "" {
			to.Listener = netip.MustParseAddrPort(listener)
		}
		return to
	}
	for _, test := range []struct {
		name   string
		target Target
		want   []uint64
		err    string
	}{
		{"a group has one address", target(config.TCP, "127.0.0.1:53", 0), []uint64{3, 4}, ""},
		{"another listener", target(config.TCP, "127.0.0.1:853", 0), []uint64{5}, ""},
		{"an address that nobody listens on", target(config.TCP, "0.0.0.0:53", 0), nil, ""},
		{"no listener, several sockets", target(config.TCP, "", 0), nil,
			`x.service has several sockets for tcp: write listener = one of "127.0.0.1:53", "127.0.0.1:853"`},
		{"over udp the port chooses", target(config.UDP, "", 53), []uint64{6}, ""},
		{"over udp a port that it has not", target(config.UDP, "", 54), nil, ""},
	} {
		found, err := test.target.choose(all)
		var cookies []uint64
		for _, s := range found {
			cookies = append(cookies, s.Cookie)
		}
		message := ""
		if err != nil {
			message = err.Error()
		}
		if diff := cmp.Diff(test.want, cookies); diff != "" || message != test.err {
			t.Errorf("%s: %q%s", test.name, message, diff)
		}
		if err != nil && !errors.Is(err, ErrSeveral) {
			t.Errorf("%s: %v is not ErrSeveral", test.name, err)
		}
	}
}

// TestOwns: a route owns the sockets of its service only, and only for its protocols.
func TestOwns(t *testing.T) {
	r := &config.Route{Name: "dns", Action: config.Socket, Service: "x.service", Protocols: []config.Protocol{config.TCP}}
	found := Found{TargetsOf(r)[0]: netip.MustParseAddrPort("0.0.0.0:53")}
	for _, test := range []struct {
		listener host.Socket
		want     bool
	}{
		{socket(config.TCP, "0.0.0.0:53", 1), true},
		{socket(config.TCP, "127.0.0.1:53", 1), false},
		{socket(config.UDP, "0.0.0.0:53", 1), false},
	} {
		if got := found.Owns(r, test.listener.Listener); got != test.want {
			t.Errorf("%v %v: %v", test.listener.Protocol, test.listener.Addr, got)
		}
	}
	if (Found{}).Owns(r, socket(config.TCP, "0.0.0.0:53", 1).Listener) {
		t.Error("a service that does not run owns a listener")
	}
}
