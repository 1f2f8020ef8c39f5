package integration

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTFTP fetches a file as docs/PROTOCOLS.md says, from a server that answers from
// the port that was asked. Data from a server that answers from a new port, as TFTP
// servers usually do, is lost; so are answers to a client that sends no options, if
// there is no budget for them.
func TestTFTP(t *testing.T) {
	t.Parallel()
	for _, c := range []tftpCase{
		{name: "one port", server: []string{"--tftp-single-port"}, budget: "1MiB/s"},
		{name: "one port without options", server: []string{"--tftp-single-port"}, client: []string{"--tftp-no-options"}, budget: "1MiB/s"},
		{name: "one port without options or budget", server: []string{"--tftp-single-port"}, client: []string{"--tftp-no-options"}, budget: "0B/s", lost: true},
		{name: "a new port", budget: "1MiB/s", lost: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.lost { // else no flow comes so far that the kernel may forward it
				onBothPaths(t, c.fetch)
				return
			}
			t.Parallel()
			c.fetch(t, newRig(t))
		})
	}
}

type tftpCase struct {
	name           string
	server, client []string
	budget         string
	lost           bool
}

// fetch has curl fetch a file, which is lost or comes as it is.
func (c tftpCase) fetch(t *testing.T, r *rig) {
	t.Helper()
	curl, dnsmasq := needTool(t, "curl"), needTool(t, "dnsmasq")
	want := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{}).Read(want)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), want, 0o644); err != nil {
		t.Fatal(err)
	}
	r.origin.spawn(t, exec.Command(dnsmasq, append(c.server, "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0",
		"--enable-tftp", "--tftp-root="+dir)...)).expect(t, "TFTP root is")
	r.edge.serveWith(t, strings.ReplaceAll(`
[route.tftp]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
ports    = [69]
origins  = ["10.0.0.5"]
amplification_budget = "BUDGET"
`, "BUDGET", c.budget))
	patience := "20"
	if c.lost {
		patience = "2"
	}
	var got []byte
	r.client.do(func() {
		got, _ = exec.Command(curl, append(c.client, "--silent", "--max-time", patience, "tftp://"+dstV4+"/file")...).Output()
	})
	if lost := string(got) != string(want); lost != c.lost {
		t.Errorf("%d bytes have come, whole: %v", len(got), !lost)
	}
}
