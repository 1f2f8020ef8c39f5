package config

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestProxyTLVsTravel: each kind of TLV is the same in another process.
func TestProxyTLVsTravel(t *testing.T) {
	all := []ProxyTLV{
		{Kind: TLVUniqueID}, {Kind: TLVAuthority}, {Kind: TLVCRC32C}, {Kind: TLVPass, First: 1, Last: 0xFF},
		{Kind: TLVPass, First: 0x20, Last: 0x20}, {Kind: TLVPass, First: 0x20, Last: 0x2F}, {Kind: TLVText, First: 0xE1, Last: 0xE1, Text: "a = \"b\""},
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var got []ProxyTLV
	if err := json.Unmarshal(text, &got); err != nil || !slices.Equal(got, all) {
		t.Errorf("%s became %v, %v", text, got, err)
	}
}
