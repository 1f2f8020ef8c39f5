package nftables

import (
	"errors"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// mostBytes bounds the memory that an input takes.
const mostBytes = 32 << 20

// Parse reads the output of "nft -j list ruleset" or "nft list ruleset".
func Parse(text string) (*ruleset.Ruleset, error) {
	if len(text) > mostBytes {
		return nil, errors.New("the ruleset has more than 32 MiB")
	}
	read := readText
	if strings.HasPrefix(afterComments(text), "{") {
		read = readJSON
	}
	d, err := read(text)
	if err != nil {
		return nil, err
	}
	return translate(d)
}

// afterComments returns text from its first line that is not a comment: nft warns of the tables of
// iptables-nft in comments, before JSON too.
func afterComments(text string) string {
	for {
		text = strings.TrimSpace(text)
		if !strings.HasPrefix(text, "#") {
			return text
		}
		_, text, _ = strings.Cut(text, "\n")
	}
}
