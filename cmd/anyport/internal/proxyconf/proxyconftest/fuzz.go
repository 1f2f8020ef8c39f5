package proxyconftest

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// Fuzz checks the readings of any text. It begins with the files that a pattern matches.
func Fuzz(f *testing.F, pattern string, read Read) {
	files, _ := filepath.Glob(pattern)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		Anything(t, func(o proxyconf.Options) (*proxyconf.Reading, error) {
			return read("fuzz"+filepath.Ext(pattern), text, o)
		})
	})
}

// Anything checks a reading of any text: each line has an outcome, and each route that is
// written makes a valid file when it is the only one. Routes of two sections on one address may collide.
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
