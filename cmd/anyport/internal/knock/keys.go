package knock

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"anyport/cmd/anyport/internal/secretfile"
)

// Keys are the keys of a file, in its order.
type Keys []Key

// A Key is shared by the server and those who may knock.
type Key struct {
	Name   string
	Secret []byte
}

// Find returns the secret of that name, nil if there is none.
func (k Keys) Find(name string) []byte {
	for _, key := range k {
		if key.Name == name {
			return key.Secret
		}
	}
	return nil
}

// leastSecret is how long a secret is at least: 16 bytes cannot be guessed. Longer ones than a block of
// SHA-256 gain nothing.
const leastSecret = 16

// ReadKeys reads a file of keys. It refuses one that others than its owner may open: whoever
// reads it may knock.
func ReadKeys(path string) (Keys, error) {
	text, err := secretfile.Read(path, "the keys of knocks")
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("the keys of knocks in %s: %w", path, err)
	}
	return keys, nil
}

// parseKeys reads lines of "NAME BASE64KEY". Empty lines and those that begin with # count
// nothing. An error never quotes a line, which may be a secret.
func parseKeys(text []byte) (keys Keys, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 || !name().MatchString(words[0]) {
			return nil, fmt.Errorf("line %d: write a name of a-z, 0-9, - and _, and a key in base64, such as the output of: openssl rand -base64 32", n)
		}
		secret, err := base64.StdEncoding.DecodeString(words[1])
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: the key is not base64: make one with: openssl rand -base64 32", n)
		case len(secret) < leastSecret:
			return nil, fmt.Errorf("line %d: the key has %d bytes, and needs %d: make one with: openssl rand -base64 32", n, len(secret), leastSecret)
		case keys.Find(words[0]) != nil:
			return nil, fmt.Errorf("line %d: there is a key %q already: rename one", n, words[0])
		}
		keys = append(keys, Key{words[0], secret})
	}
	if lines.Err() != nil {
		return nil, lines.Err()
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is none: write a line such as: alice $(openssl rand -base64 32)")
	}
	return keys, nil
}
