package proxyconftest

import (
	"net/netip"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// Anything checks a reading of any text: each line has an outcome, and what is written is a valid
// file, but for routes that two sections on one address would make.
func Anything(t *testing.T, read func(o proxyconf.Options) (*proxyconf.Reading, error)) {
	o := proxyconf.Options{
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:1::/48")},
		Env:      func(string) (string, bool) { return "x", true },
	}
	reading, err := read(o)
	if err != nil {
		return
	}
	for _, l := range reading.Lines {
		if l.Outcome() == "" {
			t.Errorf("%s %q has no outcome", l.Place(), l.Text)
		}
	}
	draft := reading.Draft(o)
	for _, route := range draft.Routes {
		alone := *draft
		alone.Routes = alone.Routes[:0:0]
		alone.Routes = append(alone.Routes, route)
		var toml strings.Builder
		if err := alone.Write(&toml); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse("fuzz.toml", []byte(toml.String())); err != nil {
			t.Errorf("%s\n%s", config.Detail(err), toml.String())
		}
	}
	o.Elsewhere = true
	if reading, err = read(o); err == nil {
		proxyconf.DraftServices(reading)
	}
}
