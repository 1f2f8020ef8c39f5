package crashloop

// Pause leaves the records to the process that an upgrade starts.
func (g *Guard) Pause() {
	g.mu.Lock()
	g.still = true
	g.mu.Unlock()
	g.writer.flush(flushTimeout)
}

// Resume says that the upgrade has failed. The new process may have written meanwhile.
func (g *Guard) Resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil || g.serving == nil {
		return
	}
	g.still = false
	g.note(g.records.begin(*g.serving))
	if !g.serving.Lasted {
		g.serve(g.serving)
	}
}

// TakeOver says that this process is about to serve in the place of the one before, which has paused
// since before Open. It does not wait for the disk: clients wait.
func (g *Guard) TakeOver() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil || g.trying == nil {
		return
	}
	g.still = false
	g.note(g.records.begin(*g.trying))
}
