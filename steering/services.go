package steering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"anyport/config"
	"anyport/steering/program"
	"anyport/steering/services"
	"anyport/steering/table"
)

// Names of the descriptors of note_listener and its maps in an Inheritance. A process without CAP_BPF takes them
// from the one before.
const (
	fdServices         = "services/program"
	fdServiceListeners = "services/listeners"
	fdServiceCgroups   = "services/cgroups"
)

// openServices loads note_listener, whether the file needs it or not: a reload may, and has no privilege to load
// it. Without it services are looked for, and none is found while there is no process.
func (s *Steering) openServices(in Inheritance) {
	hook, err := services.LoadHook(s.objects.LocalSockets)
	for _, prefix := range []string{fdPreloaded, ""} {
		if err == nil || !in.Has(prefix+fdServices) || prefix == "" && s.formerProgram != nil { // the former one fills another map
			continue
		}
		if taken, takeErr := in.hook(prefix); takeErr == nil {
			hook, err = taken, nil
		} else {
			err = errors.Join(err, takeErr)
		}
	}
	if err != nil {
		s.log.Info("listeners of services are not noticed in the kernel: they are looked for by polling", "because", program.Advise(err))
	}
	s.services = services.NewWatcher(s.objects.LocalSockets, hook, s.log)
	s.hook = hook
}

// hook takes note_listener and its maps out of in.
func (in Inheritance) hook(prefix string) (*services.Hook, error) {
	h := new(services.Hook)
	var errs [3]error
	h.Program, errs[0] = object(in, prefix+fdServices, ebpf.NewProgramFromFD)
	h.Listeners, errs[1] = object(in, prefix+fdServiceListeners, ebpf.NewMapFromFD)
	h.Cgroups, errs[2] = object(in, prefix+fdServiceCgroups, ebpf.NewMapFromFD)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// addHook adds the descriptors of note_listener to in.
func (in Inheritance) addHook(h *services.Hook, prefix string) {
	if h == nil {
		return
	}
	in[prefix+fdServices] = h.Program.FD()
	in[prefix+fdServiceListeners] = h.Listeners.FD()
	in[prefix+fdServiceCgroups] = h.Cgroups.FD()
}

// WatchServices keeps the sockets of services in the kernel's table until ctx ends. It returns nil.
func (s *Steering) WatchServices(ctx context.Context) error {
	s.mu.Lock()
	watcher := s.services
	s.mu.Unlock()
	if watcher == nil { // closed
		return nil
	}
	ticker := time.NewTicker(services.Interval)
	defer ticker.Stop()
	last, pinned := "", time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			if !watcher.Check(now) || now.Sub(pinned) < watchInterval {
				continue
			}
			pinned = now
			last = s.logChange(last, s.pinServices())
		}
	}
}

// pinServices has note_listener stay attached to the cgroups of services when this process ends.
func (s *Steering) pinServices() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() || s.pins == nil || !s.pins.Saved {
		return nil
	}
	names, err := s.pins.Names()
	if err == nil {
		err = s.services.Pin(s.pins.FDPath("."), names)
	}
	if err != nil {
		return fmt.Errorf("steering.pin: have the listeners of services noticed without this process: %w", err)
	}
	return nil
}

// LocalSocket is how the service of a route stands, for one protocol.
type LocalSocket struct {
	Route string
	services.Status
}

// localSockets are those of all routes.
func (s *Steering) localSockets() (all []LocalSocket) {
	for _, r := range s.allRoutes() {
		for _, t := range services.TargetsOf(r) {
			all = append(all, LocalSocket{r.Name, s.services.Status(t)})
		}
	}
	return all
}

// explainService says where a packet goes that the program gives to a service.
func (s *Steering) explainService(p program.Packet, route *config.Route) (lines []string) {
	for _, t := range services.TargetsOf(route) {
		if t.Protocol != p.Protocol {
			continue
		}
		status := s.services.Status(t)
		if status.Up {
			lines = append(lines, fmt.Sprintf("service %s: %v %s, %s (pid %d), since %s", t.Name, t.Protocol, status.Addr, status.Process, status.PID, status.Since.Format(time.DateTime)))
			continue
		}
		then := "it is refused"
		if table.AwayOf(route) == table.Steer {
			then = "anyport forwards it to origins"
		}
		line := fmt.Sprintf("but service %s has no %v socket now: %s", t.Service, t.Protocol, then)
		if status.Problem != "" {
			line += ": " + status.Problem
		}
		lines = append(lines, line)
	}
	return lines
}
