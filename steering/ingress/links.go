package ingress

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"anyport/steering/program"
)

// Links attach one program to devices, by interface index.
type Links map[int]link.Link

// Attach attaches p to a device, unless it is: where the anchor says.
func (all Links) Attach(p *ebpf.Program, index int, where link.Anchor) error {
	if l, ok := all[index]; ok {
		if attached, err := repair(l, p); attached || err != nil {
			return err
		}
		delete(all, index)
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: p, Attach: ebpf.AttachTCXIngress, Anchor: where})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return errors.New("this kernel has no TCX, which Linux 6.6 has")
	}
	if err != nil {
		return fmt.Errorf("attach the program: %w", err)
	}
	all[index] = l
	return nil
}

// Repair has all links attach p again where another build has put its own program meanwhile.
func (all Links) Repair(p *ebpf.Program) error {
	var errs []error
	for index, l := range all {
		attached, err := repair(l, p)
		if !attached && err == nil {
			delete(all, index)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// repair has a link attach p again where another build has put its own program meanwhile. It closes a link
// that somebody has detached.
func repair(l link.Link, p *ebpf.Program) (attached bool, err error) {
	info, err := l.Info()
	if err != nil {
		return false, fmt.Errorf("read about a link at the ingress: %w", err)
	}
	if info.TCX() == nil || info.TCX().Ifindex == 0 {
		return false, l.Close()
	}
	own, err := program.IDOf(p)
	if err != nil || own == info.Program {
		return true, err
	}
	return true, l.Update(p)
}

// DetachOthers detaches the program from the devices that are not in keep.
func (all Links) DetachOthers(keep map[int]bool) error {
	var errs []error
	for index, l := range all {
		if keep[index] {
			continue
		}
		if err := l.Detach(); err != nil && !errors.Is(err, unix.ENOLINK) { // else the device is gone
			errs = append(errs, fmt.Errorf("detach a program from the ingress: %w", err))
		}
		errs = append(errs, l.Close())
		delete(all, index)
	}
	return errors.Join(errs...)
}

// Adopt closes l unless it still attaches a program to the device.
func (all Links) Adopt(index int, l link.Link) error {
	info, err := l.Info()
	if err != nil || info.TCX() == nil || int(info.TCX().Ifindex) != index {
		return l.Close()
	}
	all[index] = l
	return nil
}

// Descriptors adds the links' file descriptors to a map, each with the prefix and the interface index as its name. They
// still belong to the links.
func (all Links) Descriptors(to map[string]int, prefix string) {
	for index, l := range all {
		if l, ok := l.(interface{ FD() int }); ok {
			to[prefix+strconv.Itoa(index)] = l.FD()
		}
	}
}

// AdoptDescriptor is [Links.Adopt] for a link of which another process has given the descriptor and the index.
func (all Links) AdoptDescriptor(index string, fd int) error {
	l, err := link.NewFromFD(fd)
	if err != nil {
		return err
	}
	i, err := strconv.Atoi(index)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return all.Adopt(i, l)
}

// Take has the links of another build attach p, and moves them from before to all. This needs no
// privileges. A link that cannot attach p stays in before.
func (all Links) Take(before Links, p *ebpf.Program) error {
	var errs []error
	for index, l := range before {
		if err := l.Update(p); err != nil {
			errs = append(errs, fmt.Errorf("replace a program at the ingress: %w", err))
			continue
		}
		all[index] = l
		delete(before, index)
	}
	return errors.Join(errs...)
}

// Close closes the descriptors. What another process holds or what is pinned stays attached.
func (all Links) Close() error {
	var errs []error
	for _, l := range all {
		errs = append(errs, l.Close())
	}
	clear(all)
	return errors.Join(errs...)
}
