package pins

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"anyport/bpf"
	"anyport/steering/fastpath"
	"anyport/steering/ingress"
)

// The fast path is pinned beside the steering program: its maps under their names, which begin like the
// others. So the flows that were admitted live on when the process is killed.
const (
	fastPrefix  = "fast_"
	fastProgram = fastPrefix + "program"
	fastLink    = fastPrefix + "link_" // and the interface index
	fastCaller  = fastPrefix + "hook_caller"
	fastSlot    = fastPrefix + "hook_slot"
)

// isFast reports whether a file is of the fast path.
func isFast(name string) bool { return strings.HasPrefix(name, fastPrefix) }

// pinner is a program, a map or a link.
type pinner interface {
	Pin(path string) error
	Unpin() error
}

// fastFiles are the objects by the names of their files.
func fastFiles(o *fastpath.Objects) map[string]pinner {
	all := map[string]pinner{
		fastProgram: o.Program, bpf.FastMapFastFlows: o.Flows, bpf.FastMapFastUsage: o.Usage, bpf.FastMapFastGeneration: o.Generation,
	}
	for index, l := range o.Attached.Links {
		all[fastLink+strconv.Itoa(index)] = l
	}
	if hook := o.Attached.Hook; hook != nil {
		all[fastCaller], all[fastSlot] = hook.Caller, hook.Slot
	}
	return all
}

// KeepFast pins what is not pinned, and removes the files of links that there are no more. It pins nothing
// where the steering is not pinned.
func (p *Dir) KeepFast(o *fastpath.Objects) error {
	if p == nil || !p.Saved {
		return nil
	}
	names, err := p.Names()
	if err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	wanted := fastFiles(o)
	var errs []error
	for name, object := range wanted {
		if !slices.Contains(names, name) {
			errs = append(errs, object.Unpin(), object.Pin(p.FDPath(name))) // somebody may have removed the file
		}
	}
	for _, name := range names {
		if isFast(name) && wanted[name] == nil {
			errs = append(errs, p.removeFile(name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("steering.pin: pin the fast path: %w", err)
	}
	return nil
}

// LoadFast opens the fast path that is pinned; nil: none is, or only half of it.
func (p *Dir) LoadFast() (*fastpath.Objects, error) {
	names, err := p.Names()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, fastProgram) {
		return nil, nil
	}
	o := &fastpath.Objects{Attached: fastpath.NewAttachments()}
	if o.Program, err = ebpf.LoadPinnedProgram(p.FDPath(fastProgram), nil); err == nil {
		o.Flows, err = ebpf.LoadPinnedMap(p.FDPath(bpf.FastMapFastFlows), nil)
	}
	if err == nil {
		o.Usage, err = ebpf.LoadPinnedMap(p.FDPath(bpf.FastMapFastUsage), nil)
	}
	if err == nil {
		o.Generation, err = ebpf.LoadPinnedMap(p.FDPath(bpf.FastMapFastGeneration), nil)
	}
	if err == nil && slices.Contains(names, fastSlot) {
		o.Attached.Hook, err = p.loadHook()
	}
	for _, name := range names {
		if index, isLink := strings.CutPrefix(name, fastLink); isLink && err == nil {
			err = p.loadFastLink(o, name, index)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("steering.pin: load the fast path: %w", err), o.Close())
	}
	return o, nil
}

// loadHook opens what filters of tc run.
func (p *Dir) loadHook() (*ingress.Hook, error) {
	slot, err := ebpf.LoadPinnedMap(p.FDPath(fastSlot), nil)
	if err != nil {
		return nil, err
	}
	caller, err := ebpf.LoadPinnedProgram(p.FDPath(fastCaller), nil)
	if err != nil {
		return nil, errors.Join(err, slot.Close())
	}
	return &ingress.Hook{Caller: caller, Slot: slot}, nil
}

// loadFastLink leaves out a link whose device is gone.
func (p *Dir) loadFastLink(o *fastpath.Objects, name, index string) error {
	i, err := strconv.Atoi(index)
	if err != nil {
		return err
	}
	l, err := link.LoadPinnedLink(p.FDPath(name), nil)
	if err != nil {
		return err
	}
	return o.AdoptLink(i, l)
}

// RemoveFast unpins the fast path.
func (p *Dir) RemoveFast() error {
	if p == nil || !p.Saved {
		return nil
	}
	names, err := p.Names()
	errs := []error{err}
	for _, name := range names {
		if isFast(name) {
			errs = append(errs, p.removeFile(name))
		}
	}
	return errors.Join(errs...)
}

func (p *Dir) removeFile(name string) error {
	if err := os.Remove(p.FDPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
