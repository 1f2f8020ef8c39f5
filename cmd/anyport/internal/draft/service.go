package draft

import (
	"net/netip"

	"anyport/config"
)

// Services is what one configuration of another proxy says.
type Services struct {
	All  []*Service
	Left []Left // what has no equal in anyport, or was not understood
}

// Service is a group of listening sockets of another proxy that share their origins: a frontend and
// its backend of HAProxy, a server block of nginx, a command line of go-mmproxy.
type Service struct {
	Where   string // "haproxy.cfg:12: frontend edge"
	Listens []Listen
	// Route has the origins and all other settings. Its prefixes and ports are empty: import takes
	// them from Listens, or from the rules that bring packets to one of these.
	Route Route
}

// Listen is one listening socket.
type Listen struct {
	Protocol    config.Protocol
	Address     netip.Addr       // zero: all addresses, of both families
	Ports       config.PortRange // of one port, or as `bind a:1-65535` has it
	Transparent bool             // it accepts conns to addresses that are not this host's
}

// Left is what import does not take over.
type Left struct {
	Where  string // "haproxy.cfg:14"
	Text   string // as it was written
	Reason string // and what to do instead, if there is something
}

// At returns the service that listens to a port, for rules that bring packets there. An address is
// that of the rule; zero: any.
func (s *Services) At(protocol config.Protocol, address netip.Addr, port uint16) *Service {
	if s == nil {
		return nil
	}
	for _, service := range s.All {
		for _, l := range service.Listens {
			if l.Protocol == protocol && l.Ports.Contains(port) && (!address.IsValid() || !l.Address.IsValid() || l.Address.IsUnspecified() || l.Address == address) {
				return service
			}
		}
	}
	return nil
}
