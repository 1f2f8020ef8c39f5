package crashloop

import "time"

// Choice is what a process starts with, and why.
type Choice int

// The choices. All but UseLasted are the file.
const (
	UseFile       Choice = iota
	UseLasted            // the last config that lasted: processes have died with the file
	NothingLasted        // the same, but no config is kept that has lasted
	LastedDies           // the same, but the file is the config that lasted: the cause is something else
)

// Verdict is the outcome of decide.
type Verdict struct {
	Choice  Choice
	Deaths  int   // of processes that served or tried the file, in the last hour
	Lasted  int   // the same of the last config that lasted
	Problem error // what could not be read; nil: nothing
}

// decide returns the records after the start of a process, and what to start with. kept reports whether
// the text of a config can be had. In an upgrade the process of r.Running lives: then it is no death.
func (r Records) decide(file Hash, now time.Time, upgrade bool, kept func(Hash) bool) (Records, Verdict) {
	if !upgrade {
		r = r.find(now)
	}
	if r.SetAside != file {
		r.SetAside = ""
	}
	v := Verdict{Deaths: r.deathsOf(file)}
	if r.Lasted != nil {
		v.Lasted = r.deathsOf(r.Lasted.Hash)
	}
	// A process that an operator has made to serve the file hands over to one that does the same.
	serves := upgrade && r.Running != nil && r.Running.Hash == file
	if serves || r.SetAside == "" && v.Deaths < maxDeaths {
		return r, v
	}
	switch {
	case r.Lasted == nil || r.Lasted.Hash != file && !kept(r.Lasted.Hash):
		v.Choice = NothingLasted
	case r.Lasted.Hash == file:
		v.Choice = LastedDies
	default:
		v.Choice = UseLasted
		r.SetAside = file
	}
	return r, v
}
