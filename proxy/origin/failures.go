package origin

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/health"
)

// failures are those of one origin over one protocol. A success costs one load while there are none.
type failures struct {
	failing atomic.Bool // nothing has succeeded since the last one
	last    atomic.Pointer[LastFailure]
	mu      sync.Mutex // held to replace last
}

// LastFailure is the newest of an origin's failures, and what came before it.
type LastFailure struct {
	Class ErrorClass
	Errno unix.Errno // 0: none
	At    time.Time
	Since time.Time // the first since the last success
	InRow int       // failures since then

	// Telling says that they are of the origin, not of the port that a client has asked for: of an
	// origin with many ports any client can choose one that is closed.
	Telling bool
}

// note keeps a failure as the last one. telling says whether it is of the origin as a whole.
func (fs *failures) note(f Failure, telling bool, now time.Time) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	next := LastFailure{Class: f.Class, Errno: f.Errno, At: now, Since: now, InRow: 1}
	if before := fs.last.Load(); before != nil && fs.failing.Load() {
		next.Since, next.InRow, next.Telling = before.Since, before.InRow+1, before.Telling
	}
	next.Telling = next.Telling || telling && next.InRow >= health.DialsToEject
	fs.last.Store(&next)
	fs.failing.Store(true)
}

// mention notes an error that says nothing about the next conn: it is shown, but the origin does not
// fail.
func (fs *failures) mention(f Failure, now time.Time) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !fs.failing.Load() {
		fs.last.Store(&LastFailure{Class: f.Class, Errno: f.Errno, At: now, Since: now, InRow: 1})
	}
}

// succeed notes a success, and reports whether the origin had failed before.
func (fs *failures) succeed() bool { return fs.failing.Load() && fs.failing.Swap(false) }

// fails reports whether everything since the last success says that the origin as a whole fails.
func (fs *failures) fails() bool {
	last := fs.last.Load()
	return fs.failing.Load() && last.Telling
}

func (o *Origin) failures(p config.Protocol) *failures { return &o.counts.failures[indexOf(p)] }

// LastFailure is the newest failure of o over a protocol, and whether o fails: nothing has succeeded
// since. It is nil if there was none.
func (o *Origin) LastFailure(p config.Protocol) (last *LastFailure, failing bool) {
	fs := o.failures(p)
	return fs.last.Load(), fs.failing.Load()
}

// RestoreFailure goes on with what another process knows.
func (o *Origin) RestoreFailure(p config.Protocol, last LastFailure, failing bool) {
	fs := o.failures(p)
	fs.last.Store(&last)
	fs.failing.Store(failing)
}

// Errors is how often o did not take a conn or flow for that cause.
func (o *Origin) Errors(c ErrorClass) uint64 { return o.counts.errors[c].Load() }

// Mention counts an error of a conn that o had accepted.
func (o *Origin) Mention(f Failure, now time.Time) {
	o.counts.errors[f.Class].Add(1)
	o.failures(config.TCP).mention(f, now)
}

// indexOf is the place of a protocol where an origin has something for each.
func indexOf(p config.Protocol) int {
	if p == config.UDP {
		return 1
	}
	return 0
}
