package peers

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anyport/config"
	"anyport/steering/fleet"
)

func TestReadKeys(t *testing.T) {
	const secret, other = "MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZgA="
	for _, test := range []struct {
		name, text string
		mode       os.FileMode
		err        string // a part of it; "": there is none
	}{
		{"a key", secret, 0o600, ""},
		{"a comment and spaces", "# of 2026\n\n  " + secret + " \n", 0o400, ""},
		{"others may open it", secret, 0o640, "chmod 600"},
		{"no base64", "sesame", 0o600, "openssl rand"},
		{"a short one", "MDEyMzQ1Njc4OWFi", 0o600, "12 bytes, and needs 16"},
		{"two", secret + "\n# the next\n" + other + "\n", 0o600, ""},
		{"three", secret + "\n" + secret + "\n" + other, 0o600, "it has 3 keys"},
		{"none", "# nothing\n", 0o600, "it has 0 keys"},
		{"a large one", strings.Repeat("#\n", 40<<10), 0o600, "larger than"},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		keys, err := ReadKeys(path)
		switch {
		case test.err == "" && (err != nil || keys.First == [16]byte{}):
			t.Errorf("%s: %x, %v", test.name, keys, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), path)):
			t.Errorf("%s: %v, want %q and the path", test.name, err, test.err)
		case err != nil && strings.Contains(err.Error(), strings.TrimSpace(test.text)) && test.text != "":
			t.Errorf("%s: the error quotes the file: %v", test.name, err)
		}
	}
	a, _ := parseKeys([]byte(secret))
	b, _ := parseKeys([]byte(other))
	if a == b || a.First != a.Also {
		t.Errorf("one key each: %x, %x", a, b)
	}
	if both, _ := parseKeys([]byte(secret + "\n" + other)); both.First != a.First || both.Also != b.First {
		t.Errorf("both keys: %x", both)
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct{ name, addresses, peers, local, others string }{
		{"the only one", "10.9.0.1/24", "10.9.0.2 10.9.0.3", "10.9.0.1", "10.9.0.2 10.9.0.3"},
		{"the subnet of the peers", "192.168.0.1/24 10.9.0.1/24", "10.9.0.2", "10.9.0.1", "10.9.0.2"},
		{"the file names it", "10.9.0.1/24 10.9.0.9/24", "10.9.0.2 10.9.0.9", "10.9.0.9", "10.9.0.2"},
		{"peers behind a router", "10.9.0.1/24", "10.8.0.2", "10.9.0.1", "10.8.0.2"},
		{"IPv6", "10.9.0.1/24 fe80::1/64 fd00::1/64", "fd00::2", "fd00::1", "fd00::2"},
		{"twice", "10.9.0.1/24", "10.9.0.2 10.9.0.2", "10.9.0.1", "10.9.0.2"},
		{"none of the family", "10.9.0.1/24 fe80::1/64", "fd00::2", "", ""},
		{"only itself", "10.9.0.1/24", "10.9.0.1", "10.9.0.1", ""},
		{"no peers", "10.9.0.1/24", "", "", ""},
	} {
		f := config.Fleet{Device: "back0", Peers: addrs(test.peers)}
		var addresses []netip.Prefix
		for _, a := range strings.Fields(test.addresses) {
			addresses = append(addresses, netip.MustParsePrefix(a))
		}
		got, err := Options(f, Keys{First: [16]byte{1}}, addresses)
		if failed := test.local == "" && test.peers != ""; failed != (err != nil) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil {
			continue
		}
		if local := addrs(test.local); len(local) == 1 && got.Local != local[0] || !slices.Equal(got.Peers, addrs(test.others)) {
			t.Errorf("%s: %v with %v, want %s with %s", test.name, got.Local, got.Peers, test.local, test.others)
		}
	}
}

func addrs(text string) (all []netip.Addr) {
	for _, a := range strings.Fields(text) {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

func TestSegment(t *testing.T) {
	const four = 20 + 8 + 16
	for _, test := range []struct{ backplane, clients, overhead, want int }{
		{1500, 1500, four, 1500 - four - 60}, // the whole of a client's IPv6 packet fits exactly
		{1500 + four, 1500, four, 0},
		{1500 + four - 1, 1500, four, 1500 - 1 - 60},
		{9000, 1500, four, 0},
		{9000, 9000, four, 9000 - four - 60},
		{0, 1500, four, 0}, // not known
		{576, 1500, four, 536},
	} {
		if got := Segment(test.backplane, test.clients, test.overhead); got != test.want {
			t.Errorf("backplane %d, clients %d: %d, want %d", test.backplane, test.clients, got, test.want)
		}
	}
	s := fleet.Status{MTU: 1600, Peers: []fleet.Peer{{MTU: 0}, {MTU: 1500}, {MTU: 9000}}}
	if got := SmallestMTU(s); got != 1500 {
		t.Errorf("smallest MTU %d, want 1500", got)
	}
}
