package integration

import (
	"regexp"
	"strings"
	"testing"
)

// originPort is the port of the origin in a line of a server's configuration.
var originPort = regexp.MustCompile(`(10\.0\.0\.5[:@]|proxy-protocol-port: )\d+`)

// TestHowToProxyProtocol: each line that the page shows of a server's configuration is one with which
// TestSuitesHeaders runs that server, except for the port.
func TestHowToProxyProtocol(t *testing.T) {
	t.Parallel()
	tested := map[string]map[string]bool{}
	for _, r := range headerReaders {
		name, _, _ := strings.Cut(r.name, ",")
		tested[name] = map[string]bool{}
		for _, text := range r.files {
			for line := range strings.Lines(text) {
				tested[name][strings.TrimSpace(line)] = true
			}
		}
	}
	shown := map[string]bool{}
	for _, b := range documents(t)["../docs/how-to/proxy-protocol.md"] {
		name, isConf := strings.CutPrefix(b.info, "conf ")
		if !isConf {
			continue
		}
		shown[name] = true
		for line := range strings.Lines(originPort.ReplaceAllString(b.text, "${1}4000")) {
			if line = strings.TrimSpace(line); !tested[name][line] {
				t.Errorf("%s is not tested with %q", name, line)
			}
		}
	}
	for _, name := range []string{"nginx", "haproxy", "postfix", "unbound"} {
		if !shown[name] {
			t.Errorf("the page lacks %s", name)
		}
	}
}
