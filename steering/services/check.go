package services

import "anyport/config"

// Check returns what is wrong with the services of cfg that run. One that does not run is not an error: it is
// reached as soon as it does. It reads the network namespace of the calling thread.
func Check(cfg *config.Config) error {
	var problems config.Problems
	for _, r := range cfg.Routes {
		for _, t := range TargetsOf(r) {
			if err := t.check(); err != nil {
				problems = append(problems, config.Problem{File: cfg.Path, Line: r.Line, Route: r.Name, Key: "service", Text: err.Error()})
				break
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return cfg.Locate(problems)
}

// check looks for the socket once, and changes nothing.
func (t Target) check() error {
	dir, err := cgroupOf(t.Name)
	if err != nil {
		return err
	}
	pids, err := processesOf(t.Name, dir)
	if err != nil {
		return err
	}
	o, err := find(t.Name, pids)
	if err != nil {
		return err
	}
	found, err := t.choose(o.sockets)
	if err == nil && len(found) == 0 && t.Protocol == config.TCP {
		err = o.mptcp(t.Name)
	}
	return err
}
