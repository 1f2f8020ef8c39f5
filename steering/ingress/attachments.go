package ingress

import (
	"errors"
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Way is how programs are attached.
type Way string

// The ways that there are.
const (
	TCX    Way = "tcx"    // links, of which each has a descriptor
	Clsact Way = "clsact" // filters of tc
)

// Attachments attach one program to the ingress of devices. The thread that calls a method with I/O has to
// be in the network namespace of the devices: see [Namespace.Within]. One goroutine at a time may use it.
type Attachments struct {
	Links Links
	Hook  *Hook // nil: the kernel has TCX
	kind  Kind
}

// New attaches nothing yet. The kind is what filters are known by.
func New(kind Kind) *Attachments { return &Attachments{Links: Links{}, kind: kind} }

// Prepare makes what filters run if this kernel has no TCX. It needs the privileges that p was loaded with;
// to attach needs CAP_NET_ADMIN.
func (a *Attachments) Prepare(p *ebpf.Program) error {
	if hasTCX(p) {
		return nil
	}
	return a.UseFilters()
}

// UseFilters is Prepare as on a kernel without TCX.
func (a *Attachments) UseFilters() (err error) {
	a.Hook, err = newHook()
	return err
}

// hasTCX asks the kernel for a device that there never is.
func hasTCX(p *ebpf.Program) bool {
	_, err := link.AttachTCX(link.TCXOptions{Interface: math.MaxInt32, Program: p, Attach: ebpf.AttachTCXIngress})
	return !errors.Is(err, ebpf.ErrNotSupported)
}

// Way is the one that is used.
func (a *Attachments) Way() Way {
	if a.Hook != nil {
		return Clsact
	}
	return TCX
}

// Forecast is the way that would be used, by the version of the kernel.
func Forecast() Way {
	if version, err := features.LinuxVersionCode(); err == nil && version < 6<<16|6<<8 {
		return Clsact
	}
	return TCX
}

// Attach attaches p to a device, unless it is. Links are put where the anchor says; filters have their
// place by their kind.
func (a *Attachments) Attach(p *ebpf.Program, index int, where link.Anchor) error {
	if a.Hook == nil {
		return a.Links.Attach(p, index, where)
	}
	if err := a.Hook.fill(p); err != nil { // first: who finds a filter with an empty slot may remove it
		return err
	}
	return a.kind.attach(index, a.Hook.Caller)
}

// DetachOthers detaches the program from the devices that are not in keep. Filters that this process may not
// remove stay, and do nothing, if none is to be kept.
func (a *Attachments) DetachOthers(keep map[int]bool) error {
	err := a.Links.DetachOthers(keep)
	if a.Hook == nil {
		return err
	}
	if len(keep) == 0 {
		err = errors.Join(err, a.Hook.clear())
	}
	return errors.Join(err, a.removeOthers(keep))
}

// removeOthers removes filters. Those that this process may not remove are no failure if none is to be kept.
func (a *Attachments) removeOthers(keep map[int]bool) error {
	own, err := a.Hook.id()
	if err != nil {
		return err
	}
	all, err := filtersBut(keep)
	errs := []error{err}
	for _, f := range all {
		if f.Program != own {
			continue
		}
		if err := f.Remove(); len(keep) > 0 || !errors.Is(err, unix.EPERM) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Take has what attaches the program of another build attach p. This needs no privileges. What can't stays
// where it is.
func (a *Attachments) Take(before *Attachments, p *ebpf.Program) error {
	err := a.Links.Take(before.Links, p)
	if before.Hook == nil {
		return err
	}
	if fillErr := before.Hook.fill(p); fillErr != nil {
		return errors.Join(err, fillErr)
	}
	a.Hook, before.Hook = before.Hook, a.Hook
	return err
}

// Descriptors adds the file descriptors to a map: those of links with a prefix and the interface index as
// their names, those of the hook with another prefix. They still belong to a.
func (a *Attachments) Descriptors(to map[string]int, links, hook string) {
	a.Links.Descriptors(to, links)
	if a.Hook != nil {
		to[hook+hookCaller], to[hook+hookSlot] = a.Hook.Caller.FD(), a.Hook.Slot.FD()
	}
}

// AdoptHook takes a descriptor of the hook that another process has given, by the name that Descriptors has
// given it behind the prefix. Check says whether all have come.
func (a *Attachments) AdoptHook(name string, fd int) error {
	if a.Hook == nil {
		a.Hook = &Hook{}
	}
	return a.Hook.adopt(name, fd)
}

// Check says whether the hook is whole.
func (a *Attachments) Check() error {
	if a.Hook != nil && (a.Hook.Caller == nil || a.Hook.Slot == nil) {
		return errors.New("half of what the filters of tc run is missing")
	}
	return nil
}

// Close closes the descriptors. What another process holds or what is pinned stays attached.
func (a *Attachments) Close() error {
	err := errors.Join(a.Links.Close(), a.Hook.Close())
	a.Hook = nil
	return err
}
