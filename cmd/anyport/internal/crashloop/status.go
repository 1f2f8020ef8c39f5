package crashloop

import "time"

// Status is the state of the guard.
type Status struct {
	Off          string     // why there is none; "": there is one
	Guarded      bool       // the last config that lasted serves, in place of the file
	Choice       Choice     // at the start
	Deaths       int        // of processes with the file, in the hour before the start
	LastedDeaths int        // the same with the last config that lasted
	File         Hash       // at the start
	Serving      Hash       // "" before Serving
	Lasted       Hash       // the last config that lasted; "": none
	LastedAt     *time.Time // when it came into service
	LastedBy     string     // the version of anyport with which it lasted
	Problem      string     // what keeps the guard from working as it should
}

// Status returns the state now.
func (g *Guard) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil {
		return Status{Off: g.off.Error()}
	}
	s := Status{Guarded: g.guarded, Choice: g.verdict.Choice, Deaths: g.verdict.Deaths, LastedDeaths: g.verdict.Lasted, File: g.file}
	if g.serving != nil {
		s.Serving = g.serving.Hash
	}
	if l := g.records.Lasted; l != nil {
		s.Lasted, s.LastedAt, s.LastedBy = l.Hash, &l.Began, l.Anyport
	}
	if err := g.writer.lastProblem(); err != nil {
		s.Problem = "cannot write the records: " + err.Error()
	} else if g.verdict.Problem != nil {
		s.Problem = g.verdict.Problem.Error()
	}
	return s
}
