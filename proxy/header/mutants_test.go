package header_test

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/proxy/header"
)

// seeds are valid headers of all kinds, which mutants are made from.
var seeds = []string{
	"PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n",
	"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
	"PROXY TCP6 2001:db8::7 2001:db8:1::1 4711 443\r\n",
	"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:192.0.2.1 4711 443\r\n",
	"PROXY UNKNOWN\r\n",
	"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	v2(0, 0, ""), v2(0, 0x11, block4), v2(1, 0x11, block4), v2(1, 0x21, block6), v2(1, 0, ""), v2(1, 0x12, block4),
	v2(1, 0x31, strings.Repeat("/", 216)),
	v2(1, 0x11, block4+"\x01\x00\x02h2\x02\x00\x0bexample.com\xe0\x00\x01x"),
	summed(v2(1, 0x21, block6+"\x03\x00\x04\x00\x00\x00\x00"), 16+36+3),
}

// plausible are bytes that matter to one of the versions.
const plausible = " \r\n.:0159afPUv\x00\x01\x02\x03\x0c\x11\x12\x20\x21\x22\xff"

// mutant is a seed with one to three changes: of bytes, of nibbles, of fields and of places.
func mutant(random *rand.Rand) []byte {
	b := []byte(seeds[random.IntN(len(seeds))])
	for range 1 + random.IntN(3) {
		at := random.IntN(len(b))
		if random.IntN(2) == 0 { // where it matters: command, family, length; or the first words
			at = min(len(b)-1, 11+random.IntN(6))
		}
		switch random.IntN(8) {
		case 0:
			b[at] = byte(random.IntN(256))
		case 1:
			b[at] ^= 1 << random.IntN(8)
		case 2:
			b = append(b[:at:at], b[at+1:]...)
		case 3:
			b = append(b[:at:at], append([]byte{b[at]}, b[at:]...)...)
		case 4:
			b[at] = plausible[random.IntN(len(plausible))]
		case 5: // another field of the line
			fields := bytes.Split(b, []byte(" "))
			words := []string{"TCP4", "TCP6", "UNKNOWN", "0", "00", "65536", "-1", "+1", "1.2.3.4", "01.2.3.4", "::", "::1%lo", "1::2::3", "::ffff:1.2.3.4", "\r\n", ""}
			fields[random.IntN(len(fields))] = []byte(words[random.IntN(len(words))])
			b = bytes.Join(fields, []byte(" "))
		case 6:
			b = b[:at+1]
		case 7:
			b = append(b, "more payload"[:random.IntN(12)]...)
		}
		if len(b) == 0 {
			b = []byte{0}
		}
	}
	return b
}

// judgement is what a parser makes of a header: bad, a part of one, one that names nobody, or the
// client and the dst.
const (
	bad    = "bad"
	part   = "a part"
	nobody = "nobody"
)

func ours(b []byte) (judgement string, size int) {
	h, need, err := header.ParseStream(b)
	switch {
	case err != nil:
		return bad, 0
	case need > len(b):
		return part, 0
	case !h.Named():
		return nobody, h.Size
	}
	return h.Client.String() + " " + h.Dst.String(), h.Size
}

// buffered has room for the longest header.
var buffered = bufio.NewReaderSize(nil, 1<<17)

// goProxyproto judges the same. It does not tell a part of a header from a bad one.
func goProxyproto(b []byte) (judgement string, size int) {
	r := bytes.NewReader(b)
	buffered.Reset(r)
	h, err := proxyproto.Read(buffered)
	if err != nil {
		return bad, 0
	}
	size = len(b) - r.Len() - buffered.Buffered()
	if h.Command != proxyproto.PROXY || h.TransportProtocol == proxyproto.UNSPEC {
		return nobody, size
	}
	return addrText(h.SourceAddr) + " " + addrText(h.DestinationAddr), size
}

func addrText(a net.Addr) string {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.String()
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()).String()
}

// A difference between go-proxyproto and the specification, with the words of section 2.1 or 2.2 that
// decide, the headers that it is about, and what is made of them here and there.
type difference struct {
	says         string
	about        func(b []byte) bool
	ours, theirs string // "…": what it names; "*": anything
}

var differences = []difference{
	{"UNSPEC: the receiver is free to accept the connection anyway and use the real endpoint addresses or to reject it",
		func(b []byte) bool {
			return isV2(b, 1) && (b[13]>>4 == 0 || b[13]&15 == 0) && b[13]>>4 <= 3 && b[13]&15 <= 2
		}, nobody, bad},
	{"LOCAL: discard the protocol block including the family which is ignored",
		func(b []byte) bool { return isV2(b, 0) }, nobody, bad},
	{"provided that it automatically falls back to the UNSPEC mode for the valid combinations above that it does not support: UDP",
		func(b []byte) bool { return isV2(b, 1) && b[13]&15 == 2 && b[13]>>4 <= 2 }, nobody, "…"},
	{"… the address length is used so that the receiver knows how many address bytes to skip even when it does not implement the presented protocol: UDP",
		func(b []byte) bool { return isV2(b, 1) && b[13]&15 == 2 && b[13]>>4 <= 3 }, nobody, bad},
	{"… falls back to the UNSPEC mode: UNIX", func(b []byte) bool { return isV2(b, 1) && b[13]>>4 == 3 }, nobody, "…"},
	{"… skip: UNIX", func(b []byte) bool { return isV2(b, 1) && b[13]>>4 == 3 }, nobody, bad},
	{"TLVs: a receiver may choose to skip over and ignore those bytes, or attempt to interpret those bytes; CRC32C: MUST treat the TCP connection as invalid",
		func(b []byte) bool { return isV2(b, 1) && (b[13] == 0x11 || b[13] == 0x21) }, bad, "…"},
	{"UNKNOWN: the receiver must ignore anything presented before the CRLF is found",
		func(b []byte) bool { return bytes.HasPrefix(b, []byte("PROXY UNKNOWN ")) }, nobody, bad},
}

func isV2(b []byte, command byte) bool {
	return len(b) >= 16 && string(b[:12]) == signature && b[12] == 0x20|command
}

// find finds the difference that explains two judgements.
func find(differences []difference, b []byte, ours, theirs string) *difference {
	for i, d := range differences {
		names := d.theirs == "…" && theirs != bad && theirs != nobody || d.theirs == "*"
		if d.about(b) && d.ours == ours && (d.theirs == theirs || names) {
			return &differences[i]
		}
	}
	return nil
}

// TestMutants: go-proxyproto and this package judge mutated headers alike, and find their ends at the
// same byte, except where the specification says otherwise. Each difference occurs.
func TestMutants(t *testing.T) {
	most := proxyproto.MaxV2HeaderSize
	proxyproto.MaxV2HeaderSize = 65535
	t.Cleanup(func() { proxyproto.MaxV2HeaderSize = most })
	random := rand.New(rand.NewPCG(1, 2))
	occurred, judged := map[*difference]int{}, map[string]int{}
	for range 100_000 {
		b := mutant(random)
		mine, size := ours(b)
		if mine == part {
			judged[part]++
			if need := partNeeds(t, b); need > len(b) { // whether what follows makes it a header
				continue
			}
		}
		theirs, theirSize := goProxyproto(b)
		judged[mine]++
		switch d := find(differences, b, mine, theirs); {
		case mine == part && theirs == bad, mine == theirs && size == theirSize:
		case d != nil:
			occurred[d]++
		default:
			t.Fatalf("%q: %s of %d bytes here, %s of %d in go-proxyproto", b, mine, size, theirs, theirSize)
		}
	}
	for i := range differences {
		if occurred[&differences[i]] == 0 {
			t.Errorf("no mutant shows this difference: %s", differences[i].says)
		}
	}
	if judged[bad] < 1000 || judged[nobody] < 1000 || judged[part] < 1000 {
		t.Errorf("%d bad, %d that name nobody, %d parts: the mutants are too much alike", judged[bad], judged[nobody], judged[part])
	}
}

// partNeeds returns how many bytes a part of a header needs, and checks that the parser asks for no more
// than a header can have.
func partNeeds(t *testing.T, b []byte) int {
	t.Helper()
	_, need, err := header.ParseStream(b)
	if err != nil || need > header.MaxInbound {
		t.Errorf("%q: needs %d, %v", b, need, err)
	}
	return need
}

// FuzzParseStream: no bytes make the parser fail, and what follows a header does not change it.
func FuzzParseStream(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, need, err := header.ParseStream(b)
		if err != nil || need > len(b) {
			return
		}
		again, _, err := header.ParseStream(append(b[:h.Size:h.Size], "PROXY"...))
		if err != nil || again.Client != h.Client || again.Dst != h.Dst || again.Size != h.Size || !bytes.Equal(again.TLVs, h.TLVs) {
			t.Errorf("%q: %+v, and %+v with other payload, %v", b, h, again, err)
		}
	})
}
