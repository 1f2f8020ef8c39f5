package doctor

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/steering/host"
)

// transparent makes the route transparent, with one origin of each family behind eth0.
func transparent(f *Facts) {
	r := f.Config.Routes[0]
	r.Transparent = true
	for _, addr := range []string{"10.0.0.5", "fd00::5"} {
		a := netip.MustParseAddr(addr)
		r.Origins = append(r.Origins, config.Origin{Text: addr, Addr: a})
		f.Returns = append(f.Returns, host.ReturnWay{Origin: a, Interface: "eth0", Refused: "the kernel would forward it"})
	}
}

func delivered(f *Facts) {
	for i := range f.Returns {
		f.Returns[i].Refused = ""
	}
}

func TestTransparent(t *testing.T) {
	run(t, "transparent", []example{
		{"no such route", func(*Facts) {}, []Status{OK}, "no route is transparent", ""},
		{"not running yet", transparent, []Status{OK}, "10.0.0.5 on eth0, fd00::5 on eth0", ""},
		{"delivered", all(transparent, runs(), delivered), []Status{OK}, "is delivered to this host", ""},
		{"another rule comes first", all(transparent, runs()), []Status{Failure, Failure},
			"what 10.0.0.5 sends to a client, arriving on eth0, is not delivered",
			"ip rule; sysctl -a --pattern 'conf.(all|eth0).(rp_filter|src_valid_mark|accept_local)'"},
		{"no route to the origin", all(transparent, runs(), func(f *Facts) {
			for i := range f.Returns {
				f.Returns[i].Interface = ""
			}
		}), []Status{Warning, Warning}, "no route leads to 10.0.0.5", "ip route get 10.0.0.5"},
		{"marks count for sources", all(transparent, delivered, func(f *Facts) { f.Links[1].ValidatesMark = true }),
			[]Status{Failure}, "src_valid_mark is on for eth0", "sysctl -w net/ipv4/conf/eth0/accept_local=1"},
		{"marks count elsewhere", all(transparent, second(Link{Name: "wg0", Up: true, ValidatesMark: true})),
			[]Status{OK}, "", ""},
		{"only names", func(f *Facts) { f.Config.Routes[0].Transparent = true }, []Status{OK}, "only names", ""},
	})
}
