package proxy

import (
	"anyport/proxy/fdbudget"
	"anyport/proxy/tcp"
)

// LimitFiles divides a budget of files among the loops. It must be called before Serve.
func (s *Server) LimitFiles(b fdbudget.Budget) {
	s.shares = b.Shares(s.tcpLoops, s.opt.Workers)
	s.budget.Store(&b)
}

// ChangeFiles divides another budget among the loops. Live conns and flows keep what they hold. Calls
// must not race.
func (s *Server) ChangeFiles(b fdbudget.Budget) {
	s.shares.Change(b)
	s.budget.Store(&b)
}

// Budget is the budget that is divided among the loops, the zero value where there is none.
func (s *Server) Budget() fdbudget.Budget {
	if b := s.budget.Load(); b != nil {
		return *b
	}
	return fdbudget.Budget{}
}

// Files returns how much of the budget is in use.
func (s *Server) Files() fdbudget.Used {
	b := s.budget.Load()
	if b == nil {
		return fdbudget.Used{}
	}
	return b.Used(s.shares)
}

// LoopFiles is the number of files that the loops need for themselves and for parked conns.
func (s *Server) LoopFiles() int {
	const ofLoop = 2 // an epoll instance and an eventfd
	return s.Loops()*ofLoop + s.tcpLoops*tcp.ParkedFiles
}
