package crashloop

import "time"

// Try notes that a reload is about to read this text as a config. The same bytes as those in service
// are no new config.
func (g *Guard) Try(text []byte) {
	defer g.writer.flush(flushTimeout)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off == nil && g.serving != nil && g.serving.Hash != HashOf(text) {
		g.try(text)
	}
}

// Deadly reports whether too many processes have died with a text: the next one tries it only if the operator orders
// it.
func (g *Guard) Deadly(text []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil || g.serving != nil && g.serving.Hash == HashOf(text) {
		return false
	}
	h := HashOf(text)
	return g.records.deathsOf(h) >= maxDeaths || g.records.SetAside == h
}

// try begins an attempt. The caller waits until that is on the disk, once it has released the mutex.
func (g *Guard) try(text []byte) {
	a := Attempt{Hash: HashOf(text), Began: time.Now().UTC().Round(time.Second), Anyport: g.opt.Version, Process: g.process}
	g.trying, g.text = &a, text
	g.note(g.records.begin(a))
}

// note changes the records, and has them written if this process may.
func (g *Guard) note(r Records) {
	g.records = r
	if g.still {
		return
	}
	s := snapshot{records: r}
	if g.trying != nil {
		s.hash, s.text = g.trying.Hash, g.text
	}
	g.text = nil
	g.writer.write(s)
}

// Serving says that what Start has returned is in service.
func (g *Guard) Serving() { g.Tried(nil) }

// Tried ends the attempt that Start, UseFile or Try began. After an error the config before it still serves.
func (g *Guard) Tried(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil || g.trying == nil {
		return
	}
	tried := g.trying
	g.trying, g.text = nil, nil
	if err != nil {
		if g.serving != nil {
			g.note(g.records.begin(*g.serving))
		}
		return
	}
	if g.serving != nil {
		g.guarded = false // a reload is an order of the operator
	}
	g.serve(tried)
}

// serve starts the clock of what is in service.
func (g *Guard) serve(a *Attempt) {
	g.serving = a
	if g.timer != nil {
		g.timer.Stop()
	}
	g.timer = time.AfterFunc(LastsAfter, func() { g.lasts(a) })
}

// lasts notes that a has served long enough, unless something else serves by now.
func (g *Guard) lasts(a *Attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.still || g.serving != a {
		return
	}
	g.note(g.records.lasts(*a))
	a.Lasted = true
}
