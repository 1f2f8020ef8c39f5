package host

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"anyport/config"
)

// ReadListeners asks the kernel for the listeners in the network namespace of the
// calling thread, and /proc for their processes. One that is opened or closed meanwhile
// is left out: its process could not be found, and most of them are this process's own,
// which opens and closes a socket for each dst that it answers from.
func ReadListeners() ([]Listener, error) {
	before, err := listenersByInode()
	if err != nil {
		return nil, err
	}
	owners := socketOwners(before)
	after, err := listenersByInode()
	if err != nil {
		return nil, err
	}
	var all []Listener
	for inode, l := range after {
		if before[inode] == l {
			l.Process, l.PID = owners[inode].name, owners[inode].pid
			all = append(all, l)
		}
	}
	slices.SortFunc(all, Listener.compare)
	return all, nil
}

// OtherListeners is ReadListeners without those of this process itself.
func OtherListeners() ([]Listener, error) {
	all, err := ReadListeners()
	own := ownPID()
	return slices.DeleteFunc(all, func(l Listener) bool { return l.PID == own }), err
}

// ListenersWithoutOwners is ReadListeners without a look at the processes, which takes long where there are many.
func ListenersWithoutOwners() ([]Listener, error) {
	found, err := listenersByInode()
	return slices.Collect(maps.Values(found)), err
}

// Socket is a listener as the kernel numbers it.
type Socket struct {
	Listener
	Inode  uint32 // as /proc/PID/fd has it
	Cookie uint64 // as BPF maps show it
}

// Sockets asks the kernel for the listeners in the network namespace of the calling thread, without their processes.
func Sockets() (all []Socket, err error) {
	err = eachListener(func(l Listener, inode uint32, message []byte) {
		all = append(all, Socket{l, inode, binary.NativeEndian.Uint64(message[44:])}) // inet_diag_sockid.idiag_cookie
	})
	return all, err
}

// compare orders listeners, so that messages have the same order each time.
func (l Listener) compare(m Listener) int {
	return cmp.Or(cmp.Compare(l.Protocol, m.Protocol), l.Addr.Compare(m.Addr), cmp.Compare(l.PID, m.PID))
}

// listenersByInode returns the listeners without their processes.
func listenersByInode() (map[uint32]Listener, error) {
	all := make(map[uint32]Listener)
	err := eachListener(func(l Listener, inode uint32, _ []byte) { all[inode] = l })
	return all, err
}

// eachListener calls do with each, and with the struct inet_diag_msg that says so.
func eachListener(do func(l Listener, inode uint32, message []byte)) error {
	for _, protocol := range []config.Protocol{config.TCP, config.UDP} {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			found, err := Dump(func() ([][]byte, error) { return diagnose(family, protocol, listening(protocol)) })
			if errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("list the %v listeners: %w: load the kernel's module for it: modprobe %v_diag", protocol, err, protocol)
			}
			if err != nil {
				return fmt.Errorf("list the %v listeners: %w", protocol, err)
			}
			for _, message := range found {
				if l, inode, ok := parseDiag(message, protocol); ok {
					do(l, inode, message)
				}
			}
		}
	}
	return nil
}

// States of linux/tcp_states.h: an unconnected UDP socket is in TCP_CLOSE.
const tcpSynRecv, tcpClose, tcpListen = 3, 7, 10

// listening is the state of a socket that takes what comes first.
func listening(protocol config.Protocol) int {
	if protocol == config.UDP {
		return tcpClose
	}
	return tcpListen
}

// diagnose dumps the sockets in a state as struct inet_diag_msg with attributes, sock_diag(7).
func diagnose(family uint8, protocol config.Protocol, state int) ([][]byte, error) {
	request := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	request.AddData(&diagRequest{family: family, protocol: uint8(protocol), states: 1 << state})
	return request.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
}

// diagRequest is struct inet_diag_req_v2, of any address and port if these are not valid.
type diagRequest struct {
	family, protocol uint8
	states           uint32
	local, remote    netip.AddrPort
}

func (r *diagRequest) Len() int { return 56 }

func (r *diagRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1] = r.family, r.protocol
	binary.NativeEndian.PutUint32(b[4:], r.states)
	if r.local.IsValid() {
		binary.BigEndian.PutUint16(b[8:], r.local.Port())
		binary.BigEndian.PutUint16(b[10:], r.remote.Port())
		copy(b[12:28], r.local.Addr().AsSlice())
		copy(b[28:44], r.remote.Addr().AsSlice())
		binary.NativeEndian.PutUint64(b[48:], ^uint64(0)) // INET_DIAG_NOCOOKIE, twice
	}
	return b
}

// diagMessage is the size of struct inet_diag_msg.
const diagMessage = 72

// attrV6Only is INET_DIAG_SKV6ONLY of linux/inet_diag.h.
const attrV6Only = 11

// diagAddr reads an address of struct inet_diag_msg, which has four bytes of sixteen for IPv4.
func diagAddr(family uint8, b []byte) netip.Addr {
	if family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16([16]byte(b)).Unmap()
}

// parseDiag reads a struct inet_diag_msg and its attributes.
func parseDiag(message []byte, protocol config.Protocol) (l Listener, inode uint32, ok bool) {
	if len(message) < diagMessage {
		return l, 0, false
	}
	l = Listener{Protocol: protocol, Addr: netip.AddrPortFrom(diagAddr(message[0], message[8:24]), binary.BigEndian.Uint16(message[4:]))}
	attributes, err := nl.ParseRouteAttr(message[diagMessage:])
	if err != nil {
		return l, 0, false
	}
	for _, a := range attributes {
		if a.Attr.Type == attrV6Only && len(a.Value) > 0 {
			l.IPv6Only = a.Value[0] == 1
		}
	}
	_, options := parseSockopt(message)
	l.Transparent = options.transparent
	return l, binary.NativeEndian.Uint32(message[68:]), true
}
