package knock

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	keys   = Keys{{"alice", secret}, {"bob", []byte("another key of bob")}}
	sender = netip.MustParseAddr("198.51.100.7")
	now    = time.Unix(1_790_000_000, 0)
)

func message() Message {
	return Message{Key: "alice", Time: now, Nonce: [16]byte{1, 2, 3}, Route: "ssh"}
}

func TestJudge(t *testing.T) {
	stated := message()
	stated.Client = netip.MustParseAddr("2001:db8::7")
	mapped := message()
	mapped.Client = netip.MustParseAddr("::ffff:192.0.2.9")
	zoned := message()
	zoned.Client = netip.MustParseAddr("fe80::1%eth0")
	at := func(d time.Duration) Message { m := message(); m.Time = now.Add(d); return m }
	for _, test := range []struct {
		name    string
		message Message
		key     []byte
		want    Verdict
		client  string
	}{
		{"as it is seen", message(), secret, Opened, "198.51.100.7"},
		{"stated", stated, secret, Opened, "2001:db8::7"},
		{"mapped", mapped, secret, Opened, "192.0.2.9"},
		{"zoned", zoned, secret, NoDoor, ""},
		{"the key of another client", message(), keys[1].Secret, Unsigned, ""},
		{"a minute late", at(-time.Minute), secret, Opened, "198.51.100.7"},
		{"later", at(-61 * time.Second), secret, Late, ""},
		{"a minute early", at(time.Minute), secret, Opened, "198.51.100.7"},
		{"earlier", at(61 * time.Second), secret, Late, ""},
		{"no such key", Message{Key: "eve", Time: now, Route: "ssh"}, secret, Unsigned, ""},
	} {
		m, verdict := Judge(test.message.Sign(test.key), sender, keys, now)
		if verdict != test.want || verdict == Opened && m.Client.String() != test.client {
			t.Errorf("%s: %s for %s", test.name, verdict, m.Client)
		}
	}
}

// TestDamaged: no datagram with a bit changed, a byte less or more opens anything.
func TestDamaged(t *testing.T) {
	good := message().Sign(secret)
	for i := range good {
		for bit := range 8 {
			bad := append([]byte(nil), good...)
			bad[i] ^= 1 << bit
			if _, verdict := Judge(bad, sender, keys, now); verdict != Malformed && verdict != Unsigned {
				t.Fatalf("%q: %s", bad, verdict)
			}
		}
		if _, verdict := Judge(good[:i], sender, keys, now); verdict != Malformed {
			t.Fatalf("%q: %s", good[:i], verdict)
		}
	}
	for _, more := range []string{" ", "\n", "00", strings.Repeat("0", 1000)} {
		if _, verdict := Judge([]byte(string(good)+more), sender, keys, now); verdict != Malformed {
			t.Errorf("%q is %s", more, verdict)
		}
	}
}

// FuzzJudge: whatever opens is byte by byte what Sign makes.
func FuzzJudge(f *testing.F) {
	f.Add(message().Sign(secret))
	f.Add([]byte("anyport-knock 1 alice 1790000000 00 ssh seen 00"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		m, verdict := Judge(datagram, sender, keys, now)
		if verdict == Malformed || verdict == Unsigned {
			return
		}
		parsed, _, _ := parse(datagram)
		if string(parsed.Sign(keys.Find(m.Key))) != string(datagram) {
			t.Fatalf("%q is %s", datagram, verdict)
		}
	})
}

func TestReadKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	good := "# who may knock\nalice MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n\nbob YW5vdGhlciBrZXkgb2YgYm9i\n"
	for _, test := range []struct {
		text string
		mode os.FileMode
		want string // part of the error; "": none
	}{
		{good, 0o600, ""},
		{good, 0o400, ""},
		{good, 0o640, "chmod 600"},
		{good, 0o604, "chmod 600"},
		{"alice\n", 0o600, "line 1: write a name"},
		{"Alice " + strings.Repeat("A", 44), 0o600, "line 1: write a name"},
		{"alice !!!", 0o600, "line 1: the key is not base64"},
		{"alice c2hvcnQ=", 0o600, "line 1: the key has 5 bytes"},
		{good + good, 0o600, "line 6: there is a key \"alice\" already"},
		{"# none\n", 0o600, "there is none"},
	} {
		os.Remove(path)
		if err := os.WriteFile(path, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		got, err := ReadKeys(path)
		switch {
		case test.want == "" && (err != nil || len(got) != 2 || string(got.Find("alice")) != string(secret)):
			t.Errorf("%q: %v %v", test.text, got, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%q, mode %o: %v", test.text, test.mode, err)
		}
	}
}

// BenchmarkJudge is what one datagram costs that has no valid signature.
func BenchmarkJudge(b *testing.B) {
	bad := message().Sign(keys[1].Secret)
	for b.Loop() {
		Judge(bad, sender, keys, now)
	}
}
