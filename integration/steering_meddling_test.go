package integration

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// TestMeddling does to the steering what other privileged programs can do: anyport
// notices, reports it, and is repaired.
func TestMeddling(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	r.origin.both(t, "[fd00:5::5]:80", named("origin"))
	p := r.edge.serveWith(t, relayFile)
	t.Run("table", func(t *testing.T) { meddleWithTable(t, r, p) })
	t.Run("link", func(t *testing.T) { meddleWithLink(t, r, p) })
	t.Run("device", func(t *testing.T) { meddleWithDevice(t, r, p) })
	t.Run("another program", func(t *testing.T) { meddleWithProgram(t, r, p) })
}

// meddleWithTable erases the IPv4 prefixes: a reload fills them in again.
func meddleWithTable(t *testing.T, r *rig, p *proxy) {
	eraseAll(t, p.steeringMap(t, "prefixes_v4"))
	r.reach(t, refused, dstV4+":80")
	drift := anyport(t, "status", "--drift", "--socket", p.socket)
	if drift.status != 1 || !strings.Contains(drift.stdout, servedV4) || !strings.Contains(drift.stderr, "anyport reload") {
		t.Errorf("drift: %+v", drift)
	}
	explain := anyport(t, "explain", "--socket", p.socket, "tcp", dstV4+":80")
	if _, ok := find(explain.stdout, []string{"kernel:", "pass"}); !ok || !strings.HasPrefix(explain.stdout, "verdict: steer\n") {
		t.Errorf("explain: %+v", explain)
	}
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
	r.reach(t, "origin", dstV4+":80")
	if got := anyport(t, "status", "--drift", "--socket", p.socket); got.status != 0 || got.stdout != "" {
		t.Errorf("drift after a reload: %+v", got)
	}
}

// meddleWithLink detaches the program: it is attached again, without the privileges that
// were given up since the start.
func meddleWithLink(t *testing.T, r *rig, p *proxy) {
	own := p.steeringLink(t)
	defer own.Close()
	if err := own.Detach(); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "level=ERROR", "somebody else has touched the link", "attached again")
	r.reach(t, "origin", dstV4+":80", "["+dstV6+"]:80")
	if s := p.status(t).Steering; !s.Attached || len(s.Foreign) != 0 {
		t.Errorf("status: %+v", s)
	}
}

// meddleWithDevice sets the device of the local routes down, and then removes it: the device
// and the routes come back.
func meddleWithDevice(t *testing.T, r *rig, p *proxy) {
	for _, command := range []string{"ip link set anyport0 down", "ip link del anyport0"} {
		r.edge.run(t, command)
		p.expect(t, "level=ERROR", "network device of the local routes", "both are there again")
		eventually(t, "it serves after "+command, func() bool {
			return r.client.ask("tcp", netip.MustParseAddrPort(dstV4+":80"), silent) == "origin" &&
				r.client.ask("tcp", netip.MustParseAddrPort("["+dstV6+"]:80"), silent) == "origin"
		})
	}
	if got := p.status(t).Steering.OnDeath; got != "unreachable" {
		t.Errorf("on_death is %q", got)
	}
}

// meddleWithProgram attaches a program beside ours that decides nothing.
func meddleWithProgram(t *testing.T, r *rig, p *proxy) {
	idle, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "idle", Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, // 1 = SK_PASS
	})
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	other, err := link.AttachNetNs(r.edge.FD(), idle)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	r.reach(t, "origin", dstV4+":80")
	if s := p.status(t).Steering; !s.Attached || len(s.Foreign) != 1 {
		t.Errorf("status beside another program: %+v", s)
	}
}

// steeringMap opens a map of the program that serves.
func (p *proxy) steeringMap(t *testing.T, name string) *ebpf.Map {
	t.Helper()
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(p.status(t).Steering.ProgramID))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		if about, err := m.Info(); err == nil && about.Name == name {
			return m
		}
	}
	t.Fatalf("the program has no map %s", name)
	return nil
}

// steeringLink opens the link of the program that serves.
func (p *proxy) steeringLink(t *testing.T) link.Link {
	t.Helper()
	want := ebpf.ProgramID(p.status(t).Steering.ProgramID)
	var all link.Iterator
	defer all.Close()
	for all.Next() {
		if info, err := all.Link.Info(); err == nil && info.Program == want {
			return all.Take()
		}
	}
	t.Fatalf("program %d has no link: %v", want, all.Err())
	return nil
}

func eraseAll(t *testing.T, m *ebpf.Map) {
	t.Helper()
	var keys [][]byte
	var key, value []byte
	for entries := m.Iterate(); entries.Next(&key, &value); {
		keys = append(keys, append([]byte{}, key...))
	}
	if len(keys) == 0 {
		t.Fatalf("%v is empty", m)
	}
	for _, key := range keys {
		if err := m.Delete(key); err != nil {
			t.Fatal(err)
		}
	}
}
