package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const unboundFile = `
server:
    interface: 10.0.0.5@53
    proxy-protocol-port: 53
    access-control: 0.0.0.0/0 allow
    access-control: ::0/0 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "DIR"
    pidfile: ""
    use-syslog: no
    verbosity: 1
    log-queries: yes
    incoming-num-tcp: 100
    so-rcvbuf: 4m
    module-config: "iterator"
    local-zone: "example." redirect
    local-data: "example. A 192.0.2.99"
    local-data: 'example. TXT "TEXT"'
remote-control:
    control-enable: no
`

// TestDNS has dnsperf query unbound through anyport, over UDP and TCP, from several
// addresses at once: no query is lost, and the headers tell unbound who the client is.
func TestDNS(t *testing.T) { onBothPaths(t, answersDNS) }

func answersDNS(t *testing.T, r *rig) {
	const another = "198.51.100.3"
	needTool(t, "dnsperf")
	r.client.output(t, "ip", "address", "add", another+"/24", "dev", "edge0")
	unbound := r.startUnbound(t)
	r.edge.serveWith(t, `
[route.dns]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [53]
origins  = ["10.0.0.5"]
proxy_protocol = "v2"
`)
	queries := []dnsQueries{
		{"udp", clientV4, dstV4}, {"udp", another, "192.0.2.8"}, {"udp", clientV6, dstV6}, {"tcp", another, dstV4}, {"tcp", clientV6, dstV6},
	}
	var clients sync.WaitGroup
	for i, q := range queries {
		clients.Go(func() { q.run(t, r.client, name(i)) })
	}
	clients.Wait()
	for i, q := range queries {
		asked := 0
		for line := range strings.Lines(unbound.String()) {
			if strings.Contains(line, name(i)) {
				if asked++; !strings.Contains(line, q.client+" "+name(i)) {
					t.Errorf("%+v: unbound got %s", q, line)
				}
			}
		}
		if asked == 0 {
			t.Errorf("%+v: unbound was asked nothing", q)
		}
	}
}

func name(i int) string { return fmt.Sprintf("from%d.example.", i) }

// dnsQueries is one run of dnsperf.
type dnsQueries struct{ transport, client, dst string }

var allAnswered = regexp.MustCompile(`Queries completed: +(\d+) \(100.00%\)\n *Queries lost: +0 \(0.00%\)\n(?s:.*)NOERROR (\d+) \(100.00%\)`)

func (q dnsQueries) run(t *testing.T, from *host, name string) {
	names := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(names, []byte(name+" A\n"), 0o600); err != nil {
		t.Error(err)
		return
	}
	from.do(func() {
		out, err := exec.Command("dnsperf", "-m", q.transport, "-a", q.client, "-s", q.dst, "-d", names,
			"-c", "20", "-b", "4096", "-Q", "300", "-l", fmt.Sprint(soak(1, 60)), "-t", "20").CombinedOutput()
		if found := allAnswered.FindSubmatch(out); err != nil || found == nil || !bytes.Equal(found[1], found[2]) {
			t.Errorf("%+v: %v\n%s", q, err, out)
		}
	})
}

var packetSizes = regexp.MustCompile(`Average packet size: +request (\d+), response (\d+)`)

// TestLongAnswers has dnsperf ask for answers that are more than three times as long as
// the question: as much as the default budget covers arrives.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startUnbound(t)
	r.edge.serveWith(t, `
[route.dns]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
ports    = [53]
origins  = ["10.0.0.5"]
proxy_protocol = "v2"
`)
	names := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(names, []byte(strings.Repeat("long.example. TXT\n", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	out := r.client.output(t, needTool(t, "dnsperf"), "-m", "udp", "-s", dstV4, "-d", names, "-n", "1", "-c", "20", "-t", "20")
	var question, answer int
	if found := packetSizes.FindStringSubmatch(out); found != nil {
		fmt.Sscan(found[1]+" "+found[2], &question, &answer)
	}
	if !allAnswered.MatchString(out) || answer <= 3*question {
		t.Errorf("%d bytes asked, %d answered:\n%s", question, answer, out)
	}
}

func (r *rig) startUnbound(t *testing.T) *process {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("DIR", dir, "TEXT", strings.Repeat("text ", 50)).Replace(unboundFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := r.origin.spawn(t, exec.Command(needTool(t, "unbound"), "-d", "-p", "-c", file))
	p.expect(t, "start of service")
	return p
}
