package proxyconf

import (
	"fmt"
	"net/netip"
	"slices"

	"anyport/config"
)

// Reading is all that one configuration says, as far as anyport has an equal.
type Reading struct {
	Services []*Service
	Lines    []*Line // in the order of the files
}

// Service is a section that listens, such as a listen of HAProxy or a server of nginx.
type Service struct {
	Name    string
	Line    *Line // its first
	Listens []Listen
	Choices []Choice // the first one that matches a dst takes it
}

// Listen is an address and ports that a service listens on.
type Listen struct {
	Address  netip.Addr // unspecified: all addresses of its family
	Both     bool       // of [::]: the IPv4 addresses too
	Ports    config.PortRange
	Protocol config.Protocol

	// Transparent sockets also get packets to other dsts, which a TPROXY rule brings.
	Transparent bool
	AcceptProxy []netip.Prefix // peers that send a PROXY header; none: no header is read
	Line        *Line
}

// Choice is where a service forwards some dsts to.
type Choice struct {
	Name       string             // of what it forwards to; "" if the service has no other choice
	To         []netip.Prefix     // dst addresses; none: all
	Ports      []config.PortRange // dst ports; none: all
	Forwarding *Forwarding
}

// Line is one directive, and what became of it. Readers mark a line where they use it, by [Line.Became],
// [Line.Differs] and [Line.Leave], and a line may have marks of all three kinds: a server line becomes
// an origin, and a parameter of it has no equal. A line without a mark is left for the reason in
// Otherwise. So a directive that a reader does not know is reported too.
type Line struct {
	File    string
	Number  int
	Section string // as "listen game"
	Text    string

	Keys []string // the keys that it, or a part of it, became
	Left []string // why it, or a part of it, has no equal

	Differences []string // what anyport does otherwise with what it became

	// Otherwise is why it was left, if nothing marks it.
	Otherwise string
}

// Became notes a key that the line, or a part of it, was written as. l may be nil: several lines
// make some keys.
func (l *Line) Became(keys ...string) {
	if l == nil {
		return
	}
	for _, key := range keys {
		if !slices.Contains(l.Keys, key) {
			l.Keys = append(l.Keys, key)
		}
	}
}

// Leave notes that the line, or a part of it, has no equal.
func (l *Line) Leave(format string, args ...any) {
	if reason := fmt.Sprintf(format, args...); !slices.Contains(l.Left, reason) {
		l.Left = append(l.Left, reason)
	}
}

// Differs notes what anyport does otherwise.
func (l *Line) Differs(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(l.Differences, text) {
		l.Differences = append(l.Differences, text)
	}
}

// Reasons are why the line, or a part of it, was left. A line that nothing marked has one too.
func (l *Line) Reasons() []string {
	switch {
	case len(l.Left) > 0 || len(l.Keys) > 0:
		return l.Left
	case l.Otherwise != "":
		return []string{l.Otherwise}
	}
	return []string{"anyport has no equal"}
}

// Place is where the line stands.
func (l *Line) Place() string {
	if l.Number == 0 {
		return l.File
	}
	return fmt.Sprintf("%s:%d", l.File, l.Number)
}
