package header

import (
	"bytes"
	"net/netip"
	"testing"

	"anyport/config"
)

func spp(t testing.TB, client, dst netip.AddrPort) []byte {
	t.Helper()
	b, err := Datagram(config.ProxySPP, client, dst)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCutSPP(t *testing.T) {
	own, foreign := spp(t, client4, dst4), spp(t, client6, dst6)
	for _, test := range []struct {
		name  string
		reply []byte
		want  []byte
		err   error
	}{
		{"own", append(bytes.Clone(own), "answer"...), []byte("answer"), nil},
		{"own, nothing behind it", own, []byte{}, nil},
		{"foreign", append(bytes.Clone(foreign), "answer"...), nil, ErrForeignSPP},
		{"own, cut off", own[:SPPSize-1], nil, ErrNoSPP},
		{"no header", bytes.Repeat([]byte("answer"), 10), nil, ErrNoSPP},
		{"empty", nil, nil, ErrNoSPP},
	} {
		got, err := CutSPP(test.reply, own)
		if err != test.err || !bytes.Equal(got, test.want) {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, got, err, test.want, test.err)
		}
	}
}

// FuzzParseSPP: what can be read is what would be written for the same two
// addresses, byte for byte, and what is behind it is the payload.
func FuzzParseSPP(f *testing.F) {
	own := spp(f, client4, dst4)
	for _, seed := range [][]byte{
		nil, []byte("garbage"), own, own[:SPPSize-1], append(bytes.Clone(own), "payload"...),
		spp(f, client6, dst6), AppendSPP(nil, client6, dst4),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		client, dst, payload, err := ParseSPP(b)
		if err != nil {
			if len(b) >= SPPSize && b[0] == 0x56 && b[1] == 0xec {
				t.Errorf("%x: %v", b, err)
			}
			return
		}
		if again := append(AppendSPP(nil, client, dst), payload...); !bytes.Equal(again, b) {
			t.Errorf("%x was read as %v to %v, which is %x", b, client, dst, again)
		}
	})
}
