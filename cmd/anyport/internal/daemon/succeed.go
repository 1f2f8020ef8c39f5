package daemon

import (
	"errors"
	"fmt"
	"io"
	"maps"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/udp"
	"anyport/steering"
)

// A process that shall take another's place opens what it can while the other serves
// (openEstate), goes on with the steering once the other stands still (inherit), and
// serves when told (succeed).

// openEstate hears what the process before offers, if there is one.
func (d *daemon) openEstate() (err error) {
	if d.opt.Predecessor == nil {
		return nil
	}
	if d.before, err = receiveOffer(d.opt.Predecessor); err == nil {
		d.closers = append(d.closers, d.before.close)
	}
	return err
}

// inherit says that all that can fail has not, and goes on with the steering when the
// other process reads and accepts nothing any more.
func (d *daemon) inherit(g *generation) (s *steering.Steering, err error) {
	e := d.before
	if err := e.from.Patience(2 * upgradePatience); err != nil { // it sets the pace
		return nil, err
	}
	if err := e.from.Send(handover.Prepared, nil); err != nil {
		return nil, err
	}
	if err := e.receiveFlows(g.config.Listen.Workers); err != nil {
		return nil, err
	}
	in, given := steering.Inheritance(e.fds), maps.Clone(e.fds)
	e.fds = nil
	if s, err = steering.Inherit(g.config, g.table, in, d.log); err == nil {
		d.keepStored(given, s.Handover())
	}
	return s, err
}

// keepStored goes on with what the service manager keeps; what is no more of use, or has
// another in its place, it is to forget.
func (d *daemon) keepStored(given map[string]int, held steering.Inheritance) {
	for _, name := range d.before.stored {
		d.stored[name] = -1
		if fd, ok := held[name]; ok && fd == given[name] {
			d.stored[name] = fd
		}
	}
}

// receiveFlows waits until the other process stands still.
func (e *estate) receiveFlows(listeners int) error {
	for {
		m, err := e.from.Receive()
		if err != nil {
			return fmt.Errorf("the process to be replaced: %w", err)
		}
		switch m.Kind {
		case handover.Yours:
			return nil
		case handover.Flows:
			if err := e.addFlows(m, listeners); err != nil {
				return err
			}
		default:
			m.CloseFDs()
			return fmt.Errorf("the process to be replaced says %q among its flows", m.Kind)
		}
	}
}

func (e *estate) addFlows(m handover.Message, listeners int) error {
	var flows []udp.Flow
	err := m.Decode(&flows)
	for i := 0; i < len(flows) && err == nil; i++ {
		err = flows[i].Check(listeners)
	}
	if err == nil {
		err = e.flows.Add(flows, m.FDs)
	}
	if err != nil {
		m.CloseFDs()
	}
	return err
}

// closeSteering leaves the steering to the process before, as long as that serves.
func (d *daemon) closeSteering() error {
	if d.before != nil {
		return d.steering.Release()
	}
	return d.steering.Close()
}

// succeed says that this process would serve, and returns when it shall: when told so,
// or when the other process is gone.
func (d *daemon) succeed() error {
	if d.before == nil {
		return nil
	}
	if err := d.before.from.Send(handover.Ready, nil); err != nil {
		return err
	}
	var ahead goAhead
	m, err := d.before.from.Expect(handover.Go)
	switch {
	case errors.Is(err, io.EOF): // it is gone, with its conns
	case err != nil:
		return fmt.Errorf("the process to be replaced goes on: %w", err)
	default:
		_ = m.Decode(&ahead) // an older process says nothing
	}
	d.proxy.Adopt(d.before.flows.Flows, min(max(ahead.ConnFiles, 0), d.budget.Limit))
	d.before.flows = udp.Arrivals{}
	if d.admin != nil {
		d.admin.LeaveFile(false)
	}
	d.arrivals = &arrivals{d.before.from, make(chan struct{})}
	d.before = nil
	return nil
}
