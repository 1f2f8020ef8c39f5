package peers

import (
	"fmt"
	"net"
	"net/netip"

	"anyport/config"
)

// Addresses are those of the backplane's device, in the network namespace of the calling thread.
func Addresses(f config.Fleet) (all []netip.Prefix, err error) {
	if !f.HasPeers() {
		return nil, nil
	}
	device, err := net.InterfaceByName(f.Device)
	if err != nil {
		return nil, fmt.Errorf("fleet.device %s: %w: see ip link", f.Device, err)
	}
	addresses, err := device.Addrs()
	if err != nil {
		return nil, fmt.Errorf("read the addresses of %s: %w", f.Device, err)
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, prefix)
		}
	}
	return all, nil
}

// LargestMTU is that of the devices that clients may come by: all that are up but lo and the backplane.
func LargestMTU(backplane string) (largest int, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return 0, fmt.Errorf("list the network devices: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&(net.FlagLoopback|net.FlagPointToPoint) == 0 && i.Name != backplane {
			largest = max(largest, i.MTU)
		}
	}
	return largest, nil
}
