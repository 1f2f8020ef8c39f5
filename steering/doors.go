package steering

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/table"
)

// closeDoors closes the doors of a route that comes into service: what was open to a route of that
// name before is over.
func (s *Steering) closeDoors(route string) error {
	id := table.DoorID(route)
	return bpfmaps.RemoveIf(s.objects.Doors, func(k bpf.SteerDoor, _ uint64) bool { return k.Route == id })
}

// doorNames are the routes in service that have a door, by table.DoorID.
func (s *Steering) doorNames() map[uint64]string {
	names := make(map[uint64]string)
	for _, r := range s.requested.Routes() {
		if r.Knock.Needed() {
			names[table.DoorID(r.Name)] = r.Name
		}
	}
	return names
}

// copyDoors opens the doors of the former program's map in that of this one too. Their routes
// are known by name, so it does not matter that the two number them differently.
func (s *Steering) copyDoors() {
	if s.formerDoors == nil {
		return
	}
	doors := make(map[bpf.SteerDoor]uint64)
	err := bpfmaps.Each(s.formerDoors, func(k bpf.SteerDoor, until uint64) { doors[k] = until })
	for k, until := range doors {
		var here uint64
		if s.objects.Doors.Lookup(k, &here) != nil || here < until {
			err = errors.Join(err, s.objects.Doors.Put(k, until))
		}
	}
	if err != nil {
		s.log.Warn("doors that knocks have opened are closed", "error", err)
	}
}

// takeDoors keeps the former program's map of doors until closeFormer, if this build can read it.
func (s *Steering) takeDoors(former map[string]*ebpf.Map) error {
	spec, err := bpf.LoadSteer()
	if err != nil {
		return err
	}
	m := former[bpf.SteerMapDoors]
	if m == nil || spec.Maps[bpf.SteerMapDoors].Compatible(m) != nil {
		return nil
	}
	delete(former, bpf.SteerMapDoors)
	s.formerDoors = m
	return nil
}

// WatchDoors calls opened for each door that the kernel has opened after a sequence of ports, until ctx
// ends. What the process before has not read comes first. It returns early only if the kernel cannot
// tell.
func (s *Steering) WatchDoors(ctx context.Context, opened func(route string, client netip.Addr)) error {
	ring, err := s.openRing(ctx, bpf.SteerMapOpenedDoors)
	if ring == nil || err != nil {
		return err
	}
	defer ring.close()
	for {
		sample, err := ring.read(time.Time{})
		switch {
		case errors.Is(err, os.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("watch which doors the kernel opens: %w", err)
		}
		if route, client, ok := s.parseDoor(sample); ok {
			opened(route, client)
		}
	}
}

// parseDoor reads a record of the ring buffer, struct door. A route that is not in service any more has none.
func (s *Steering) parseDoor(sample []byte) (route string, client netip.Addr, ok bool) {
	door, ok := decodeRecord[bpf.SteerDoor](sample)
	if !ok {
		return "", client, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	route, ok = s.doorNames()[door.Route]
	return route, bpfmaps.AddrOfWords(door.Client), ok
}
