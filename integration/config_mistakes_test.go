package integration

import (
	"strings"
	"syscall"
	"testing"
)

// TestMistakes checks the messages for a wrong file: from check, from a reload command,
// and in the log.
func TestMistakes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.edge.serveWith(t, "[route.web]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n")
	wrong := "[[route]]\nprotocol = \"tcp+udp\"\nlisten = [\"192.0.2.0/255.255.255.0\"]\nupstream = \"10.0.0.5\"\nports = [22, \"80:90\"]\n"
	p.write(t, wrong)
	told := []string{ // of the file, whose first two lines are the admin socket's
		":3:1: route: a route needs a name: write [route.web], or any other name\n    3 | [[route]]\n      | ^^^^^^^^^\n",
		":4:12: route \"web\": protocol: \"tcp+udp\" is not one of \"tcp\" and \"udp\": write [\"tcp\", \"udp\"]\n    4 | protocol = \"tcp+udp\"\n      |            ^^^^^^^^^\n",
		":5:1: route \"web\": listen: unknown key: write prefixes\n    5 | listen = [\"192.0.2.0/255.255.255.0\"]\n      | ^^^^^^\n",
		":5:11: route \"web\": prefixes[0]: \"192.0.2.0/255.255.255.0\" is not a prefix: write \"192.0.2.0/24\"\n",
		":6:1: route \"web\": upstream: unknown key: write origins\n",
		":6:12: route \"web\": origins: \"10.0.0.5\" is not a list: write [\"10.0.0.5\"]\n",
		":7:14: route \"web\": ports[1]: \"80:90\" is not a port or range: write \"80-90\"\n    7 | ports = [22, \"80:90\"]\n      |              ^^^^^^^\n",
	}
	for _, args := range [][]string{{"check", "-c", p.file}, {"reload", "--socket", p.socket}} {
		got := anyport(t, args...)
		for _, want := range told {
			if got.status != 1 || !strings.Contains(got.stderr, "anyport: "+p.file+want) || got.stdout != "" {
				t.Errorf("anyport %v: %+v, want %q", args, got, want)
			}
		}
	}
	p.signal(t, syscall.SIGHUP)
	for _, want := range told {
		line, _, _ := strings.Cut(want, "\n")
		_, key, _ := strings.Cut(line, ": ")
		key, _, _ = strings.Cut(strings.TrimPrefix(key, `route "web": `), ":")
		p.expect(t, "level=ERROR", "reload refused", key, "write ")
	}

	p.write(t, "[route.web]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n")
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("as corrected: %+v", got)
	}
}
