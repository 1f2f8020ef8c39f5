package follow

import "time"

// Status is what is known about the contact.
type Status struct {
	Up            bool      // the source has answered last
	Contact       time.Time // when it has; zero: never
	Problem       string    // why it is not up; "": not known yet, or it is
	Wanted        Wanted    // what it named last
	FetchProblem  string    // why that table cannot be had
	ReportProblem string    // why the last report was not written
	NameTaken     bool      // because another host has this one's name
	Joined        bool      // this host reports
}

// Status returns the state now.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	s.Joined = f.member != nil
	return s
}
