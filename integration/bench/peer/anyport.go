package peer

import (
	"cmp"
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
ports          = [%q]
origins        = [%q]
proxy_protocol = %q
drain_timeout  = "0s"
max_flows_per_client = 1_000_000  # one address stands for all clients
`

// anyport deploys the program of this repository.
type anyport struct {
	workers  int
	header   string // proxy_protocol, if the site does not say
	ports    string // that the route has; "": all
	prefixes int    // in the table, beside the one that clients ask for
}

func (a anyport) deploy(d *Deployment) error {
	prefixes := []string{d.Served.String()}
	for address := netip.MustParseAddr("172.16.0.1"); len(prefixes) < a.prefixes; address = address.Next() {
		prefixes = append(prefixes, address.String())
	}
	quoted := `"` + strings.Join(prefixes, `", "`) + `"`
	header := cmp.Or(d.Header, a.header, "off")
	path, err := d.write("anyport.toml", fmt.Sprintf(anyportFile, a.workers, d.Protocol, quoted, cmp.Or(a.ports, "1-65535"), d.Origin, header))
	if err != nil {
		return err
	}
	if err := d.Edge.Local(d.Served.String(), 0); err != nil {
		return err
	}
	return d.start(nil, nil, d.Anyport, "run", "-c", path)
}
