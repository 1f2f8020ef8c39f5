package handover

import "fmt"

// Version is the version of the messages. A process that speaks another one is refused.
const Version = 1

// Kind is the kind of a message.
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
	Count
	Counted
	GiveBack
	Hold
)

// kinds are the words for errors and logs.
var kinds = map[Kind]string{
	Offer: "offer", Prepared: "prepared", Flows: "flows", Yours: "yours", Ready: "ready", Go: "go", Refused: "refused",
	Conns: "conns", Taken: "taken",
	Count: "count", Counted: "counted", GiveBack: "give back", Hold: "hold",
}

// String is for errors, such as "unexpected message go, want ready".
func (k Kind) String() string {
	if word, ok := kinds[k]; ok {
		return word
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// RefusedError is the reason that the other process gave in the message refused.
type RefusedError struct {
	Reason string `json:"reason"`
}

func (e *RefusedError) Error() string { return e.Reason }
