package integration

import (
	"encoding/json"
	"strings"
	"testing"
)

// inJournal is what the test reads of an entry of the journal.
type inJournal struct {
	Message    string `json:"MESSAGE"`
	Priority   string `json:"PRIORITY"`
	Identifier string `json:"SYSLOG_IDENTIFIER"`
	Unit       string `json:"_SYSTEMD_UNIT"`
	Route      string `json:"ANYPORT_ROUTE"`
	Dst        string `json:"ANYPORT_DST"`
	Verdict    string `json:"ANYPORT_VERDICT"`
	ID         string `json:"ANYPORT_ID"`
	ToOrigin   string `json:"ANYPORT_TO_ORIGIN"`
}

// entries are those that journalctl finds.
func (m *machine) entries(t *testing.T, match ...string) (all []inJournal) {
	t.Helper()
	text := m.run(t, "journalctl", append([]string{"--no-pager", "--output=json", "--unit=anyport"}, match...)...)
	for line := range strings.Lines(text) {
		var e inJournal
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// TestJournal has the journal of a real systemd, which the unit's sandbox lets anyport reach: the access log
// is entries with fields of their own, and the process log has priorities and no second time.
func TestJournal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	m := boot(t, r.edge, "[log]\naccess = \"journal\"\n"+servedBySystemd, "")
	m.run(t, "systemctl", "start", "anyport")
	conn := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, conn, "hello")
	conn.Close()
	r.knockOn(t, "81") // its origin refuses
	for _, want := range []inJournal{
		{Priority: "6", Route: "long", Dst: dstV4 + ":80", Verdict: "closed", ToOrigin: "5"},
		{Priority: "5", Route: "short", Dst: dstV4 + ":81", Verdict: "connect_failed", ToOrigin: "0"},
	} {
		var found []inJournal
		eventually(t, "the journal has the conn", func() bool {
			found = m.entries(t, "ANYPORT_ROUTE="+want.Route, "ANYPORT_EVENT=end")
			return len(found) == 1
		})
		got := found[0]
		want.Message, want.ID, want.Identifier, want.Unit = got.Message, got.ID, "anyport", "anyport.service"
		if got != want || len(got.ID) != 16 || !strings.HasPrefix(got.Message, "tcp "+want.Route+": ") || !strings.Contains(got.Message, want.Verdict) {
			t.Errorf("the journal has %+v\n            want %+v", got, want)
		}
	}

	m.run(t, "sh", "-c", "echo '[log' >/etc/anyport/anyport.toml")
	if out, err := m.Run("systemctl", "reload", "anyport"); err == nil {
		t.Errorf("a bad file is reloaded: %s", out)
	}
	eventually(t, "the journal has the error", func() bool {
		for _, e := range m.entries(t, "--priority=err") {
			if strings.Contains(e.Message, "reload refused") && !strings.Contains(e.Message, "time=") && !strings.HasPrefix(e.Message, "<") {
				return true
			}
		}
		return false
	})
	for _, e := range m.entries(t, "--priority=info") {
		if strings.HasPrefix(e.Message, "time=") || strings.HasPrefix(e.Message, "<") {
			t.Errorf("a line is %q", e.Message)
		}
	}
}
