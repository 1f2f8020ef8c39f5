package fleet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"

	"anyport/bpf"
	"anyport/steering/ingress"
	"anyport/steering/program"
)

// Objects are the two programs and the maps that user space needs, in the kernel, and what attaches the
// programs. The programs hold the other maps.
type Objects struct {
	ask, take                                                                       attached
	backplane, asked, peers, wrongTags, learnt, questions, bucket, counters, events *ebpf.Map
	heard, needed                                                                   *ebpf.Map    // see silence.go
	flows, moved                                                                    *ebpf.Map    // of UDP
	socket                                                                          *net.UDPConn // of the process before; nil: none
}

// attached is a program and what it is attached to.
type attached struct {
	program *ebpf.Program
	links   *ingress.Attachments
}

// Load loads the programs and makes their maps, which take 30 MB of the kernel's memory. It needs CAP_BPF
// and CAP_NET_ADMIN; all that follows needs neither.
func Load(served Served) (*Objects, error) {
	if errors.Is(features.HaveProgramHelper(ebpf.SchedCLS, asm.FnLoop), ebpf.ErrNotSupported) {
		return nil, errors.New("this kernel has no bpf_loop, which Linux 5.17 has")
	}
	spec, err := spec()
	if err != nil {
		return nil, err
	}
	var loaded bpf.FleetObjects
	err = spec.LoadAndAssign(&loaded, &ebpf.CollectionOptions{MapReplacements: served.byName()})
	if err != nil {
		return nil, fmt.Errorf("load the programs of the fleet: %w", program.Advise(err))
	}
	o := newObjects()
	o.ask.program, o.take.program = loaded.AskPeers, loaded.TakeAsked
	m := loaded.FleetMaps
	o.backplane, o.asked, o.peers, o.wrongTags = m.FleetBackplane, m.FleetAsked, m.FleetPeers, m.FleetWrongTags
	o.learnt, o.questions, o.bucket, o.counters, o.events = m.FleetLearnt, m.FleetQuestions, m.FleetBucket, m.FleetCounters, m.FleetEvents
	o.heard, o.needed, o.flows, o.moved = m.FleetHeard, m.FleetNeeded, m.FleetFlows, m.FleetMoved
	errs := []error{o.ask.links.Prepare(o.ask.program), o.take.links.Prepare(o.take.program), m.FleetAnswers.Close(), m.FleetSources.Close(), m.Generation.Close(), m.Probes.Close(), m.PrefixesV4.Close(), m.PrefixesV6.Close()}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// spec is both programs, for this kernel.
func spec() (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadFleet()
	if err != nil {
		return nil, err
	}
	if program.Since(6, 3) { // BPF_F_ADJ_ROOM_DECAP_L3_IPV4 and _IPV6
		return spec, spec.Variables[bpf.FleetVarHasDecap].Set(uint32(1))
	}
	return spec, nil
}

func newObjects() *Objects {
	return &Objects{ask: attached{links: ingress.New(ingress.AskPeers)}, take: attached{links: ingress.New(ingress.TakeAsked)}}
}

// programs are both by their names in fleet.bpf.c.
func (o *Objects) programs() map[string]*attached {
	return map[string]*attached{bpf.FleetProgAskPeers: &o.ask, bpf.FleetProgTakeAsked: &o.take}
}

// maps are the maps by their names in fleet_maps.h.
func (o *Objects) maps() map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		bpf.FleetMapFleetBackplane: &o.backplane, bpf.FleetMapFleetAsked: &o.asked, bpf.FleetMapFleetPeers: &o.peers,
		bpf.FleetMapFleetWrongTags: &o.wrongTags, bpf.FleetMapFleetLearnt: &o.learnt, bpf.FleetMapFleetQuestions: &o.questions,
		bpf.FleetMapFleetHeard: &o.heard, bpf.FleetMapFleetNeeded: &o.needed,
		bpf.FleetMapFleetFlows: &o.flows, bpf.FleetMapFleetMoved: &o.moved,
		bpf.FleetMapFleetBucket: &o.bucket, bpf.FleetMapFleetCounters: &o.counters, bpf.FleetMapFleetEvents: &o.events,
	}
}

// Programs are both programs, for a caller that finds programs at the ingress of a device and must know its own.
func (o *Objects) Programs() []*ebpf.Program {
	if o == nil || o.OnlyLinks() {
		return nil
	}
	return []*ebpf.Program{o.ask.program, o.take.program}
}

// CheckBuild says whether o is of this build, to the instruction, and reads these maps. If not, Load
// other ones, and have them take the links.
func (o *Objects) CheckBuild(served Served) error {
	if o.OnlyLinks() {
		return errors.New("a dead process has left only links")
	}
	spec, err := spec()
	if err != nil {
		return err
	}
	for name, p := range o.programs() {
		if err := spec.Programs[name].Instructions.Marshal(io.Discard, byteOrder()); err != nil { // it writes where functions are
			return fmt.Errorf("read the program %s: %w", name, err)
		}
		if err := program.SameBuild(p.program, spec.Programs[name], "the program "+name); err != nil {
			return err
		}
		if err := reads(p.program, served); err != nil {
			return fmt.Errorf("the program %s: %w", name, err)
		}
	}
	return program.SameMaps(o.maps(), spec)
}

// byteOrder is this machine's. [binary.NativeEndian] is not one that package asm knows.
func byteOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

// TakeLinks has what attaches another build's programs attach the programs of o, and closes the rest of it.
func (o *Objects) TakeLinks(before *Objects) error {
	return errors.Join(
		o.ask.links.Take(before.ask.links, o.ask.program),
		o.take.links.Take(before.take.links, o.take.program),
		before.Close(),
	)
}

// socketOf is where the socket of the process before is; nil: nowhere.
func (o *Objects) socketOf() **net.UDPConn {
	if o == nil {
		return nil
	}
	return &o.socket
}

// Links are the links of both programs by names that all builds know: "ask_peers/2" for interface index 2.
func (o *Objects) Links() map[string]link.Link {
	all := map[string]link.Link{}
	for name, p := range o.programs() {
		for index, l := range p.links.Links {
			all[name+"/"+strconv.Itoa(index)] = l
		}
	}
	return all
}

// hooks are the descriptors of what the filters run, where the kernel has no links.
func (o *Objects) hooks() (fds []int) {
	for _, p := range o.programs() {
		if p.links.Hook != nil {
			fds = append(fds, p.links.Hook.Slot.FD())
		}
	}
	return fds
}

// Detach detaches both programs from all devices, whoever else holds the links.
func (o *Objects) Detach() error {
	if o == nil {
		return nil
	}
	return errors.Join(o.ask.links.DetachOthers(nil), o.take.links.DetachOthers(nil))
}

// Close closes the descriptors. What another process holds stays.
func (o *Objects) Close() error {
	if o == nil {
		return nil
	}
	var errs []error
	if o.socket != nil {
		errs = append(errs, o.socket.Close())
		o.socket = nil
	}
	for _, p := range o.programs() {
		errs = append(errs, p.links.Close(), p.program.Close())
	}
	for _, m := range o.maps() {
		errs = append(errs, (*m).Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the fleet's part in the kernel: %w", err)
	}
	return nil
}
