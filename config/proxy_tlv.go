package config

import (
	"fmt"
	"strconv"

	"anyport/config/form"
)

// ProxyTLV is one element of proxy_tlvs: a TLV of the outgoing header, or types of the inbound one
// that are passed on. It is comparable.
type ProxyTLV struct {
	Kind        TLVKind
	First, Last byte   // the types: one for TLVText, a range for TLVPass
	Text        string // of TLVText
}

// TLVKind is where a TLV of the outgoing header comes from.
type TLVKind uint8

// The kinds.
const (
	TLVUniqueID  TLVKind = iota // the inbound header's, or else a random one
	TLVAuthority                // the inbound header's
	TLVCRC32C                   // the checksum of the outgoing header
	TLVText                     // text of the file
	TLVPass                     // the inbound header's TLVs of the types First to Last
)

// NamesConns reports whether the origins of r get a unique-id of each conn and flow.
func (r *Route) NamesConns() bool {
	for _, t := range r.ProxyTLVs {
		if t.Kind == TLVUniqueID {
			return true
		}
	}
	return false
}

// MarshalText is t as a file writes it, for another process.
func (t ProxyTLV) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is its inverse.
func (t *ProxyTLV) UnmarshalText(text []byte) (err error) {
	*t, err = parseProxyTLV(string(text))
	return err
}

// proxyTLVWords are the elements without a type.
var proxyTLVWords = map[string]ProxyTLV{
	"unique-id": {Kind: TLVUniqueID},
	"authority": {Kind: TLVAuthority},
	"crc32c":    {Kind: TLVCRC32C},
	"pass":      {Kind: TLVPass, First: 0x01, Last: 0xFF},
}

// String is t as a file writes it.
func (t ProxyTLV) String() string {
	for word, tlv := range proxyTLVWords {
		if tlv == t {
			return word
		}
	}
	switch {
	case t.Kind == TLVText:
		return fmt.Sprintf("0x%02X=%s", t.First, t.Text)
	case t.First == t.Last:
		return fmt.Sprintf("0x%02X", t.First)
	}
	return fmt.Sprintf("0x%02X-0x%02X", t.First, t.Last)
}

var (
	tlvTextForm = form.New(`^0x(E[0-9A-F])=(.*)$`)
	tlvPassForm = form.New(`^0x([0-9A-F]{2})(?:-0x([0-9A-F]{2}))?$`)
)

// maxTLVText bounds the text of a TLV, so that no list makes a header too long.
const maxTLVText = 1024

// parseProxyTLV reads a TLV of the PROXY protocol, v2, section 2.2: 0xE0 to 0xEF are those for
// private use.
func parseProxyTLV(value any) (ProxyTLV, error) {
	written, _ := value.(string)
	if tlv, ok := proxyTLVWords[written]; ok {
		return tlv, nil
	}
	if m := tlvTextForm().FindStringSubmatch(written); m != nil {
		if len(m[2]) > maxTLVText {
			return ProxyTLV{}, newRefusal("TLV", value, "is too long", fmt.Sprintf("write at most %d bytes of text", maxTLVText))
		}
		kind := hexByte(m[1])
		return ProxyTLV{Kind: TLVText, First: kind, Last: kind, Text: m[2]}, nil
	}
	if m := tlvPassForm().FindStringSubmatch(written); m != nil {
		tlv := ProxyTLV{Kind: TLVPass, First: hexByte(m[1]), Last: hexByte(m[1])}
		if m[2] != "" {
			tlv.Last = hexByte(m[2])
		}
		if tlv.First > 0 && tlv.First <= tlv.Last {
			return tlv, nil
		}
	}
	return ProxyTLV{}, newRefusal("TLV", value, "is not a TLV",
		`write "unique-id", "authority", "crc32c", text with a type from 0xE0 to 0xEF such as "0xE1=text", or what to pass on from the header of accept_proxy: "pass" for all, types such as "0xE0-0xEF"`)
}

// hexByte is the value of two hexadecimal digits.
func hexByte(digits string) byte {
	n, _ := strconv.ParseUint(digits, 16, 8)
	return byte(n)
}
