package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/integration/bench/peer"
)

// TestMain lets the test binary be the client, the origin and the Go proxy, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"client", "origin", "proxy"}, os.Args[1]) {
		main()
		return
	}
	os.Exit(m.Run())
}

func peerNamed(t *testing.T, name string) peer.Peer {
	t.Helper()
	i := slices.IndexFunc(peer.All, func(p peer.Peer) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("no peer is called %q", name)
	}
	return peer.All[i]
}

func TestScenariosNamePeers(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range scenarios {
		if seen[s.Name] {
			t.Errorf("two scenarios are called %q", s.Name)
		}
		seen[s.Name] = true
		for _, name := range append(s.Peers, s.Rival) {
			peerNamed(t, name)
		}
		if !s.has(s.Rival) {
			t.Errorf("%s: the rival, %s, takes no part", s.Name, s.Rival)
		}
	}
	for _, d := range drawn {
		if !seen[d.name] {
			t.Errorf("the drawing shows %q, which is not a scenario", d.name)
		}
	}
}

func TestSchedule(t *testing.T) {
	some := []scenario{
		{Name: "a", Peers: []string{"anyport", "go", "routed"}},
		{Name: "once", Peers: []string{"routed"}, Once: true},
	}
	var peers []peer.Peer
	for _, name := range []string{"anyport", "go", "routed"} {
		peers = append(peers, peerNamed(t, name))
	}
	var got []string
	for _, turn := range schedule(some, peers, 2) {
		got = append(got, fmt.Sprintf("%d %s %s", turn.run, turn.scenario.Name, turn.peer.Name))
	}
	want := []string{"0 a anyport", "0 a go", "0 a routed", "0 once routed", "1 a go", "1 a routed", "1 a anyport"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestSamples takes a short sample of every kind of job without a proxy, and of
// conns and flows through the one that is part of this program.
func TestSamples(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_ROOT") == "1" {
			t.Fatal("network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	b := &bencher{options: options{measure: 100 * time.Millisecond}, dir: t.TempDir(), nofile: 2000}
	var err error
	if b.self, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	type kind struct {
		job  string
		ipv6 bool
	}
	kinds := make(map[kind]bool)
	for _, s := range scenarios {
		k := kind{s.Job.Kind, s.IPv6}
		if kinds[k] || s.Job.Spoof > 0 {
			continue
		}
		kinds[k] = true
		for _, name := range []string{"routed", "go"} {
			if (s.Job.Shared || s.IPv6) && !s.has(name) {
				continue
			}
			t.Run(s.Name+"/"+name, func(t *testing.T) { b.check(t, s, peerNamed(t, name)) })
		}
	}
}

func (b *bencher) check(t *testing.T, s scenario, p peer.Peer) {
	if missing := p.Missing(); missing != "" {
		t.Skipf("%s is not installed", missing)
	}
	r, err := b.sample(t.Context(), s, p)
	if err != nil {
		t.Fatal(err)
	}
	if r.Ops == 0 || r.Seconds == 0 || r.Wrong > 0 {
		t.Errorf("%+v", r)
	}
	if s.Job.Kind != "hold" && (r.ProxyCPU > 0) == p.Direct {
		t.Errorf("the proxy used %v s of CPU", r.ProxyCPU)
	}
}
