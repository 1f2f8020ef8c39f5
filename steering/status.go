package steering

import "time"

// Status is what the kernel has of us now.
type Status struct {
	Attached   bool // our program is still in the namespace
	Pinned     bool
	OnDeath    OnDeath
	ProgramID  uint32
	Foreign    []uint32 // ids of other sk_lookup programs in the namespace
	Prefixes   int      // distinct ones
	Generation uint64   // how many tables were put in service, the first included
	Draining   []string // routes that take no new conns, by name
	Missing    []string // what the steering needs and other programs have removed, such as local routes
	Restored   uint64   // local routes that others removed and that were put back
	Counters   []Counters
	Sockets    []LocalSocket // of services
	FastPath   FastPathStatus
	Trial      *TrialCounters // nil: nothing is on trial
}

// Status reads the counters and asks the kernel which programs are attached.
func (s *Steering) Status() (Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return Status{}, nil
	}
	id, err := s.programID()
	if err != nil {
		return Status{}, err
	}
	state, err := s.linkState()
	if err != nil {
		return Status{}, err
	}
	status := Status{OnDeath: s.onDeath(), Pinned: s.pins != nil, ProgramID: uint32(id), Attached: state == linkAttached, Prefixes: s.requested.Prefixes(), Generation: uint64(s.generation)}
	if err := s.keeper.Compare(time.Now(), 0); err != nil {
		return Status{}, err
	}
	status.Missing, status.Restored = append(s.keeper.Missing(), s.returning.lacking()...), s.keeper.RestoredRoutes()
	if status.Foreign, _, err = s.foreignPrograms(); err != nil {
		return Status{}, err
	}
	if status.Draining, err = s.drainingRoutes(); err != nil {
		return Status{}, err
	}
	status.Sockets = s.localSockets()
	status.FastPath = s.fastPathStatus()
	if status.Trial, err = s.readTrial(); err != nil {
		return Status{}, err
	}
	status.Counters, err = s.readCounters()
	return status, err
}
