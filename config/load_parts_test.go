package config

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config/position"
)

// agree reads text a route at a time, and whole. What the parts make of a file they take is
// what the whole makes of it; reports whether they took it.
func agree(t *testing.T, text string) bool {
	t.Helper()
	source := position.NewDocument(strings.TrimPrefix(text, "\ufeff"))
	got, ok := parseInParts("x", source, 1, nil)
	if !ok {
		return false
	}
	want, err := parseWhole("x", source, nil)
	if err != nil {
		t.Fatalf("read in parts, and whole refused: %v\n%s", err, text)
	}
	if diff := cmp.Diff(want, got, compareValues); diff != "" {
		t.Fatalf("(-whole +in parts):\n%s\n%s", diff, text)
	}
	return true
}

// TestPartsAgree reads good and wrong files both ways, and what is left of them after a
// careless hand.
func TestPartsAgree(t *testing.T) {
	texts, taken := habitTexts(t), 0
	for _, file := range []string{"reference.toml", "testdata/every_key.toml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range len(texts) + 20_000 {
		text := ""
		if i < len(texts) {
			text = texts[i]
		} else {
			text = mutate(random, texts)
		}
		if agree(t, text) {
			taken++
		}
	}
	if least := 200; taken < least {
		t.Errorf("%d files were read in parts, want %d: they are not in the usual form any more", taken, least)
	}
}

// TestManyRoutes: one route a port is what such a proxy is for, in 200 MiB at most. What is
// in use is asked for while the file is read.
func TestManyRoutes(t *testing.T) {
	const n = 60_000
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[route.app%d]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [\"192.0.2.0/24\"]\nports = [%d]\norigins = [\"10.0.%d.%d:80\"]\n", i, i+1, i/250, i%250+1)
	}
	data := []byte(text.String())
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cfg, err := Parse("x", data)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if len(cfg.Routes) != n || cfg.Routes[n-1].Line != 5*(n-1)+1 {
		t.Errorf("%d routes, the last of line %d", len(cfg.Routes), cfg.Routes[len(cfg.Routes)-1].Line)
	}
	if grown, most := after.HeapSys-before.HeapSys, uint64(200<<20); after.HeapSys > before.HeapSys && grown > most {
		t.Errorf("the heap grew by %d MiB, want %d at most", grown>>20, most>>20)
	}
}

// TestLargeFileTogether: what routes and the other tables need of each other is checked of a large file, too.
func TestLargeFileTogether(t *testing.T) {
	text := "[fleet]\npeers = [\"192.0.2.7\"]\ndevice = \"eth1\"\nkey = \"/k\"\n[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n"
	for _, text := range []string{text, text + strings.Repeat("# a long comment\n", readWhole/16)} {
		if _, err := Parse("x", []byte(text)); err == nil || !strings.Contains(err.Error(), "192.0.2.7 is a peer of [fleet]") {
			t.Errorf("a file of %d bytes with a peer in a prefix: %v", len(text), err)
		}
	}
}
