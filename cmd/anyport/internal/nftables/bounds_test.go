package nftables

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLargeMap: a map of verdicts with 100,000 elements is read in seconds.
func TestLargeMap(t *testing.T) {
	var elements strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&elements, "10.%d.%d.%d . %d : accept,\n", i>>16, i>>8&255, i&255, i%65535+1)
	}
	text := "table inet t {\n map m {\n type ipv4_addr . inet_service : verdict\n elements = { " + elements.String() + " }\n }\n" +
		" chain c {\n meta mark set 1 ip daddr . tcp dport vmap @m\n }\n}\n"
	begun := time.Now()
	if rules := parsedText(t, text).Chains[0].Rules; len(rules) != 100_001 {
		t.Errorf("%d rules", len(rules))
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestTooMuch: a map that each of many rules uses may not take all memory.
func TestTooMuch(t *testing.T) {
	var text strings.Builder
	text.WriteString("table inet t {\n map m {\n elements = { ")
	for i := range 2000 {
		fmt.Fprintf(&text, "%d : accept, ", i)
	}
	text.WriteString("}\n }\n chain c {\n")
	text.WriteString(strings.Repeat("tcp dport vmap @m\n", 2000))
	text.WriteString("}\n}\n")
	if _, err := Parse(text.String()); err == nil || !strings.Contains(err.Error(), "rule 132:") {
		t.Error(err)
	}
}

// TestCircle: jumps in a circle, and braces in braces, are read as they are.
func TestCircle(t *testing.T) {
	text := "table inet t {\n chain a {\n jump b\n }\n chain b {\n goto a\n }\n}\n"
	if s := parsedText(t, text); len(s.Chains) != 2 {
		t.Errorf("%d chains", len(s.Chains))
	}
	for _, deep := range []string{
		"table inet t {\n chain c {\n tcp dport " + strings.Repeat("{ ", 100_000) + strings.Repeat("} ", 100_000) + "\n }\n}\n",
		`{"nftables": [{"rule": {"expr": [{"match": {"left": ` + strings.Repeat(`{"&": [`, 5000) + "1" + strings.Repeat(`, 1]}`, 5000) + `}}]}}]}`,
		inChain("meta mark set meta mark" + strings.Repeat(" | 1", 100_000)),
	} {
		if _, err := Parse(deep); err != nil && len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}
