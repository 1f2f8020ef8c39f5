package crashloop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// flushTimeout is how long a process waits for the disk before it tries a config. Later the attempt
// is tried without having been noted.
const flushTimeout = 2 * time.Second

// Options say what to guard.
type Options struct {
	Directory string // the state directory; "": there is none
	Path      string // of the config file
	Version   string // of this anyport
	Upgrade   bool   // the process that serves now lives, until TakeOver
}

// Guard is the guard of one process. Without a directory it does nothing. Its methods may be called
// from any goroutine; none waits for the disk except Start, UseFile, Try, Pause, Disable and Close,
// which wait for a bounded time.
type Guard struct {
	opt     Options
	writer  writer
	process Identity

	mu      sync.Mutex
	off     error // why nothing is guarded; nil: it is
	records Records
	verdict Verdict
	file    Hash     // of the file at the start
	trying  *Attempt // of a start or a reload that is not decided yet
	text    []byte   // of trying, until it is written
	serving *Attempt // nil: nothing is served yet
	guarded bool     // serving is the last config that lasted, in place of the file
	still   bool     // writes nothing: another process serves, or this one has ended in an orderly way
	timer   *time.Timer
}

// Open reads what earlier processes have left. It always returns a guard: if there can be none, that
// does not keep anyport from serving, and Status says why.
func Open(opt Options) *Guard {
	g := &Guard{opt: opt, still: opt.Upgrade}
	g.off = g.open()
	return g
}

// open opens the directory.
func (g *Guard) open() (err error) {
	if g.opt.Directory == "" {
		return errors.New("there is no state directory: set StateDirectory= in the unit, or name one with --state")
	}
	// Two instances with one file would take each other for dead; they differ by their directories.
	if g.opt.Path, err = filepath.Abs(g.opt.Path); err != nil {
		return err
	}
	if info, err := os.Stat(g.opt.Path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file, and cannot be read again", g.opt.Path)
	}
	if g.process, err = own(); err != nil {
		return err
	}
	dir, err := openDirectory(g.opt.Directory, g.opt.Path)
	if err != nil {
		return err
	}
	g.writer.dir = dir
	if err := g.load(); err != nil {
		return errors.Join(err, dir.close())
	}
	return nil
}

// load reads the records. Damaged ones are as none: they must not keep the guard off for ever.
func (g *Guard) load() error {
	r, err := g.writer.dir.read()
	if err != nil {
		r = Records{Version: version}
		g.verdict.Problem = fmt.Errorf("the records of earlier processes cannot be read, and begin again: %w", err)
	}
	r.Path = g.opt.Path
	g.records = r
	if a := r.Running; a != nil && !g.opt.Upgrade && a.Process != g.process && a.Process.alive() {
		return fmt.Errorf("process %d serves with this file and this state directory: give one of them another directory with --state", a.Process.PID)
	}
	return nil
}

// Start takes the text of the file and returns the text to start with, which is that of the last config
// that lasted if processes have died with the file. From here on the death of this process is one with
// that config; Close takes it back unless Serving has come.
func (g *Guard) Start(text []byte) []byte {
	defer g.writer.flush(flushTimeout)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil {
		return text
	}
	problem := g.verdict.Problem
	g.file = HashOf(text)
	var kept []byte
	g.records, g.verdict = g.records.decide(g.file, time.Now(), g.opt.Upgrade, func(h Hash) bool {
		var err error
		if kept, err = g.writer.dir.text(h); err != nil {
			problem = err
		}
		return err == nil
	})
	g.verdict.Problem = problem
	if g.guarded = g.verdict.Choice == UseLasted; g.guarded {
		text = kept
	}
	g.try(text)
	return text
}

// UseFile is called after Start if the config that lasted is refused: the file is all that is left.
func (g *Guard) UseFile(text []byte, why error) {
	defer g.writer.flush(flushTimeout)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil {
		return
	}
	g.guarded, g.verdict.Choice, g.verdict.Problem = false, NothingLasted, why
	g.try(text)
}

// Stopped says that an order to stop has come: the end of this process is no death, however it comes.
func (g *Guard) Stopped() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off == nil && !g.still {
		g.note(g.records.end())
		g.still = true
	}
}

// Disable ends the guard of a process that goes on, with the reason.
func (g *Guard) Disable(why error) {
	defer g.writer.flush(flushTimeout)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off == nil {
		g.note(g.records.end())
		g.off, g.still, g.guarded = why, true, false
	}
}

// Close ends the guard. A process that has served nothing and says why has not died.
func (g *Guard) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil {
		return nil
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	if g.serving == nil && g.trying != nil {
		g.trying = nil
		g.note(g.records.end())
	}
	g.still = true
	if !g.writer.flush(flushTimeout) {
		return nil // the write that hangs still uses the directory
	}
	return g.writer.dir.close()
}
