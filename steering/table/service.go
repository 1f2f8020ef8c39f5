package table

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"anyport/config"
)

// Service is what a route with action = "socket" leads to: a service of this host, and which of
// its sockets. Routes with the same two share the socket in the kernel.
type Service struct {
	Name     string         // as the file has it
	Listener netip.AddrPort // not valid: the only socket that it has
}

// ServiceOf is the service of a route.
func ServiceOf(r *config.Route) Service { return Service{r.Service, r.Listener} }

// ID names the service in the kernel. It is a hash, so that it is the same in each generation and
// process, and nobody has to keep numbers. 0 is none.
func (s Service) ID() uint64 {
	if s == (Service{}) {
		return 0
	}
	return hash(s.Name + "\x00" + s.Listener.String())
}

// NameID is the ID of the service without its listener: all listeners of a service are in one cgroup.
func (s Service) NameID() uint64 { return hash(s.Name) }

// hash is 64 bits of SHA-256. Nobody but the operator chooses the text, so that they collide by
// accident only.
func hash(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.NativeEndian.Uint64(sum[:])
}

// String is the name, and the listener if there is one.
func (s Service) String() string {
	if !s.Listener.IsValid() {
		return s.Name
	}
	return s.Name + " " + s.Listener.String()
}
