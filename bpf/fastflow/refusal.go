package fastflow

// Refusal is why the kernel does not forward a flow: one word, as metrics and lists show it.
type Refusal string

// What the kernel's side refuses for.
const (
	Full     Refusal = "full"      // the map has no room
	NoDevice Refusal = "no_device" // no program is attached to the device of the client's or of the origin's side
	NoRoute  Refusal = "no_route"  // the host has no route to the client or to the origin
	Obstacle Refusal = "obstacle"  // the device has rules that the program would go round
	Failed   Refusal = "failed"    // a call failed; the error says which
)

// Error makes a Refusal an error.
func (r Refusal) Error() string { return "the kernel cannot forward this flow: " + string(r) }

// Left is an entry that a process before has left.
type Left struct {
	Flow  Flow
	Usage Usage
}
