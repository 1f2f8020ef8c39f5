package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/config"
	"anyport/proxy/accesslog"
	"anyport/proxy/route"
)

// accessLog is the access log in service, which a reload may open, close or replace.
type accessLog struct {
	current atomic.Pointer[accesslog.Log] // nil: none
	lost    atomic.Uint64                 // lines that were lost by those before
	closing sync.WaitGroup                // they write what was queued

	reopened atomic.Int64 // how often a reload has opened it again
}

// lostLines is how many lines this process has lost.
func (a *accessLog) lostLines() uint64 {
	lost := a.lost.Load()
	if log := a.current.Load(); log != nil {
		lost += log.Lost()
	}
	return lost
}

// replace puts a log into service, nil for none, has use tell the event loops, and closes the log before on
// another goroutine, which ends within seconds: its destination may be stuck.
func (a *accessLog) replace(next *accesslog.Log, use func(), report func(error)) {
	old := a.current.Swap(next)
	use()
	if old == nil {
		return
	}
	a.closing.Go(func() {
		if err := old.Close(); err != nil {
			report(err)
		}
		a.lost.Add(old.Lost())
	})
}

// close closes the log in service, and returns when those before are closed.
func (a *accessLog) close() (err error) {
	a.replace(nil, func() {}, func(failed error) { err = failed })
	a.closing.Wait()
	return err
}

// openAccess opens the access log, so that steering.user can open it again after a rotation.
func (d *daemon) openAccess() error {
	c := d.opt.Config.Log
	file, inherited, err := d.accessFile(c)
	if err != nil {
		return err
	}
	log, err := accesslog.Open(c, d.lines.Queue(), file, d.log)
	if err != nil || log == nil {
		return err
	}
	d.access.current.Store(log)
	d.closers = append(d.closers, d.access.close)
	if inherited { // it may have been rotated since
		if err := log.Reopen(); err != nil {
			d.log.Error("the access log goes on in its old file", "error", err)
		}
	}
	return nil
}

// accessFile returns the file that the process before writes, or one that steering.user may write; nil
// if there is neither: the log then opens its destination itself.
func (d *daemon) accessFile(c config.Log) (file *os.File, inherited bool, err error) {
	if c.Destination().Kind != config.ToFile {
		return nil, false, nil
	}
	if d.before != nil && d.before.Access == c.Access {
		if fd := d.before.Take(upgrade.FDAccess); fd >= 0 {
			return os.NewFile(uintptr(fd), c.Access), true, nil
		}
	}
	if d.account != nil {
		file, err = openAsUser(d.account, c.Access)
	}
	return file, false, err
}

// recording is what the event loops record for the log in service; nothing at all without one.
func (d *daemon) recording(c config.Log) route.Recording {
	log := d.access.current.Load()
	if log == nil {
		return route.Recording{}
	}
	return route.Recording{To: log.Record, Progress: c.AccessProgress, Share: c.AccessSample.Share()}
}

// reopenAccess opens the log in service again, for a reload: logrotate may have moved its file.
func (d *daemon) reopenAccess() error {
	if log := d.access.current.Load(); log != nil {
		d.access.reopened.Add(1)
		return log.Reopen()
	}
	return nil
}

// openNextAccess opens the log of a new config if it is another one than that in service. It opens it as
// the user that this process is now.
func (d *daemon) openNextAccess(next config.Log) (*accesslog.Log, error) {
	if next.Access == d.serving.Load().config.Log.Access {
		return nil, nil
	}
	var opened atomic.Pointer[accesslog.Log]
	var late atomic.Bool
	log, err := slowfs.Do(d.slow, "open log.access", func() (*accesslog.Log, error) {
		log, err := accesslog.Open(next, d.lines.Queue(), nil, d.log)
		if opened.Store(log); late.Load() {
			closeLate(&opened)
		}
		return log, err
	})
	if err != nil { // it may still be opened, or was at this moment
		late.Store(true)
		closeLate(&opened)
	}
	return log, err
}

// tryAccess says whether openNextAccess would fail, and opens nothing.
func (d *daemon) tryAccess(next config.Log) error {
	if next.Access == d.serving.Load().config.Log.Access {
		return nil
	}
	_, err := slowfs.Do(d.slow, "open log.access", func() (struct{}, error) { return struct{}{}, accesslog.Try(next) })
	return err
}

// closeLate closes a log that was opened when nobody waited for it any more.
func closeLate(opened *atomic.Pointer[accesslog.Log]) {
	if log := opened.Swap(nil); log != nil {
		_ = log.Close() // nothing was written to it
	}
}

// useAccess puts the log of a config into service that is in service now; opened is nil if it is the same
// as before, or none.
func (d *daemon) useAccess(old, c config.Log, opened *accesslog.Log) {
	use := func() { d.proxy.SetRecording(d.recording(c)) }
	if old.Access == c.Access {
		use()
		return
	}
	d.access.replace(opened, use, func(err error) { d.log.Warn("cannot close the old access log", "error", err) })
}

// openAsUser opens path with the rights of the user. If that user may not, root opens it, but follows
// no link: somebody who can write to the directory could have put a link to any file of the host
// there.
func openAsUser(user *privileges.Account, path string) (file *os.File, err error) {
	err = user.Do(func() error {
		file, err = accesslog.OpenFile(path)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		return file, err
	}
	file, err = os.OpenFile(path, accesslog.Flags|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log.access: %w: name a file that user %d may write, and no symbolic link", err, user.UID)
	}
	if err := giveTo(file, user); err != nil {
		return nil, errors.Join(fmt.Errorf("log.access: %w", err), file.Close())
	}
	return file, nil
}

// giveTo makes the user the owner of the file, so that logrotate does so with the next one. It does
// nothing with a file that is not this user's own or has another name: that may be a hard link.
func giveTo(file *os.File, user *privileges.Account) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || stat.Nlink != 1 || int(stat.Uid) != os.Geteuid() {
		return nil
	}
	return file.Chown(user.UID, -1)
}
