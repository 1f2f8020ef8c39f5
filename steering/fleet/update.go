package fleet

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/ingress"
)

// What strangers may have the peers look up: packets a second in the long run, and at once. A peer needs a
// few microseconds for each. A rehash moves many conns at once, each of which is asked for until the answer
// comes; all conns behind one address may move.
const (
	questionsRate, questionsBurst             = 20_000, 40_000
	sourceQuestionsRate, sourceQuestionsBurst = 2_000, 10_000
)

// patience is how long a conn may be asked for in vain. Nobody has it then, and the kernel answers with a
// reset: else clients of a host that died would wait for their own timeouts. As long as aliveFor: then a
// peer whose user space does not answer is not asked anyway.
const patience = aliveFor

// written is what the maps have.
type written struct {
	backplane bpf.FleetBackplane
	asked     []bpf.FleetPeer
	peers     map[[4]uint32]bpf.FleetPeer
}

// update looks at the network, and tells the programs; attaches them to devices if that is asked for, or if
// the backplane has changed. The caller holds mu.
func (f *Fleet) update(devices bool) error {
	before := f.device
	err := f.look()
	if devices || before != f.device {
		err = errors.Join(err, f.attach())
	}
	return err
}

// look tells the programs about the peers and the ways to them. When the link to the backplane is lost, the kernel
// forgets all MAC addresses: the programs keep those that they have. If they asked nobody, the kernel would reset all
// conns that have moved; so packets are lost until the link is back, or the peers do not count as alive any more. The
// caller holds mu.
func (f *Fleet) look() error {
	now := f.network.find(f.options.Device)
	if now.off == "" && now.index != f.bound {
		now.off = f.reopen(now.index)
	}
	var ways map[netip.Addr]way
	var off map[netip.Addr]string
	if now.off == "" {
		ways, off = f.network.ways(now.index, f.options.Local, f.options.Peers)
	}
	for a, p := range f.members.all {
		p.off = cmp.Or(now.off, off[a])
		if w := ways[a]; w.known() {
			p.way = w
		}
	}
	f.device = now.after(f.device)
	return f.writeAll(f.device)
}

// reopen opens the socket again: it was bound to a device that is gone. It returns what is wrong.
func (f *Fleet) reopen(index int) string {
	err := f.netns.Within(func() error {
		_ = f.socket.Close()
		socket, err := listen(f.options.Device, f.options.Local)
		if err == nil {
			f.socket, f.bound = socket, index
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	return ""
}

// attach attaches take_asked to the backplane, and ask_peers to all devices that are fit: after the fast
// path, which is first, and whatever else there is.
func (f *Fleet) attach() error {
	links, err := ingress.List(f.network.handle)
	if err != nil {
		return fmt.Errorf("list the interfaces: %w", err)
	}
	ask, take := &f.objects.ask, &f.objects.take
	fit := map[int]bool{}
	f.asking, f.off = nil, f.device.off
	err = f.netns.Within(func() error {
		if f.off == "" {
			if err := take.links.Attach(take.program, f.device.index, link.Head()); err != nil {
				f.off = err.Error()
			}
		}
		for _, c := range ingress.Candidates(links) {
			if c.Off == "" {
				fit[c.Index] = true
				if err := ask.links.Attach(ask.program, c.Index, link.Tail()); err != nil {
					c.Off = err.Error()
				}
			}
			f.asking = append(f.asking, Device{c.Name, c.Off})
		}
		return errors.Join(ask.links.DetachOthers(fit), take.links.DetachOthers(map[int]bool{f.device.index: true}))
	})
	return errors.Join(err, f.guardLinks())
}

// guardLinks has what attaches the programs outlive the tun device when this process dies. Else the kernel would
// for a moment have the local routes and not the programs, and reset conns of other hosts whose packets arrive.
// The caller holds mu.
func (f *Fleet) guardLinks() error {
	links := f.objects.Links()
	if f.guarded != nil && maps.Equal(links, f.guarded) {
		return nil
	}
	fds := f.objects.hooks()
	for _, l := range links {
		if l, ok := l.(interface{ FD() int }); ok {
			fds = append(fds, l.FD())
		}
	}
	if err := f.guard.Hold(fds...); err != nil {
		return err
	}
	f.guarded = links
	f.relinked.Store(true)
	return nil
}

// writeAll writes what has changed of what the programs know. No order is needed: a packet that meets half
// of it is lost, or asked for in vain. The caller holds mu.
func (f *Fleet) writeAll(device backplane) error {
	next := f.describe(device)
	f.view.Store(f.viewOf(device))
	var errs []error
	for addr := range f.written.peers { // before others come, or there may be no room for them
		if _, stays := next.peers[addr]; !stays {
			errs = append(errs, ignore(ebpf.ErrKeyNotExist, f.objects.peers.Delete(addr)), ignore(ebpf.ErrKeyNotExist, f.objects.wrongTags.Delete(addr)),
				ignore(ebpf.ErrKeyNotExist, f.objects.heard.Delete(addr)))
		}
	}
	for addr, p := range next.peers {
		if f.written.peers[addr] != p {
			errs = append(errs, f.objects.peers.Put(addr, p))
		}
		if _, known := f.written.peers[addr]; !known {
			errs = append(errs, ignore(ebpf.ErrKeyExist, f.objects.wrongTags.Update(addr, uint64(0), ebpf.UpdateNoExist)),
				ignore(ebpf.ErrKeyExist, f.objects.heard.Update(addr, bpf.FleetHeard{}, ebpf.UpdateNoExist)))
		}
	}
	for i, p := range next.asked {
		if i >= len(f.written.asked) || f.written.asked[i] != p {
			errs = append(errs, f.objects.asked.Put(uint32(i), p))
		}
	}
	if next.backplane != f.written.backplane {
		errs = append(errs, f.objects.backplane.Put(uint32(0), next.backplane))
	}
	errs = append(errs, f.convoke())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write to the maps of the fleet: %w", err)
	}
	f.written = next
	return nil
}

func ignore(expected, err error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// describe is what the programs are to know.
func (f *Fleet) describe(device backplane) written {
	w := written{peers: map[[4]uint32]bpf.FleetPeer{}}
	for i, a := range f.members.addrs() {
		p := peerOf(a, f.members.all[a])
		p.Bit = uint8(i)
		w.peers[bpfmaps.AddrWords(a)] = p
	}
	for _, a := range f.members.asked() {
		w.asked = append(w.asked, peerOf(a, f.members.all[a]))
	}
	o := f.options
	if len(o.Peers) == 0 || !device.known() {
		return w
	}
	w.backplane = bpf.FleetBackplane{
		Key: keyWords(o.Key), Also: keyWords(o.Also),
		Local: bpfmaps.AddrWords(o.Local), V6: bpfmaps.Flag(o.Local.Is6()),
		Device: uint32(device.index), Mtu: uint32(device.mtu), Mac: device.mac, Asked: uint32(len(w.asked)),
		Spacing: spacing(questionsRate, 1), Burst: spacing(questionsRate, questionsBurst),
		SourceSpacing: spacing(sourceQuestionsRate, 1), SourceBurst: spacing(sourceQuestionsRate, sourceQuestionsBurst),
		Patience: uint64(patience),
	}
	return w
}

func keyWords(key [16]byte) [2]uint64 {
	return [2]uint64{binary.NativeEndian.Uint64(key[:]), binary.NativeEndian.Uint64(key[8:])}
}

// spacing is the time that a number of questions takes at a rate, in ns.
func spacing(rate, questions uint64) uint64 { return questions * uint64(time.Second) / rate }

func peerOf(a netip.Addr, p *member) bpf.FleetPeer {
	w := bpf.FleetPeer{Addr: bpfmaps.AddrWords(a), Mac: p.way.mac}
	switch {
	case !p.alive || !p.way.known():
	case p.quiet:
		w.Alive = quiet
	default:
		w.Alive = 1
	}
	return w
}

// adoptAsked takes the peers for alive that the process before has asked until now: its maps say so, if
// they are of the same layout. The caller holds mu.
func (f *Fleet) adoptAsked(now time.Time) {
	if f.written.peers != nil { // by this process
		return
	}
	from := f.objects
	if b := f.before; b != nil && !b.OnlyLinks() && b.asked.ValueSize() == from.asked.ValueSize() && b.backplane.ValueSize() == from.backplane.ValueSize() {
		from = b
	}
	var b bpf.FleetBackplane
	if from.backplane.Lookup(uint32(0), &b) == nil {
		for i := range min(b.Asked, MaxPeers) {
			var p bpf.FleetPeer
			if from.asked.Lookup(i, &p) == nil {
				f.members.adopt(bpfmaps.AddrOfWords(p.Addr), way{p.Mac}, now)
			}
		}
	}
	f.readWritten()
}

// readWritten finds out what the maps have of a process before. The caller holds mu.
func (f *Fleet) readWritten() {
	if f.written.peers != nil {
		return
	}
	f.written.peers = map[[4]uint32]bpf.FleetPeer{}
	_ = f.objects.backplane.Lookup(uint32(0), &f.written.backplane)
	var addr [4]uint32
	var p bpf.FleetPeer
	for all := f.objects.peers.Iterate(); all.Next(&addr, &p); {
		f.written.peers[addr] = p
	}
}
