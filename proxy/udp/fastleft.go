package udp

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
	"anyport/proxy/flow"
)

// FastLeft are flows that a process had the kernel forward before it died, and that the kernel still
// forwards, with what it has forwarded of each.
type FastLeft = iter.Seq2[fastflow.Flow, fastflow.Usage]

// adoptLeft has such flows go on in the loops that their clients' datagrams are steered to. Only then, with
// a socket for each, they are decided on again: what comes up meanwhile of an origin would be refused.
func adoptLeft(loops []*loop, opt Options) {
	if opt.Fast == nil || opt.FastLeft == nil {
		return
	}
	adopted, ended := 0, 0
	for entry, used := range opt.FastLeft {
		at := workerOf(entry.Client.Addr(), len(loops))
		if loops[at].adoptLeft(entry, used) {
			adopted++
			continue
		}
		ended++
		opt.Fast.Leave(entry)
		opt.Fast.Remove(entry)
	}
	raise(opt.Fast, opt.Log)
	if adopted+ended > 0 {
		opt.Log.Info("adopted flows that the kernel went on to forward", "flows", adopted, "ended", ended)
	}
}

// adoptLeft has one flow go on here, with a socket that is bound as that of the dead process was. It
// reports false if no route leads there any more, or another socket has that port by now.
func (l *loop) adoptLeft(entry fastflow.Flow, used fastflow.Usage) bool {
	in, ok := l.flows.Left(entry, used, time.Now())
	if !ok || l.openLeft(&in, entry) != nil {
		return false
	}
	if !l.adopt(in, l.now()) {
		if own := in.FD; l.ownerOf(max(0, own)) == (owner{}) && !in.Egress.IsValid() {
			unix.Close(own)
		}
		return false
	}
	f := l.flows.Find(flow.KeyOf(entry.Client, entry.Dst))
	l.flows.FastLeftBefore(f, l.fast.kernel.Generation(), used)
	f.NoteFastSource(entry.Source)
	l.remember(f, entry)
	return true
}

// openLeft gives a flow its socket; one that flows share may be open already.
func (l *loop) openLeft(in *Flow, entry fastflow.Flow) (err error) {
	switch {
	case in.Egress.IsValid(): // the raw socket
	case in.SPP:
		if in.FD = l.boundTo(entry.Source); in.FD < 0 {
			in.FD, err = l.dialer.BindTo(entry.Source)
		}
	default:
		in.FD, err = l.dialer.DialFrom(entry.Origin, entry.Source)
	}
	return err
}

// boundTo is the file descriptor of the shared socket that leaves from an address and port, or -1.
func (l *loop) boundTo(source netip.AddrPort) int {
	for fd, o := range l.owners.each {
		if o.shared != nil && o.shared.port == source.Port() && o.shared.key.origin.Is4() == source.Addr().Is4() {
			return fd
		}
	}
	return -1
}

// workerOf is the loop of a client, as function worker of bpf/assign.h chooses the listener.
func workerOf(client netip.Addr, workers int) int {
	if workers < 2 {
		return 0
	}
	b := client.As16()
	h := binary.NativeEndian.Uint32(b[12:])
	if !client.Is4() {
		h = binary.NativeEndian.Uint32(b[:]) ^ binary.NativeEndian.Uint32(b[4:])*0x9e3779b1
	}
	h ^= h >> 16 // the finalizer of MurmurHash3
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	h ^= h >> 16
	return int(uint64(h) * uint64(workers) >> 32)
}
