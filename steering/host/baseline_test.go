package host

import (
	"net/netip"
	"testing"

	"github.com/gaissmai/bart"
	"github.com/google/go-cmp/cmp"

	"anyport/steering/internal/tabletest"
)

func texts(prefixes []netip.Prefix) (all []string) {
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return all
}

// TestBaseline tells what is lost from what never was, and ours from what others keep local.
func TestBaseline(t *testing.T) {
	cfg := tabletest.Managed("192.0.2.0/24", "198.51.100.7", "203.0.113.0/24", "2001:db8::/48")
	f := newBaseline(cfg, tabletest.Compile(t, cfg.Routes...))
	mine := tabletest.Lite("192.0.2.0/24 2001:db8::/48")
	on := func(there bool) map[string]bool { return map[string]bool{"lo is down": there} }
	for _, step := range []struct {
		name               string
		local              *bart.Lite
		others             map[string]bool
		ours, theirs, lost []string
	}{
		{"nothing yet", tabletest.Lite(""), on(false), []string{"192.0.2.0/24", "2001:db8::/48"}, nil, nil},
		{"all that there is", tabletest.Lite("192.0.2.0/24 2001:db8::/48 198.51.100.0/24"), on(true), nil, nil, nil},
		{"a wider one is not ours", tabletest.Lite("192.0.0.0/16 2001:db8::/48 198.51.100.0/24"), on(true), []string{"192.0.2.0/24"}, nil, nil},
		{"another's", tabletest.Lite("192.0.2.0/24 2001:db8::/48"), on(true), nil, []string{"198.51.100.7/32"}, nil},
		{"all of it", tabletest.Lite(""), on(false), []string{"192.0.2.0/24", "2001:db8::/48"}, []string{"198.51.100.7/32"}, []string{"lo is down"}},
		{"another table", tabletest.Lite(""), on(false), []string{"192.0.2.0/24", "2001:db8::/48"}, []string{"198.51.100.7/32"}, []string{"lo is down"}},
		{"back again", tabletest.Lite("192.0.2.0/24 2001:db8::/48 198.51.100.7/32"), on(true), nil, nil, nil},
	} {
		if step.name == "another table" {
			next := newBaseline(cfg, tabletest.Compile(t, cfg.Routes...))
			next.continueFrom(f)
			f = next
		}
		ours, theirs, others := f.compare(kernelState{step.local, step.others}, mine)
		if diff := cmp.Diff([][]string{step.ours, step.theirs, step.lost}, [][]string{texts(ours), texts(theirs), others}); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
}
