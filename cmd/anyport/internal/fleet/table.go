package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// PartSize is the largest part of a table's text that is stored under one key, in bytes. etcd refuses
// requests above 1.5 MiB unless it is told otherwise (--max-request-bytes).
const PartSize = 1 << 20

// Hash names a text by its SHA-256, in lower-case hexadecimal digits; "" is none.
type Hash string

// HashOf returns the hash of a text.
func HashOf(text []byte) Hash {
	sum := sha256.Sum256(text)
	return Hash(hex.EncodeToString(sum[:]))
}

// Short is enough of a hash for people to tell tables apart; "none" for none.
func (h Hash) Short() string {
	if h == "" {
		return "none"
	}
	return string(h[:min(len(h), 12)])
}

// Valid reports whether h has the form of a hash. What a store says is not trusted to.
func (h Hash) Valid() bool {
	raw, err := hex.DecodeString(string(h))
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == string(h)
}

// Manifest says what a stored table consists of. The table's hash is that of the whole text.
type Manifest struct {
	Table   Hash      `json:"-"`
	Parts   []Hash    `json:"parts"` // of at most PartSize each, in the order of the text
	Size    int       `json:"size"`  // bytes of the whole text
	Created time.Time `json:"created"`
	By      string    `json:"by"` // user@host
}

// Split cuts a text into parts of at most size bytes; an empty text has none.
func Split(text []byte, size int) (parts [][]byte) {
	for len(text) > 0 {
		n := min(len(text), size)
		parts = append(parts, text[:n:n])
		text = text[n:]
	}
	return parts
}
