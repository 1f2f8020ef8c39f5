package steering

import (
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/bpf/socketfilter"
	"anyport/config"
)

// sockopt is one socket option of an integer.
type sockopt struct {
	name              string
	level, opt, value int
}

// prepare sets the options that a socket of slot needs before it is bound. All that
// need a capability are here, so that it can be given up afterwards.
func prepare(fd int, slot bpf.SteerSlot, cfg config.Listen, log *slog.Logger) error {
	for _, o := range options(fd, slot, cfg) {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return os.NewSyscallError("setsockopt "+o.name, err)
		}
	}
	switch slot {
	case bpf.SteerSlotUDP:
		return receiveBuffer(fd, int(cfg.UDPReceiveBuffer), log)
	case bpf.SteerSlotTCP_HOLE, bpf.SteerSlotUDP_HOLE:
		return socketfilter.DropAll(fd)
	}
	return nil
}

// options lists those of any kernel: an error is not expected, and ends the start.
func options(fd int, slot bpf.SteerSlot, cfg config.Listen) []sockopt {
	var all []sockopt
	add := func(name string, level, opt, value int) {
		all = append(all, sockopt{name: name, level: level, opt: opt, value: value})
	}
	domain, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if domain == unix.AF_INET6 {
		add("IPV6_V6ONLY", unix.SOL_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if slot == bpf.SteerSlotTCP || slot == bpf.SteerSlotUDP {
		// Conns live on when a TPROXY rule for the same traffic comes or goes. Holes do
		// without.
		add("IP_TRANSPARENT", unix.SOL_IP, unix.IP_TRANSPARENT, 1)
	}
	if cfg.Workers > 1 {
		add("SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if slot == bpf.SteerSlotUDP {
		add("IP_RECVORIGDSTADDR", unix.SOL_IP, unix.IP_RECVORIGDSTADDR, 1)
		if domain == unix.AF_INET6 {
			add("IPV6_RECVORIGDSTADDR", unix.SOL_IPV6, unix.IPV6_RECVORIGDSTADDR, 1)
		}
	}
	return all
}

// receiveBuffer makes room for size bytes; short of CAP_NET_ADMIN, for as many as
// net.core.rmem_max allows.
func receiveBuffer(fd, size int, log *slog.Logger) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) == nil {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size); err != nil {
		return os.NewSyscallError("setsockopt SO_RCVBUF", err)
	}
	// socket(7): the kernel doubles what it is asked for, and reports the double.
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err == nil && got/2 < size {
		log.Warn("the UDP receive buffer is smaller than udp_receive_buffer", "wanted", size, "got", got/2,
			"hint", fmt.Sprintf("sysctl -w net.core.rmem_max=%d", size))
	}
	return nil
}
