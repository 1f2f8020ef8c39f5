package fastpath

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/cilium/ebpf/link"
)

// Open attaches the program to all fit devices of this thread's network namespace. It owns the
// objects, on error too. No flow is admitted yet.
func Open(o *Objects, log *slog.Logger) (p *Path, err error) {
	p = &Path{objects: o, log: log, flows: map[forth]admitted{}, shared: map[key]int{}}
	p.lastID.Store(sinceBoot()) // no process admits as many flows as ns pass: so no id is another's
	p.attached.Store(&map[int]device{})
	p.devices.links = map[int]link.Link{}
	if p.devices.handle, err = openDevices(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if p.ways, err = openWays(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if err := p.Update(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, p.Raise()
}

// Update attaches the program to new devices, and ends the forwarding of all flows if a device, its
// MTU or what speaks against it has changed.
func (p *Path) Update() error {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	if p.devices.handle == nil { // closed
		return nil
	}
	attached, _, err := p.devices.update(p.objects.Program)
	if attached == nil {
		return err
	}
	if maps.Equal(*p.attached.Load(), attached) {
		return err
	}
	p.attached.Store(&attached)
	p.log.Info("the fast path has other devices", "devices", names(attached))
	return errors.Join(err, p.Raise())
}

// Devices says which devices datagrams are forwarded between, and what speaks against the others.
func (p *Path) Devices() []Device {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	defer p.devices.mu.Unlock()
	return p.devices.state
}

// Close detaches the program, and so ends the forwarding, unless another process or a pin holds the
// links.
func (p *Path) Close() error {
	if p == nil {
		return nil
	}
	p.devices.mu.Lock()
	err := p.devices.close()
	p.devices.mu.Unlock()
	p.raising.Lock()
	defer p.raising.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ways.close()
	err = errors.Join(err, p.objects.Close())
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
