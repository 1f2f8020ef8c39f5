package peers

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"anyport/cmd/anyport/internal/secretfile"
)

// Key is what peers prove themselves with.
type Key [16]byte

// leastSecret is how many bytes the secret of the file has at least.
const leastSecret = 16

// ReadKey makes a key of the secret in a file.
func ReadKey(path string) (Key, error) {
	text, err := secretfile.Read(path, "the key of [fleet]")
	if err != nil {
		return Key{}, err
	}
	key, err := parseKey(text)
	if err != nil {
		return Key{}, fmt.Errorf("the key of [fleet] in %s: %w", path, err)
	}
	return key, nil
}

// parseKey reads a line of base64. Empty lines and those that begin with # count nothing. An error never
// quotes the line. The key is a part of the secret's hash, so the secret may have any length.
func parseKey(text []byte) (key Key, err error) {
	const hint = "write a line such as the output of: openssl rand -base64 32"
	var secret []byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
			continue
		case secret != nil:
			return key, fmt.Errorf("it has more than one line, and all hosts use one key: %s", hint)
		}
		if secret, err = base64.StdEncoding.AppendDecode([]byte{}, line); err != nil {
			return key, fmt.Errorf("it is not base64: %s", hint)
		}
	}
	if len(secret) < leastSecret {
		return key, fmt.Errorf("it has %d bytes, and needs %d: %s", len(secret), leastSecret, hint)
	}
	sum := sha256.Sum256(append([]byte("anyport fleet peers\x00"), secret...))
	return Key(sum[:len(key)]), nil
}
