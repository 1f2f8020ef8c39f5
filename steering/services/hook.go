package services

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
)

// Hook is the program note_listener with its maps. Any process may attach it that has the descriptors; to load it
// requires CAP_BPF and CAP_NET_ADMIN.
type Hook struct {
	Program   *ebpf.Program `ebpf:"note_listener"`
	Listeners *ebpf.Map     `ebpf:"listeners"`
	Cgroups   *ebpf.Map     `ebpf:"cgroups"`
}

// LoadHook loads the program, which fills sockets, the map local_sockets of a steering program.
func LoadHook(sockets *ebpf.Map) (*Hook, error) {
	h, err := loadHook(sockets, 1)
	if err != nil { // before Linux 5.15
		h, err = loadHook(sockets, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("load the program note_listener: %w", err)
	}
	return h, nil
}

// loadHook sets whether the program compares the network namespace of a listener with that of the watcher.
func loadHook(sockets *ebpf.Map, comparesNetns uint32) (*Hook, error) {
	spec, err := bpf.LoadServices()
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[bpf.ServicesVarComparesNetns].Set(comparesNetns); err != nil {
		return nil, err
	}
	h := new(Hook)
	return h, spec.LoadAndAssign(h, &ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{bpf.ServicesMapLocalSockets: sockets}})
}

// Close closes the descriptors: what is attached stays as long as its link.
func (h *Hook) Close() error {
	if h == nil {
		return nil
	}
	return errors.Join(h.Program.Close(), h.Listeners.Close(), h.Cgroups.Close())
}

// attachment is the program on one cgroup, which is another one after each start of a systemd unit.
type attachment struct {
	dir   string
	inode uint64
	link  link.Link
	err   error // why there is no link
}

// attach attaches the program to the cgroup of a service.
func (h *Hook) attach(service uint64, dir string) (a attachment) {
	a.dir = dir
	if a.inode, a.err = inodeOf(dir); a.err != nil {
		return a
	}
	if h == nil {
		a.err = errors.New("the program note_listener is not loaded")
		return a
	}
	cgroup, err := os.Open(dir)
	if err != nil {
		a.err = err
		return a
	}
	defer cgroup.Close()
	a.link, a.err = link.AttachRawLink(link.RawLinkOptions{Target: int(cgroup.Fd()), Program: h.Program, Attach: ebpf.AttachCGroupSockOps})
	if a.err != nil {
		a.link = nil
		return a
	}
	key := bpf.ServicesBpfCgroupStorageKey{CgroupInodeId: a.inode, AttachType: uint32(ebpf.AttachCGroupSockOps)}
	watched := bpf.ServicesWatched{Number: service, Netns: netnsCookie()}
	if err := h.Cgroups.Update(key, watched, ebpf.UpdateExist); err != nil {
		a.err = errors.Join(fmt.Errorf("number the cgroup: %w", err), a.link.Close())
		a.link = nil
	}
	return a
}

// netnsCookie identifies the network namespace of this thread, since Linux 5.14; 0 before that.
func netnsCookie() uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	cookie, _ := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return cookie
}

// inodeOf identifies a cgroup.
func inodeOf(dir string) (uint64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	return inode(info)
}

func (a attachment) close() error {
	if a.link == nil {
		return nil
	}
	return a.link.Close()
}

// expect has the program put the listener of t at addr into the map.
func (h *Hook) expect(t Target, addr netip.AddrPort) error {
	if h == nil {
		return nil
	}
	return h.Listeners.Put(listenerKey(t, addr), t.ID())
}

// forget undoes expect.
func (h *Hook) forget(t Target, addr netip.AddrPort) error {
	if h == nil {
		return nil
	}
	err := h.Listeners.Delete(listenerKey(t, addr))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// listenerKey names a listener as note_listener does.
func listenerKey(t Target, addr netip.AddrPort) bpf.ServicesListener {
	key := bpf.ServicesListener{Cgroup: t.NameID(), Port: uint32(addr.Port())}
	key.Addr = bpfmaps.AddrWords(addr.Addr())
	return key
}
