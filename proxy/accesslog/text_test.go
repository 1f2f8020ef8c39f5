package accesslog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"anyport/proxy/route"
)

// logfmt parses a line as a reader would who knows nothing of it but NAME=VALUE.
func logfmt(line string) (map[string]string, error) {
	values := map[string]string{}
	for rest := strings.TrimSuffix(line, "\n"); rest != ""; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || values[name] != "" {
			return nil, fmt.Errorf("%q: a field without a value, or one that is there twice", rest)
		}
		value, left := after, ""
		if strings.HasPrefix(after, `"`) {
			quoted, err := strconv.QuotedPrefix(after)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", after, err)
			}
			value, _ = strconv.Unquote(quoted)
			left = strings.TrimPrefix(after[len(quoted):], " ")
		} else {
			value, left, _ = strings.Cut(after, " ")
		}
		values[name], rest = value, left
	}
	return values, nil
}

// object parses a line of JSON. Numbers are as they stand.
func object(line string) (map[string]string, error) {
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, value := range all {
		values[name] = fmt.Sprint(value)
	}
	return values, nil
}

// journalFields parses an entry as journald does.
func journalFields(message []byte) (map[string]string, error) {
	values := map[string]string{}
	for len(message) > 0 {
		line, rest, ok := strings.Cut(string(message), "\n")
		if !ok {
			return nil, fmt.Errorf("%q has no end", message)
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			values[name], message = value, []byte(rest)
			continue
		}
		if len(rest) < 8 || uint64(len(rest)-8) <= binary.LittleEndian.Uint64([]byte(rest)) {
			return nil, fmt.Errorf("%q is cut off", rest)
		}
		n := binary.LittleEndian.Uint64([]byte(rest))
		values[line], message = rest[8:8+n], []byte(rest[8+n+1:])
	}
	return values, nil
}

// entries are one of each kind, whose texts are given.
func entries(name, id string) []entry {
	ended, live, refused := record, record, record
	zoned := netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone(id), 7) // the name of an interface
	ended.Route, ended.UniqueID, ended.Peer = name, id, netip.MustParseAddrPort("[fe80::1%eth0]:7")
	if id != "" {
		ended.Peer, ended.Client, ended.Dst, ended.Origin, ended.Source = zoned, zoned, zoned, zoned, zoned
	}
	live.Route, live.Live, live.Verdict = name, true, route.Admitted
	refused.Route, refused.Verdict = name, route.Denied
	var s sums
	s.add(&refused)
	return []entry{entryOf(&ended), entryOf(&live), s.take()[0].entry()}
}

// checkFormats: each format has one line for an entry, without a control character, and all say the same.
func checkFormats(t *testing.T, e *entry) {
	t.Helper()
	texts := map[string]string{"text": string(appendText(nil, e)), "json": string(appendJSON(nil, e)), "syslog": string(newSyslog(appendText).appendLine(nil, e))}
	for format, line := range texts {
		if strings.IndexFunc(line, unicode.IsControl) != len(line)-1 {
			t.Fatalf("%s: %q is not one line", format, line)
		}
	}
	text, err := logfmt(texts["text"])
	if err != nil {
		t.Fatal(err)
	}
	values, err := object(texts["json"])
	if err != nil {
		t.Fatalf("%s: %v", texts["json"], err)
	}
	if diff := cmp.Diff(text, values); diff != "" {
		t.Errorf("-text +json:\n%s", diff)
	}
	if text["route"] != strings.ToValidUTF8(e.Route, "\uFFFD") {
		t.Errorf("route %q is logged as %q", e.Route, text["route"])
	}
	inJournal, err := journalFields(journalEntry(nil, e))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for name, value := range text {
		want["ANYPORT_"+strings.ToUpper(name)] = value
	}
	if message := inJournal["MESSAGE"]; strings.ContainsFunc(message, unicode.IsControl) {
		t.Errorf("the message is %q", message)
	}
	maps.DeleteFunc(inJournal, func(name, value string) bool { return !strings.HasPrefix(name, "ANYPORT_") })
	for name, value := range inJournal {
		inJournal[name] = strings.ToValidUTF8(value, "\uFFFD")
	}
	if diff := cmp.Diff(want, inJournal); diff != "" {
		t.Errorf("-text +journal:\n%s", diff)
	}
}

// FuzzFormats gives the texts of a line any bytes.
func FuzzFormats(f *testing.F) {
	for _, text := range []string{"", "web", "a b", `"`, "\\", "=", "\n", "\x1b[31m", "\x00", "\xff", "é", "\u2028", "<script>", "a\nANYPORT_VERDICT=closed", "\x7f", "\u0085"} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, name, id string) {
		for _, e := range entries(name, id) {
			checkFormats(t, &e)
		}
	})
}

// TestEveryVerdict: a line of each verdict parses, and the three words about its end agree.
func TestEveryVerdict(t *testing.T) {
	for v := range route.Verdicts {
		r := record
		r.Verdict = v
		e := entryOf(&r)
		checkFormats(t, &e)
	}
}

// TestJournalEntry: the journal gets a message that people can read, and its own fields.
func TestJournalEntry(t *testing.T) {
	all := entries("web", "")
	all[1].Took, all[2].Verdict = all[1].Took*60, route.Denied
	for i, want := range []string{
		"tcp web: 198.51.100.9:50123 to 192.0.2.7:4711 by 10.0.0.5:4711: closed after 1.5 s, 17 bytes to the origin, 42 to the client",
		"tcp web: 198.51.100.9:50123 to 192.0.2.7:4711 by 10.0.0.5:4711: goes on after 90 s, 17 bytes to the origin, 42 to the client",
		"tcp web: 1 refused, denied: the first from 198.51.100.9 to 192.0.2.7:4711",
	} {
		got, err := journalFields(journalEntry(nil, &all[i]))
		if err != nil || got["MESSAGE"] != want || got["PRIORITY"] != []string{"6", "6", "5"}[i] || got["SYSLOG_IDENTIFIER"] != "anyport" || got["MESSAGE_ID"] == "" {
			t.Errorf("%v, %v, want message %q", got, err, want)
		}
	}
}

// TestSyslogHeader holds the header to RFC 5424, section 6.
func TestSyslogHeader(t *testing.T) {
	form := regexp.MustCompile(`^<(30|29)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) [!-~]{1,255} anyport \d+ access - time=\S+ event=`)
	for _, e := range entries("web", "") {
		message := string(newSyslog(appendText).append(nil, &e))
		if !form.MatchString(message) || strings.HasSuffix(message, "\n") {
			t.Errorf("%q", message)
		}
	}
}

// TestSeconds: without an exponent, and never more exact than a microsecond.
func TestSeconds(t *testing.T) {
	for µs, want := range map[int64]string{0: "0", 1: "0.000001", 10: "0.00001", 1_500_000: "1.5", 2_000_000: "2", 3_000_010: "3.00001", -5: "0", 86_400_000_000: "86400"} {
		if got := string(appendSeconds(nil, time.Duration(µs)*time.Microsecond)); got != want {
			t.Errorf("%d µs: %s, want %s", µs, got, want)
		}
	}
}
