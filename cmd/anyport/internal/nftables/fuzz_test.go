package nftables

import (
	"net/netip"
	"os"
	"testing"

	"anyport/cmd/anyport/internal/ruleset"
)

// FuzzText and FuzzJSON: no input makes the readers or the walk panic, and none has more rules than
// the bound.
func FuzzText(f *testing.F) { fuzz(f, ".nft", readText) }

// FuzzJSON is FuzzText for the other form.
func FuzzJSON(f *testing.F) { fuzz(f, ".json", readJSON) }

func fuzz(f *testing.F, suffix string, read func(string) (*document, error)) {
	for _, name := range examples(f) {
		text, err := os.ReadFile(name + suffix)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	p := ruleset.Packet{Protocol: 6, Interface: "eth0", Source: netip.MustParseAddrPort("203.0.113.1:1000"),
		Destination: netip.MustParseAddrPort("192.0.2.1:80")}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := read(text)
		if err != nil {
			return
		}
		s, err := translate(d)
		if err != nil {
			return
		}
		for _, c := range s.Chains {
			for _, r := range c.Rules {
				if len(r.Text) > 1<<16 {
					t.Errorf("a rule of %d bytes", len(r.Text))
				}
			}
		}
		ruleset.NewWalker(s).Walk(p)
	})
}
