package peer

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
level  = "warn"
access = %q
access_sample = %q

[route.bench]
protocol       = %q
prefixes       = [%s]
ports          = [%q]
origins        = [%q]
proxy_protocol = %q
drain_timeout  = "0s"
%s`

// ofFlows are the keys of routes over UDP.
func (a anyport) ofFlows(site Site) string {
	if site.Protocol != "udp" {
		return ""
	}
	keys := "max_flows_per_client = 1_000_000  # one address stands for all clients\n"
	if a.user {
		keys += "fast_path = \"off\"\n"
	}
	if a.egress != "" {
		keys += fmt.Sprintf("egress_prefixes = [%q]\n", a.egress)
	}
	if site.Idle > 0 {
		keys += fmt.Sprintf("udp_idle_timeout = %q\n", site.Idle)
	}
	return keys
}

// anyport deploys the program of this repository.
type anyport struct {
	workers  int
	header   string // proxy_protocol, if the site does not say
	ports    string // that the route has; "": all
	prefixes int    // in the table, beside the one that clients ask for
	user     bool   // no fast path: UDP passes the process
	egress   string // the prefix that flows leave from, without sockets of their own; "": none
	access   bool   // an access log, in a file
	sample   string // access_sample; "": 100%
}

func (a anyport) deploy(d *Deployment) error {
	prefixes := []string{d.Served.String()}
	for address := netip.MustParseAddr("172.16.0.1"); len(prefixes) < a.prefixes; address = address.Next() {
		prefixes = append(prefixes, address.String())
	}
	quoted := `"` + strings.Join(prefixes, `", "`) + `"`
	header := cmp.Or(d.Header, a.header, "off")
	access := ""
	if a.access {
		access = filepath.Join(d.Dir, "access.log")
		if err := os.RemoveAll(access); err != nil { // of the sample before
			return err
		}
	}
	path, err := d.write("anyport.toml", fmt.Sprintf(anyportFile, a.workers, access, cmp.Or(a.sample, "100%"), d.Protocol, quoted, cmp.Or(a.ports, "1-65535"), d.originHost(), header, a.ofFlows(d.Site)))
	if err != nil {
		return err
	}
	if err := d.Edge.Local(d.Served.String(), 0); err != nil {
		return err
	}
	if a.egress != "" {
		if err := d.Edge.Local(a.egress, 0); err != nil {
			return err
		}
	}
	return d.start(nil, nil, d.Anyport, "run", "-c", path)
}
