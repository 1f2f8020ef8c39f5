// Package handover carries what a running anyport holds to the process that takes
// its place: messages over a unix socket, with file descriptors beside them.
//
// The old process starts the new one with one end of a socket pair ([Start],
// [Predecessor]); nothing of it can be seen in the file system. This is how they talk:
//
//	old                         new
//	offer    ──────────────────▶        the sockets, the steering: nothing is touched yet
//	         ◀────────────────── prepared  the file is read, all that can fail has not
//	flows    ──────────────────▶        as often as it takes; the old one stands still
//	yours    ──────────────────▶        that was all
//	         ◀────────────────── ready     it steers, and would serve
//	go       ──────────────────▶        the old one reads nothing any more: serve
//	conns    ──────────────────▶        as often as it takes, while both serve
//	         ◀────────────────── taken     these are the new one's now
//
// Until go each of them can say refused instead, with the reason, and all stays
// with the old one. Once ready, the new one takes an end of the stream for go: the
// old process is gone. The end of the stream is also the end of the conns that move:
// those of a message that is not answered by taken are the old one's.
package handover

import "fmt"

// Version is that of the messages. One that speaks another is refused.
const Version = 1

// Kind is what a message says.
type Kind uint8

// The kinds. New ones go to the end: their numbers are on the wire.
const (
	Offer Kind = 1 + iota
	Prepared
	Flows
	Yours
	Ready
	Go
	Refused
	Conns
	Taken
)

var kinds = map[Kind]string{
	Offer: "offer", Prepared: "prepared", Flows: "flows", Yours: "yours", Ready: "ready", Go: "go", Refused: "refused",
	Conns: "conns", Taken: "taken",
}

func (k Kind) String() string {
	if word, ok := kinds[k]; ok {
		return word
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// RefusedError is the reason that the other process gave.
type RefusedError struct {
	Reason string `json:"reason"`
}

func (e *RefusedError) Error() string { return e.Reason }
