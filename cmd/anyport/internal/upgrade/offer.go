package upgrade

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy"
	"anyport/steering/announce"
	"anyport/steering/host"
)

// Timeout bounds each of the two parts of a hand-over: until the new process is prepared, and while
// nothing is served.
const Timeout = 30 * time.Second

// Names of file descriptors in an offer. All others are the steering's.
const (
	FDAdmin   = "admin"
	FDAccess  = "access"
	FDRawIPv4 = "raw/4"
	FDRawIPv6 = "raw/6"
	FDTable   = "fleet_table" // the text of the table in service, in a file without a name

	FDAnnounce = "announce" // the device of the announced routes. The service manager does not get it: it would keep them
)

// Offer is what a process gives the one that is going to take its place, while it serves. The old
// process sends copies of the file descriptors; it still uses its own.
type Offer struct {
	FDs       map[string]int     // by name
	Stored    []string           // names of those that the service manager keeps
	Listeners []host.Listener    // of other processes: only this one can tell them from its own
	Draining  []string           // routes that take no new conns: a program of another build cannot tell
	Origins   proxy.OriginStates // that are not as a new process takes them to be
	Access    string             // log.access, whose file is among the descriptors if it is a file
	Instance  string             // that the new process goes on with, for a fleet
	Damping   []announce.Damping // of the announced routes

	Grace map[string]time.Duration // how long routes of Draining go on taking new conns

	PeersChanged time.Duration // as in Ahead; of use to a process on trial, which may get no Ahead any more

	// Trial: the new process takes the TCP conns of a share of the clients, by a listener of its own. All else it only holds,
	// in case that the old one dies. File is then the hash of the file that the old one serves.
	Trial bool
	File  string

	Segment int // that clients of new conns are told, since peers may have to wrap it; 0: none. The steering's listeners have it
}

// wireOffer is an offer without its file descriptors, which travel beside it. Keys may be added, never
// renamed: processes of different versions exchange it.
type wireOffer struct {
	FDs       []string           `json:"fds"` // names, in the order of the descriptors
	Stored    []string           `json:"stored"`
	Listeners []host.Listener    `json:"listeners"`
	Draining  []string           `json:"draining"`
	Origins   proxy.OriginStates `json:"origins,omitempty"`
	Access    string             `json:"access"`
	Instance  string             `json:"instance,omitempty"`
	Damping   []announce.Damping `json:"damping,omitempty"`
	Changed   time.Duration      `json:"peers_changed,omitempty"`

	Grace map[string]time.Duration `json:"grace,omitempty"`

	Trial   bool   `json:"trial,omitempty"`
	File    string `json:"file,omitempty"`
	Segment int    `json:"segment,omitempty"`
}

// send sends copies of all that is offered.
func (o Offer) send(to *handover.Conn) error { return o.sendAs(handover.Offer, to) }

// sendAs is send as a message of that kind.
func (o Offer) sendAs(kind handover.Kind, to *handover.Conn) error {
	names := slices.Sorted(maps.Keys(o.FDs))
	var fds []int
	for _, name := range names {
		fds = append(fds, o.FDs[name])
	}
	return to.Send(kind, wireOffer{
		FDs: names, Stored: o.Stored, Listeners: o.Listeners, Draining: o.Draining, Origins: o.Origins, Access: o.Access,
		Instance: o.Instance, Damping: o.Damping, Changed: o.PeersChanged, Trial: o.Trial, File: o.File, Segment: o.Segment, Grace: o.Grace,
	}, fds...)
}

// receiveOffer waits for the offer. Its file descriptors are copies that the caller closes.
func receiveOffer(from *handover.Conn) (o Offer, err error) {
	m, err := from.Expect(handover.Offer)
	if err != nil {
		return o, err
	}
	return decodeOffer(m)
}

// decodeOffer gives each file descriptor its name.
func decodeOffer(m handover.Message) (o Offer, err error) {
	var w wireOffer
	if err := m.Decode(&w); err != nil || len(w.FDs) != len(m.FDs) {
		m.CloseFDs()
		return o, errors.Join(err, fmt.Errorf("%d file descriptors came and %d were named", len(m.FDs), len(w.FDs)))
	}
	o = Offer{
		FDs: map[string]int{}, Stored: w.Stored, Listeners: w.Listeners, Draining: w.Draining, Origins: w.Origins, Access: w.Access,
		Instance: w.Instance, Damping: w.Damping, PeersChanged: w.Changed, Trial: w.Trial, File: w.File, Segment: w.Segment, Grace: w.Grace,
	}
	for i, name := range w.FDs {
		if old, twice := o.FDs[name]; twice {
			unix.Close(old)
		}
		o.FDs[name] = m.FDs[i]
	}
	return o, nil
}
