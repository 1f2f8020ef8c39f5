package fastpath

import (
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"anyport/steering/ingress"
	"anyport/steering/program"
)

// Open makes a Path of objects that were loaded or come from another process. It owns them, on error
// too. The program is attached by [Path.Serve]. The flows that the other process has admitted are
// forwarded until [Path.Raise].
func Open(o *Objects, log *slog.Logger) (p *Path, err error) {
	p = &Path{objects: o, log: log, flows: map[uint64]admitted{}, seed: maphash.MakeSeed(), shared: map[key]int{}, table: newTable(o)}
	p.places.fd = o.Usage.FD()
	p.attached.Store(&map[int]device{})
	if err = p.devices.open(); err == nil {
		p.ways, err = openWays()
	}
	if err == nil {
		err = p.events.open()
	}
	p.devices.rulesChanged.Store(true)
	if err == nil {
		err = p.readGeneration()
	}
	if err != nil {
		return nil, errors.Join(err, p.Release())
	}
	return p, nil
}

// readGeneration begins with the generation of the process before, or with 1.
func (p *Path) readGeneration() error {
	var now uint32
	if err := p.objects.Generation.Lookup(numberNow, &now); err != nil {
		return fmt.Errorf("read the generation of the fast path: %w", err)
	}
	p.generation.Store(now)
	if p.fresh = now == 0; p.fresh {
		return p.Raise()
	}
	return nil
}

// Serve attaches the program to all fit devices of this thread's network namespace if a route needs
// it, and detaches it if none does.
func (p *Path) Serve(wanted bool) error {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	p.devices.wanted = wanted
	p.devices.mu.Unlock()
	return p.Update()
}

// Tolerate names programs at the ingress of devices that leave the datagrams of admitted flows alone: they
// are not obstacles.
func (p *Path) Tolerate(programs ...*ebpf.Program) error {
	if p == nil {
		return nil
	}
	var ids []uint32
	for _, other := range programs {
		id, err := program.IDOf(other)
		if err != nil {
			return err
		}
		ids = append(ids, uint32(id))
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	p.devices.tolerated = ids
	return nil
}

// Update attaches the program to new devices, and ends the forwarding of all flows if a device, its
// MTU or what speaks against it has changed.
func (p *Path) Update() error {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	if !p.devices.isOpen() {
		return nil
	}
	var attached map[int]device
	links := p.objects.Attached.Links
	before := maps.Clone(links)
	err := p.devices.netns.Within(func() (err error) {
		attached, err = p.devices.update(p.objects)
		return err
	})
	if attached == nil {
		return err
	}
	if !maps.Equal(before, links) {
		p.relinked.Store(true)
	}
	first := !p.devices.known
	p.devices.known = true
	if maps.Equal(*p.attached.Load(), attached) {
		return err
	}
	p.attached.Store(&attached)
	p.log.Info("attached the fast path", "devices", names(attached))
	if first { // the flows of a process before go on until somebody raises
		return err
	}
	return errors.Join(err, p.Raise())
}

// Relinked reports whether there are other links since the last call: who keeps copies of their
// descriptors has old ones.
func (p *Path) Relinked() bool { return p != nil && p.relinked.Swap(false) }

// Devices says which devices datagrams are forwarded between, and what speaks against the others.
func (p *Path) Devices() []Device {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	return p.devices.state
}

// Way is how the program is attached to devices.
func (p *Path) Way() ingress.Way {
	if p == nil {
		return ""
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	if !p.devices.isOpen() {
		return ""
	}
	return p.objects.Attached.Way()
}

// Keep has do look at the objects, while nothing is attached or detached.
func (p *Path) Keep(do func(*Objects) error) error {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	if !p.devices.isOpen() {
		return nil
	}
	return do(p.objects)
}

// Descriptors are the file descriptors that another process needs to go on. They still belong to p.
func (p *Path) Descriptors() map[string]int {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	if !p.devices.isOpen() {
		return nil
	}
	return p.objects.Descriptors()
}

// Close ends the forwarding, whoever else holds the links.
func (p *Path) Close() error {
	if p == nil {
		return nil
	}
	err := p.Raise()
	p.devices.mu.Lock()
	if p.devices.isOpen() {
		err = errors.Join(err, p.devices.netns.Within(func() error { return p.objects.Attached.DetachOthers(nil) }))
	}
	p.devices.mu.Unlock()
	return errors.Join(err, p.Release())
}

// Release closes what this process has of the fast path. The forwarding goes on if another process or
// a pin holds the links.
func (p *Path) Release() error {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	p.raising.Lock()
	defer p.raising.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.devices.close()
	p.events.close()
	p.ways.close()
	p.places.close()
	err := p.objects.Close()
	p.objects = nil
	if err != nil {
		return fmt.Errorf("close the fast path: %w", err)
	}
	return nil
}

// names are sorted.
func names(attached map[int]device) (all []string) {
	for _, d := range attached {
		all = append(all, d.name)
	}
	slices.Sort(all)
	return all
}
