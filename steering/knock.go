package steering

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
	"anyport/steering/program"
	"anyport/steering/table"
)

// A Door is open to one address: new conns of it are admitted on that route.
type Door struct {
	Route  string
	Client netip.Addr
	Left   time.Duration
}

// OpenDoor opens the door of route to client, for the route's knock_window. It needs no
// privilege beyond the descriptor of the map. A door that stays open longer anyway remains so.
func (s *Steering) OpenDoor(route *config.Route, client netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	if _, serving := s.numbers[route.Name]; !serving {
		return fmt.Errorf("open the door of route %q: it is not in service", route.Name)
	}
	now, err := s.knockTime()
	if err != nil {
		return err
	}
	key, until := doorKey(route.Name, client), uint64(now+route.Knock.Window)
	var old uint64
	if s.objects.Doors.Lookup(key, &old) == nil && old >= until {
		return nil
	}
	if err := s.objects.Doors.Put(key, until); err != nil {
		return fmt.Errorf("open the door of route %q to %s: %w", route.Name, client, err)
	}
	return nil
}

// Doors lists the open doors, by route and client.
func (s *Steering) Doors() ([]Door, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() || !slices.ContainsFunc(s.requested.Routes(), func(r *config.Route) bool { return r.Knock.Needed() }) {
		return nil, nil
	}
	now, err := s.knockTime()
	if err != nil {
		return nil, err
	}
	names := s.doorNames()
	var doors []Door
	err = bpfmaps.Each(s.objects.Doors, func(k bpf.SteerDoor, until uint64) {
		if left := time.Duration(until) - now; left > 0 && names[k.Route] != "" {
			doors = append(doors, Door{names[k.Route], bpfmaps.AddrOfWords(k.Client), left})
		}
	})
	slices.SortFunc(doors, func(a, b Door) int {
		if order := strings.Compare(a.Route, b.Route); order != 0 {
			return order
		}
		return a.Client.Compare(b.Client)
	})
	return doors, err
}

// knockState says what the kernel still wants of client before route admits it, or until when
// it does.
func (s *Steering) knockState(route *config.Route, client netip.Addr) string {
	now, err := s.knockTime()
	if err != nil {
		return ""
	}
	var until uint64
	if s.objects.Doors.Lookup(doorKey(route.Name, client), &until) == nil && time.Duration(until) > now {
		return fmt.Sprintf(": it has knocked; the door is open %s more", (time.Duration(until) - now).Round(time.Second))
	}
	if route.Knock.SPA() {
		return ": knock needed: an authenticated datagram"
	}
	return fmt.Sprintf(": knock needed: %d of %d seen", s.knocksSeen(s.numbers[route.Name], client, now), len(route.Knock.Steps))
}

// knocksSeen is how many ports of the sequence client has knocked at in time.
func (s *Steering) knocksSeen(number uint32, client netip.Addr, now time.Duration) uint32 {
	var setup bpf.SteerKnockSetup
	if s.objects.KnockSetup.Lookup(uint32(0), &setup) != nil {
		return 0
	}
	words := bpfmaps.AddrWords(client)
	for _, row := range knockRows(client, setup.Secret) {
		for i := range uint32(knockWays) {
			var k bpf.SteerKnocker
			if s.objects.Knockers.Lookup(row*knockWays+i, &k) != nil || k.Client != words || k.Number != number {
				continue
			}
			if now-time.Duration(k.Since) < table.KnockWithin {
				return k.Next
			}
		}
	}
	return 0
}

// knockWays is KNOCK_WAYS of bpf/knock.h, and mostKnockRows is KNOCK_ROWS.
const (
	knockWays     = 8
	mostKnockRows = 8192
)

// knockRows are the two rows in which find_knocker of bpf/knock.h looks for client.
func knockRows(client netip.Addr, secret uint64) [2]uint32 {
	words := bpfmaps.AddrWords(client)
	network := uint64(words[0])<<32 | uint64(words[1])
	address := network
	if client.Unmap().Is4() {
		network = uint64(words[3] & binary.NativeEndian.Uint32([]byte{255, 255, 255, 0}))
		address = uint64(words[3])
	}
	return [2]uint32{knockRow(network ^ secret), mostKnockRows/2 + knockRow(^address^secret)}
}

// knockRow is knock_row, counted in rows of one half.
func knockRow(h uint64) uint32 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return uint32(h % (mostKnockRows / 2))
}

// drawKnockSecret draws the secret that spreads networks over rows, unless a process before
// has: what clients have knocked lies where that secret says.
func (s *Steering) drawKnockSecret() error {
	var setup bpf.SteerKnockSetup
	if err := s.objects.KnockSetup.Lookup(uint32(0), &setup); err != nil || setup.Secret != 0 {
		return err
	}
	var secret [8]byte
	rand.Read(secret[:]) // never fails
	setup.Secret = binary.NativeEndian.Uint64(secret[:]) | 1
	return s.objects.KnockSetup.Put(uint32(0), setup)
}

// knockDifference explains why the kernel denies a client that the table admits.
func (s *Steering) knockDifference(p program.Packet, got kernelAnswer, want table.Decision) string {
	if want.Verdict != table.Steer || want.Route == nil || !want.Route.Knock.Needed() || !p.Client.Addr().IsValid() {
		return ""
	}
	if got.route != want.RouteName() || got.verdict != table.Deny && got.verdict != table.Steer {
		return ""
	}
	return s.knockState(want.Route, p.Client.Addr())
}

// doorKey is the key of a door, an IPv4 address as ::ffff:a.b.c.d.
func doorKey(route string, client netip.Addr) bpf.SteerDoor {
	return bpf.SteerDoor{Route: table.DoorID(route), Client: bpfmaps.AddrWords(client)}
}

// knockTime is the clock of doors, as the program reads it.
func (s *Steering) knockTime() (time.Duration, error) {
	var setup bpf.SteerKnockSetup
	if err := s.objects.KnockSetup.Lookup(uint32(0), &setup); err != nil {
		return 0, fmt.Errorf("read the set-up of knocks: %w", err)
	}
	if setup.Now != 0 {
		return time.Duration(setup.Now), nil
	}
	return clock.Boot(), nil
}
