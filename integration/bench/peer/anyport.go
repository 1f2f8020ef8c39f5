package peer

import (
	"fmt"
	"net/netip"
	"strings"
)

const anyportFile = `
[listen]
workers = %d

[steering]
manage_routes = false

[admin]
socket = ""

[log]
level = "warn"

[route.bench]
protocol       = %q
prefixes       = [%s]
origins        = [%q]
proxy_protocol = %q
drain_timeout  = "0s"
`

// anyport deploys the program of this repository.
func anyport(workers int) func(*Deployment) error {
	return func(d *Deployment) error { return d.runAnyport(workers, []string{d.Served.String()}) }
}

// anyportPrefixes gives the table 99,999 prefixes more, which nobody asks for.
func anyportPrefixes(d *Deployment) error {
	prefixes := []string{d.Served.String()}
	for address := netip.MustParseAddr("172.16.0.1"); len(prefixes) < 100_000; address = address.Next() {
		prefixes = append(prefixes, address.String())
	}
	return d.runAnyport(1, prefixes)
}

func (d *Deployment) runAnyport(workers int, prefixes []string) error {
	quoted := `"` + strings.Join(prefixes, `", "`) + `"`
	path, err := d.write("anyport.toml", fmt.Sprintf(anyportFile, workers, d.Protocol, quoted, d.Origin, d.Header))
	if err != nil {
		return err
	}
	if err := d.Edge.Local(d.Served.String(), 0); err != nil {
		return err
	}
	return d.start(nil, nil, d.Anyport, "run", "-c", path)
}
