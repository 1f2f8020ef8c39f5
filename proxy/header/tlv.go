package header

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"

	"anyport/config"
)

// Types of TLVs (section 2.2 of the PROXY protocol).
const (
	tlvAuthority = 0x02
	tlvCRC32C    = 0x03
	tlvNoop      = 0x04
	tlvUniqueID  = 0x05
)

const (
	tlvHead   = 3 // bytes: type and length
	crcSize   = 4
	maxUnique = 128 // bytes of a UNIQUE_ID
)

// allTLVs yields type and value of each TLV of b, until one that is cut off.
func allTLVs(b []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for len(b) >= tlvHead {
			end := tlvHead + int(binary.BigEndian.Uint16(b[1:]))
			if end > len(b) || !yield(b[0], b[tlvHead:end]) {
				return
			}
			b = b[end:]
		}
	}
}

// tlvValue returns the value of the first TLV of a type, nil if there is none.
func tlvValue(b []byte, kind byte) []byte {
	for k, value := range allTLVs(b) {
		if k == kind {
			return value
		}
	}
	return nil
}

// checkTLVs checks that the TLVs fill their space, and the checksum of the header if they have one. tlvs
// is the end of header.
func checkTLVs(header, tlvs []byte) error {
	at, sum := len(header)-len(tlvs), -1
	for kind, value := range allTLVs(tlvs) {
		at += tlvHead
		if kind == tlvCRC32C {
			if len(value) != crcSize || sum >= 0 {
				return bad("a CRC32C of %d bytes, or a second one", len(value))
			}
			sum = at
		}
		at += len(value)
	}
	switch {
	case at != len(header):
		return bad("its TLVs are cut off")
	case sum >= 0 && binary.BigEndian.Uint32(header[sum:]) != checksum(header, sum):
		return bad("its CRC32C is wrong")
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC32C of a whole header, with zeros in place of the checksum that stands at a
// position (section 2.2.3).
func checksum(header []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, crcSize))
	return crc32.Update(sum, castagnoli, header[at+crcSize:])
}

// maxExtended bounds an outgoing header, so that it fits in any buffer. TLVs that are passed on could
// make it longer.
const maxExtended = 65535

// extend adds the TLVs of a list to a header of version 2; inbound are those of the header that the
// conn or flow began with.
func extend(header []byte, list []config.ProxyTLV, inbound []byte) ([]byte, error) {
	own, sum := ownTypes(list), false
	for _, t := range list {
		switch t.Kind {
		case config.TLVUniqueID:
			header = appendTLV(header, tlvUniqueID, uniqueID(inbound))
		case config.TLVAuthority:
			if host := tlvValue(inbound, tlvAuthority); host != nil {
				header = appendTLV(header, tlvAuthority, host)
			}
		case config.TLVText:
			header = appendTLV(header, t.First, []byte(t.Text))
		case config.TLVPass:
			for kind, value := range allTLVs(inbound) {
				if t.First <= kind && kind <= t.Last && !own[kind] {
					header = appendTLV(header, kind, value)
				}
			}
		case config.TLVCRC32C:
			sum = true
		}
	}
	if sum {
		header = appendTLV(header, tlvCRC32C, make([]byte, crcSize))
	}
	if len(header) > maxExtended {
		return nil, fmt.Errorf("a PROXY header of %d bytes with the TLVs that are passed on, and there is room for %d", len(header), maxExtended)
	}
	binary.BigEndian.PutUint16(header[v2Fixed-2:], uint16(len(header)-v2Fixed))
	if at := len(header) - crcSize; sum {
		binary.BigEndian.PutUint32(header[at:], checksum(header, at))
	}
	return header, nil
}

// ownTypes are the types that are not passed on: those that the list itself has, the checksum of the
// inbound header, and padding.
func ownTypes(list []config.ProxyTLV) (own [256]bool) {
	own[tlvCRC32C], own[tlvNoop] = true, true
	for _, t := range list {
		switch t.Kind {
		case config.TLVUniqueID:
			own[tlvUniqueID] = true
		case config.TLVAuthority:
			own[tlvAuthority] = true
		case config.TLVText:
			own[t.First] = true
		}
	}
	return own
}

func appendTLV(header []byte, kind byte, value []byte) []byte {
	header = binary.BigEndian.AppendUint16(append(header, kind), uint16(len(value)))
	return append(header, value...)
}

// UniqueID is the first UNIQUE_ID among TLVs; nil if there is none, or it is not one.
func UniqueID(tlvs []byte) []byte {
	if id := tlvValue(tlvs, tlvUniqueID); len(id) > 0 && len(id) <= maxUnique {
		return id
	}
	return nil
}

// UniqueIDOf is the UNIQUE_ID of an outgoing header, of any kind; nil if it has none.
func UniqueIDOf(header []byte) []byte {
	if len(header) < v2Fixed || !bytes.HasPrefix(header, v2Start) {
		return nil
	}
	addresses := 12
	if header[13]>>4 == 2 { // AF_INET6
		addresses = 36
	}
	return UniqueID(header[min(v2Fixed+addresses, len(header)):])
}

// WithUniqueID adds the id to inbound TLVs that have none, so that another header made of them has the
// same one.
func WithUniqueID(inbound, id []byte) []byte {
	if len(id) == 0 || UniqueID(inbound) != nil {
		return inbound
	}
	return append(appendTLV(nil, tlvUniqueID, id), inbound...)
}

// uniqueID is that of the inbound header, which names the conn to all proxies on its way (section
// 2.2.5), or else a random one.
func uniqueID(inbound []byte) []byte {
	if id := UniqueID(inbound); id != nil {
		return id
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails, as its documentation says
	return id
}
