package peers

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"anyport/cmd/anyport/internal/secretfile"
)

// Keys are what peers prove themselves with.
type Keys struct {
	First [16]byte // this host signs with it
	Also  [16]byte // accepted, too; First if the file has one key
}

// leastSecret is how many bytes the secret of the file has at least.
const leastSecret = 16

// mostKeys are enough to change the key: the old one and the new one.
const mostKeys = 2

// ReadKeys makes keys of the secrets in a file.
func ReadKeys(path string) (Keys, error) {
	text, err := secretfile.Read(path, "the key of [fleet]")
	if err != nil {
		return Keys{}, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return Keys{}, fmt.Errorf("the key of [fleet] in %s: %w", path, err)
	}
	return keys, nil
}

// parseKeys reads one secret a line, as base64. Empty lines and those that begin with # count nothing. An error
// never quotes a line.
func parseKeys(text []byte) (Keys, error) {
	const hint = "write a line such as the output of: openssl rand -base64 32"
	var found [][16]byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		secret, err := base64.StdEncoding.AppendDecode(nil, line)
		if err != nil {
			return Keys{}, fmt.Errorf("it is not base64: %s", hint)
		}
		if len(secret) < leastSecret {
			return Keys{}, fmt.Errorf("a secret has %d bytes, and needs %d: %s", len(secret), leastSecret, hint)
		}
		found = append(found, keyOf(secret))
	}
	if len(found) == 0 || len(found) > mostKeys {
		return Keys{}, fmt.Errorf("it has %d keys, and may have 1, or 2 while the key is changed: %s", len(found), hint)
	}
	return Keys{First: found[0], Also: found[len(found)-1]}, nil
}

// keyOf is a part of the secret's hash, so the secret may have any length.
func keyOf(secret []byte) [16]byte {
	sum := sha256.Sum256(append([]byte("anyport fleet peers\x00"), secret...))
	return [16]byte(sum[:16])
}
