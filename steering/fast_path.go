package steering

import (
	"errors"
	"slices"
	"strings"

	"anyport/config"
	"anyport/steering/fastpath"
	"anyport/steering/ingress"
	"anyport/steering/program"
)

// fdFast begins the names of the descriptors of the fast path in an Inheritance.
const fdFast = "fast/"

// FastLinks begins the names of the links of the fast path in an Inheritance.
const FastLinks = fdFast + "link/"

// FastPath is the kernel's part of the forwarding of UDP flows; nil: it could not be loaded, see the
// status. It serves until Close, and is the same until then. Of another process it may forward flows
// already, until [fastpath.Path.Raise]: call that when the flows that are to go on have their sockets.
func (s *Steering) FastPath() *fastpath.Path {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fast
}

// wantsFastPath reports whether cfg has a route whose flows might be admitted.
func wantsFastPath(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Routes, func(r *config.Route) bool {
		return r.Action == config.Forward && r.FastPath != config.FastOff && slices.Contains(r.Protocols, config.UDP)
	})
}

// openFastPath loads the program, whether the file needs it or not: a reload may, and has no privilege
// to load it. Without it, all flows are forwarded by user space.
func (s *Steering) openFastPath(in Inheritance) {
	o, err := s.fastObjects(in)
	if err == nil {
		s.fast, err = fastpath.Open(o, s.log)
	}
	if err != nil {
		s.fastErr = program.Advise(err)
		s.log.Info("the fast path is off: user space forwards all UDP flows", "because", s.fastErr)
	}
	s.fast.RememberIn(s.objects.Admitted)
}

// fastObjects are those of the process before, or, if these are of another build, those that came
// with the upgrade command or new ones.
func (s *Steering) fastObjects(in Inheritance) (*fastpath.Objects, error) {
	before, err := in.takeFast("")
	if before == nil && err == nil && s.pins != nil && s.pins.Saved {
		before, err = s.pins.LoadFast()
	}
	if before != nil {
		if err = before.CheckBuild(); err == nil {
			return before, nil
		}
	}
	next, takeErr := in.takeFast(fdPreloaded)
	if takeErr == nil && next == nil {
		next, takeErr = fastpath.Load()
	}
	takeErr = errors.Join(takeErr, s.pins.RemoveFast())
	if takeErr != nil {
		return nil, errors.Join(err, takeErr, before.Close(), next.Close())
	}
	if before == nil {
		return next, nil
	}
	return next, next.TakeLinks(before)
}

// pinFast has the fast path outlive this process if the steering does.
func (s *Steering) pinFast() error { return s.fast.Keep(s.pins.KeepFast) }

// reclaimFast has all flows decided on again, since another process may have raised the generation, and pins the
// fast path of this one: the other may have pinned that of its build.
func (s *Steering) reclaimFast() error {
	return errors.Join(s.fast.Raise(), s.pins.RemoveFast(), s.pinFast())
}

// takeFast takes the objects of the fast path out of in whose names have the prefix; nil: there are
// none.
func (in Inheritance) takeFast(prefix string) (*fastpath.Objects, error) {
	taken := map[string]int{}
	for name := range in {
		if short, ok := strings.CutPrefix(name, prefix+fdFast); ok {
			taken[short], _ = in.take(name)
		}
	}
	if len(taken) == 0 {
		return nil, nil
	}
	return fastpath.FromDescriptors(taken)
}

// addFast adds the descriptors of the fast path.
func (in Inheritance) addFast(descriptors map[string]int, prefix string) {
	for name, fd := range descriptors {
		in[prefix+fdFast+name] = fd
	}
}

// serveFastPath attaches the program if cfg needs it. A failure is no reason not to serve: the flows
// are forwarded by user space.
func (s *Steering) serveFastPath(cfg *config.Config) {
	if err := s.fast.Serve(wantsFastPath(cfg)); err != nil {
		s.log.Warn("cannot attach the fast path everywhere", "error", err)
	}
}

// FastPathStatus is where the kernel forwards UDP flows by itself.
type FastPathStatus struct {
	Off     string            // why it forwards none at all; "": it does between devices
	Way     ingress.Way       // how the program is attached to them; "" with Off
	Devices []fastpath.Device // those of the namespace that are up, but lo; nil with Off
}

func (s *Steering) fastPathStatus() FastPathStatus {
	switch {
	case s.fast == nil:
		return FastPathStatus{Off: s.fastErr.Error()}
	case !wantsFastPath(s.config) && (s.trial == nil || !wantsFastPath(s.trial.config)):
		return FastPathStatus{Off: "no route needs it"}
	}
	return FastPathStatus{Way: s.fast.Way(), Devices: s.fast.Devices()}
}

// ForecastFastPath says where the kernel of this thread's namespace would forward the UDP flows of cfg. It
// changes nothing. A program of a running anyport counts as one of others.
func ForecastFastPath(cfg *config.Config) (FastPathStatus, error) {
	if !wantsFastPath(cfg) {
		return FastPathStatus{Off: "no route needs it"}, nil
	}
	devices, err := fastpath.Forecast()
	return FastPathStatus{Way: ingress.Forecast(), Devices: devices}, err
}
