package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// accessEntry is what the tests read of a line of the access log in JSON.
type accessEntry struct {
	Event, ID, Protocol, Route, Client, Dst, Origin, Source, Verdict, State, Phase, Peer, Path string

	EndedBy         string  `json:"ended_by"`
	UniqueID        string  `json:"unique_id"`
	Seconds         float64 `json:"seconds"`
	Connect         int     `json:"connect_us"`
	Attempts        int
	ToOrigin        int `json:"to_origin"`
	ToClient        int `json:"to_client"`
	PacketsToOrigin int `json:"packets_to_origin"`
	PacketsToClient int `json:"packets_to_client"`
	OriginRTT       int `json:"origin_rtt_us"`
	ClientRTT       int `json:"client_rtt_us"`
	Count           int
}

// accessEntries are the whole lines of a file so far.
func accessEntries(t *testing.T, path string) (all []accessEntry) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		var e accessEntry
		if !strings.HasSuffix(line, "\n") { // it is being written
			continue
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// awaitEntry waits for a line that is wanted.
func awaitEntry(t *testing.T, path, what string, wanted func(accessEntry) bool) (found accessEntry) {
	t.Helper()
	eventually(t, "the access log has "+what, func() bool {
		all := accessEntries(t, path)
		i := slices.IndexFunc(all, wanted)
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// TestAccessLines: a line says what client and origin saw themselves: addresses, ports, bytes, datagrams, the
// id in the PROXY header, who forwarded the datagrams, and who ended the conn. Long ones have lines while they
// live.
func TestAccessLines(t *testing.T) { onBothPaths(t, writesLines) }

func writesLines(t *testing.T, r *rig) {
	peers := make(chan string, 100)
	r.origin.serve(t, "10.0.0.5:80", func(conn net.Conn) {
		peers <- conn.RemoteAddr().String()
		echo(conn)
	})
	r.origin.answer(t, "10.0.0.5:80", named("origin"))
	r.origin.serve(t, "10.0.0.5:81", func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) })
	access := filepath.Join(t.TempDir(), "access.log")
	r.edge.launch(t, fmt.Sprintf("[log]\nformat = \"json\"\naccess = %q\naccess_progress = \"1s\"\naccess_sample = \"100%%\"\n", access)+`
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.6:80", "10.0.0.5"]
balance  = "first"
udp_idle_timeout = "3s"
connect_timeout = "300ms"
`).expect(t, `"serving"`)
	conn := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, conn, "hello")
	source := <-peers
	live := awaitEntry(t, access, "progress", func(e accessEntry) bool { return e.Protocol == "tcp" && e.Event == "progress" && e.ToOrigin == 5 })
	conn.Close()
	ended := awaitEntry(t, access, "the end", func(e accessEntry) bool { return e.ID == live.ID && e.Event == "end" })
	want := accessEntry{
		Event: "end", ID: live.ID, Protocol: "tcp", Route: "web", Client: conn.LocalAddr().String(), Dst: dstV4 + ":80", Origin: "10.0.0.5:80",
		Source: source, Verdict: "closed", State: "--", EndedBy: "nobody", Phase: "end", ToOrigin: 5, ToClient: 5,
		PacketsToOrigin: ended.PacketsToOrigin, PacketsToClient: ended.PacketsToClient, // more than 1 if a segment was sent again
		Attempts: ended.Attempts, Seconds: ended.Seconds, Connect: ended.Connect, OriginRTT: ended.OriginRTT, ClientRTT: ended.ClientRTT,
	}
	if ended != want || ended.PacketsToOrigin < 1 || ended.PacketsToClient < 1 || ended.Attempts != 2 || ended.Connect <= 0 || ended.OriginRTT <= 0 || ended.ClientRTT <= 0 || ended.Seconds < 1 {
		t.Errorf("logged %+v\n  want %+v, of two attempts", ended, want)
	}
	if live.Verdict != "admitted" || live.State != "" || live.Source != source || live.Attempts != 2 {
		t.Errorf("progress is logged as %+v", live)
	}

	flow := r.client.dial(t, "udp", dstV4+":80")
	for range 16 { // the kernel may forward a flow after eight
		trade(t, flow, "ask")
	}
	answered := awaitEntry(t, access, "the flow", func(e accessEntry) bool { return e.Protocol == "udp" && e.Event == "end" && e.Origin == "10.0.0.5:80" })
	if answered.PacketsToOrigin < 16 || answered.Path != map[string]string{"auto": "both", "off": "user"}[r.edge.fastPath] || answered.ToOrigin != answered.PacketsToOrigin*len("ask") || answered.ToClient != answered.PacketsToClient*len("origin ask") ||
		answered.State != "--" || answered.Verdict != "idle_timeout" || !strings.HasPrefix(answered.Source, "10.0.0.1:") || answered.Client != flow.LocalAddr().String() {
		t.Errorf("the flow is logged as %+v", answered)
	}

	r.knockOn(t, "81")
	awaitEntry(t, access, "RST of the origin", func(e accessEntry) bool {
		return e.Dst == dstV4+":81" && e.Verdict == "origin_reset" && e.State == "SD" && e.EndedBy == "origin" && e.Phase == "data"
	})
	r.knockOn(t, "82")
	awaitEntry(t, access, "no origin", func(e accessEntry) bool {
		return e.Dst == dstV4+":82" && e.State == "SC" && e.Attempts == 2 && e.Origin != "" && e.ClientRTT > 0
	})
}

// knockOn makes a conn that is reset sooner or later, maybe before the client knows that it is there.
func (r *rig) knockOn(t *testing.T, port string) {
	t.Helper()
	if conn, err := r.client.tryDial("tcp", "", dstV4+":"+port); err == nil {
		t.Cleanup(func() { conn.Close() })
	}
}

// TestAccessReload turns the access log on, changes its destination and turns it off, all by reload. A conn that
// began before is logged whole, each conn once, and a destination that cannot be opened is refused.
func TestAccessReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	logs := t.TempDir()
	first, second := filepath.Join(logs, "first.log"), filepath.Join(logs, "second.log")
	p := r.edge.launch(t, "[log]\nformat = \"json\"\n"+relayFile)
	p.expect(t, `"serving"`)
	reload := func(access, more string) result {
		p.write(t, fmt.Sprintf("[log]\nformat = \"json\"\naccess = %q\n%s", access, more)+relayFile)
		return anyport(t, "reload", "--socket", p.socket)
	}
	old := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, old, "before")
	r.visit(t, 3) // logged nowhere
	for _, access := range []string{first, second} {
		if got := reload(access, ""); got.status != 0 || !strings.Contains(got.stdout, "log.access") {
			t.Fatalf("reload: %+v", got)
		}
		r.visit(t, 10)
	}
	if got := reload(filepath.Join(logs, "no", "dir.log"), ""); got.status != 1 || !strings.Contains(got.stderr, "no such file or directory") {
		t.Errorf("a log that cannot be opened: %+v", got)
	}
	talk(t, old, "after")
	old.Close()
	whole := awaitEntry(t, second, "the old conn", func(e accessEntry) bool { return e.Client == old.LocalAddr().String() })
	if whole.ToOrigin != len("beforeafter") || whole.PacketsToOrigin < 2 || whole.Connect <= 0 {
		t.Errorf("the conn that began before is logged as %+v", whole)
	}
	eventually(t, "all others have their lines", func() bool {
		return len(accessEntries(t, first)) == 10 && len(accessEntries(t, second)) == 11
	})
	if got := reload(second, "access_sample = 0\n"); got.status != 0 {
		t.Fatalf("reload: %+v", got)
	}
	r.visit(t, 5)
	r.knockOn(t, "99") // refused by the origin: it is logged all the same
	awaitEntry(t, second, "what failed", func(e accessEntry) bool { return e.Dst == dstV4+":99" })
	if got := reload("", ""); got.status != 0 {
		t.Fatalf("reload: %+v", got)
	}
	r.visit(t, 5)
	if n := len(accessEntries(t, first)); n != 10 {
		t.Errorf("the first file has %d lines", n)
	}
	if n := len(accessEntries(t, second)); n != 12 {
		t.Errorf("the second file has %d lines, want 12", n)
	}
}

// TestAccessMoved upgrades with a conn and a flow open: each is logged once, by the process in which it ends,
// under the id that it began with, with the bytes and datagrams of both processes.
func TestAccessMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	r.origin.answer(t, "10.0.0.5:80", named("origin"))
	access := filepath.Join(t.TempDir(), "access.log")
	p := r.edge.launch(t, fmt.Sprintf("[log]\nformat = \"json\"\naccess = %q\naccess_progress = \"1s\"\n[defaults]\nudp_idle_timeout = \"4s\"\n", access)+relayFile)
	p.expect(t, `"serving"`)
	conn, flow := r.client.dial(t, "tcp", dstV4+":80"), r.client.dial(t, "udp", dstV4+":80")
	talk(t, conn, "before")
	trade(t, flow, "before")
	ids := map[string]string{}
	for _, protocol := range []string{"tcp", "udp"} {
		ids[protocol] = awaitEntry(t, access, "progress of "+protocol, func(e accessEntry) bool { return e.Protocol == protocol && e.Event == "progress" }).ID
	}
	trade(t, flow, "between")
	f := newFamily(t, p)
	f.upgrade(t)
	talk(t, conn, "after")
	trade(t, flow, "after")
	f.gone(t, f.pids[0])
	conn.Close()
	for protocol, id := range ids {
		e := awaitEntry(t, access, "the end of "+protocol, func(e accessEntry) bool { return e.ID == id && e.Event == "end" })
		if protocol == "tcp" && (e.ToOrigin != len("beforeafter") || e.PacketsToOrigin < 2 || e.Connect <= 0 || e.Attempts != 1) ||
			protocol == "udp" && (e.ToOrigin < len("beforebetweenafter") || e.PacketsToOrigin < 3 || e.Attempts != 1) {
			t.Errorf("after the upgrade it is logged as %+v", e)
		}
	}
	ends := slices.DeleteFunc(accessEntries(t, access), func(e accessEntry) bool { return e.Event != "end" })
	if len(ends) != 2 {
		t.Errorf("%d ends are logged, want 2: %+v", len(ends), ends)
	}
}
