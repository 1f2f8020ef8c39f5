package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPeersReload: peers come by a reload to hosts that began without, and the conns that there are survive a rehash
// from then on, also after an upgrade. A signal cannot bring them, nor a file that cannot be fulfilled: then nothing of
// it is in force. A reload takes them away again, with all that was attached for them.
func TestPeersReload(t *testing.T) {
	t.Parallel()
	f := newPeerRig(t, 2)
	for _, address := range []string{originV4, "[" + originV6 + "]"} {
		f.talker(t, fmt.Sprint(address, ":", talkPort))
	}
	steering := "[steering]\nmanage_routes = false\n"
	if olderKernel(t, 6, 6) { // filters of tc are added with CAP_NET_ADMIN
		steering = ""
	}
	for _, e := range f.edges {
		if steering != "" {
			e.output(t, "ip", "route", "add", "local", servedV4, "dev", "lo")
			e.output(t, "ip", "-6", "route", "add", "local", servedV6, "dev", "lo")
		}
		e.proxy = e.serveWith(t, steering+f.file(e))
	}
	families := []*family{newFamily(t, f.edges[0].proxy), newFamily(t, f.edges[1].proxy)}
	f.hash(t, f.edges...)
	load := newPeerLoad(t, f.client, 40)
	load.settle(t)
	alone := attached(t, families[0])

	f.key = newPeerKey(t)
	first := f.edges[0]
	file := steering + f.file(first)
	first.proxy.write(t, file)
	first.proxy.signal(t, syscall.SIGHUP)
	first.proxy.expect(t, "reload refused", "fleet.peers", "give as root: anyport reload")
	reloadRefused(t, first, strings.ReplaceAll(file, "back0", "back7"), "no such network interface", "--dry-run")
	reloadRefused(t, first, strings.ReplaceAll(file, "back0", "back7"), "no such network interface")
	reloadRefused(t, first, strings.ReplaceAll(file, "back0", "lo"), "have no Ethernet header") // what asks them came, and is taken back
	if now := attached(t, families[0]); now != alone || len(first.proxy.status(t).Peers.Peers) > 0 {
		t.Errorf("after reloads that were refused %d programs are attached, %d before", now, alone)
	}
	first.proxy.write(t, file)
	if got := anyport(t, "reload", "--dry-run", "--socket", first.proxy.socket); got.status != 3 || !strings.Contains(got.stdout, "fleet.peers") {
		t.Errorf("a dry run: %+v", got)
	}
	for _, e := range f.edges {
		e.reload(t, steering+f.file(e))
	}
	f.awaitPeers(t, 1)
	f.rehash(t, f.edges...)
	load.settle(t)
	if lost := load.lost(); len(lost) > 0 {
		t.Errorf("%d conns are lost: %s", len(lost), lost[0])
	}
	f.expectTaken(t)
	for n := range f.edges {
		families[n].upgrade(t)
		load.settle(t)
	}
	f.awaitPeers(t, 1)
	f.rehash(t, f.edges...)
	load.settle(t)
	load.expectNoneLost(t)

	// What is in force stays, if another file cannot be.
	reloadRefused(t, first, strings.ReplaceAll(file, "back0", "back7"), "no such network interface")
	f.awaitPeers(t, 1)
	f.key = ""
	first.reload(t, steering+f.file(first))
	if now := attached(t, families[0]); now != alone || len(first.proxy.status(t).Peers.Peers) > 0 {
		t.Errorf("without peers %d programs are attached, %d at first", now, alone)
	}
	first.reload(t, file) // the process still has what asks them
	f.awaitPeers(t, 1)
}

// reloadRefused has an edge reload a file that it must refuse, with these words and the place of the peers.
func reloadRefused(t *testing.T, e *peerEdge, file, problem string, args ...string) {
	t.Helper()
	e.proxy.write(t, file)
	got := anyport(t, append([]string{"reload", "--socket", e.proxy.socket}, args...)...)
	if got.status != 1 || !strings.Contains(got.stderr, "fleet.peers") || !strings.Contains(got.stderr, problem) {
		t.Errorf("reload %v: %+v, want %q", args, got, problem)
	}
}

// attached is how many links to devices the serving process has; 0 on kernels without such links.
func attached(t *testing.T, processes *family) (n int) {
	t.Helper()
	pid := processes.pids[len(processes.pids)-1]
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // it may be closed meanwhile
		if strings.Contains(string(text), "link_type:\ttcx") {
			n++
		}
	}
	return n
}

// TestPeersUpgrade: peers come by an upgrade to hosts that began without.
func TestPeersUpgrade(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	f := newPeerRig(t, 2)
	for _, address := range []string{originV4, "[" + originV6 + "]"} {
		f.talker(t, fmt.Sprint(address, ":", talkPort))
	}
	for _, e := range f.edges {
		f.serve(t, e)
	}
	families := []*family{newFamily(t, f.edges[0].proxy), newFamily(t, f.edges[1].proxy)}
	f.hash(t, f.edges...)
	load := newPeerLoad(t, f.client, 40)
	f.key = newPeerKey(t)
	for n, e := range f.edges {
		e.proxy.write(t, f.file(e))
		families[n].upgrade(t)
	}
	f.awaitPeers(t, 1)
	f.rehash(t, f.edges...)
	load.settle(t)
	load.expectNoneLost(t)
	f.expectTaken(t)
}
