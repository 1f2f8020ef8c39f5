package proxy

// SetInactive says whether a route is out of force: then it takes no new conns and flows. With on_inactive =
// "close" its live ones end; else they go on. It reports whether that has changed.
func (s *Server) SetInactive(route string, on bool) (changed bool) {
	if changed = s.routes.SetInactive(route, on); changed && on {
		s.routes.HoursOver()
	}
	return changed
}
