package demo

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParsePorts(t *testing.T) {
	for _, test := range []struct {
		text        string
		first, last uint16
	}{
		{"1-65535", 1, 65535}, {"7-7", 7, 7}, {"80", 80, 80},
	} {
		if first, last, err := ParsePorts(test.text); err != nil || first != test.first || last != test.last {
			t.Errorf("ParsePorts(%q) = %d, %d, %v", test.text, first, last, err)
		}
	}
	for _, text := range []string{"", "-", "0-7", "7-", "-7", "9-7", "1-65536", "a-b", "1-2-3", " 1-2"} {
		if first, last, err := ParsePorts(text); err == nil {
			t.Errorf("ParsePorts(%q) = %d, %d, want an error", text, first, last)
		}
	}
}

func TestSweepCounts(t *testing.T) {
	s := &sweep{network: "udp", addr: swept[0], first: 1, last: 20}
	s.note(dst, nil)
	for range 7 {
		s.note(dst, errors.New("no answer"))
	}
	if s.right.Load() != 1 || s.wrong.Load() != 7 {
		t.Errorf("%d right, %d wrong, want 1 and 7", s.right.Load(), s.wrong.Load())
	}
	if len(s.shown) != mostShown || s.shown[0] != "udp 192.0.2.77:4711: no answer" {
		t.Errorf("shown %q", s.shown)
	}
	var out bytes.Buffer
	follow(s, &out)()
	if !strings.Contains(out.String(), "[#####.........]      1 right  7 wrong") {
		t.Errorf("the line is %q", out.String())
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 65535: "65,535", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestLineFitsTerminal(t *testing.T) {
	s := &sweep{network: "udp", addr: swept[1], first: 1, last: 65535, begun: time.Now().Add(-100 * time.Second)}
	s.right.Store(65000)
	s.wrong.Store(535)
	if line := s.line(); len(line) >= 80 {
		t.Errorf("%d columns: %q", len(line), line)
	}
}
