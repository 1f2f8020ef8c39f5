package knock

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"anyport/config/form"
)

// Longest bounds a datagram. Names of keys and routes have up to 64 bytes each.
const Longest = 400

// magic begins a datagram, with the version of its form.
const magic = "anyport-knock 1"

// seen is the word for the address that the server sees.
const seen = "seen"

// A Message is what a datagram says.
type Message struct {
	Key    string // the name of the key that signs it
	Time   time.Time
	Nonce  [16]byte
	Route  string
	Client netip.Addr // the client that the door opens to; the zero value: the sender
}

// Sign returns the datagram.
func (m Message) Sign(key []byte) []byte {
	text := m.text()
	return fmt.Appendf(nil, "%s %x", text, sum(text, key))
}

// text is what is signed.
func (m Message) text() string {
	client := seen
	if m.Client.IsValid() {
		client = m.Client.String()
	}
	return fmt.Sprintf("%s %s %d %x %s %s", magic, m.Key, m.Time.Unix(), m.Nonce, m.Route, client)
}

func sum(text string, key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// name names a key or a route.
var name = form.New(`^[a-z0-9_-]{1,64}$`)

// parse reads a datagram. It accepts only what Sign makes, byte by byte, so a message has one
// form. signature is what the datagram claims: nothing is authenticated yet.
func parse(datagram []byte) (m Message, signature []byte, ok bool) {
	if len(datagram) > Longest {
		return m, nil, false
	}
	words := strings.Split(string(datagram), " ")
	if len(words) != 8 || words[0]+" "+words[1] != magic || !name().MatchString(words[2]) || !name().MatchString(words[5]) {
		return m, nil, false
	}
	seconds, timeErr := strconv.ParseInt(words[3], 10, 64)
	nonce, nonceErr := hex.DecodeString(words[4])
	signature, signErr := hex.DecodeString(words[7])
	if timeErr != nil || nonceErr != nil || signErr != nil || len(nonce) != len(m.Nonce) || len(signature) != sha256.Size {
		return m, nil, false
	}
	m = Message{Key: words[2], Time: time.Unix(seconds, 0), Nonce: [16]byte(nonce), Route: words[5]}
	if words[6] != seen {
		var err error
		if m.Client, err = netip.ParseAddr(words[6]); err != nil {
			return m, nil, false
		}
	}
	return m, signature, string(datagram) == fmt.Sprintf("%s %x", m.text(), signature)
}
