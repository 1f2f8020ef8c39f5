package daemon

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/api"
	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/proxy/tcp"
	"anyport/proxy/udp"
	"anyport/steering"
	"anyport/steering/host"
)

// upgrade makes another process serve in place of this one, or changes nothing. The new process may
// need a spare steering program, which stays the caller's. After it this process ends with the last
// conn that has not moved.
//
// The end of starting kills the new process if it does not serve yet; the end of moving leaves here
// the conns that have not moved.
func (d *daemon) upgrade(starting, moving context.Context, binary string, spare steering.Inheritance) (u admin.Upgraded, err error) {
	if err := d.awaitConns(starting); err != nil {
		return u, err
	}
	d.log.Info("upgrade: starting the new process", "binary", binary)
	d.unwatch() // it would put tables in service
	d.pauseTraces()
	d.storeFDs() // the offer names what the service manager keeps
	d.opt.Guard.Pause()
	d.handing.Store(true)
	u, err = upgrade.Run(starting, moving, replaced{d, spare}, upgrade.Start{Binary: binary, Args: os.Args[1:], Parent: d.parentOfNext()}, d.log)
	d.handing.Store(false)
	if err != nil {
		d.opt.Guard.Resume()
		d.traces.Resume()
		d.watch()
		if errors.Is(err, upgrade.ErrCancelled) {
			d.log.Info("upgrade cancelled", "because", err)
		} else {
			d.log.Error("upgrade refused: this process serves on", "problem", err)
		}
		return u, err
	}
	d.successor.Store(int64(u.PID))
	d.leaveFleet()
	d.stopping.Store(true)
	d.log.Info("upgraded: another process serves", "pid", u.PID, "flows", u.Flows, "conns", u.Conns, "left", u.Left)
	if err := d.releaseShared(); err != nil {
		d.log.Warn("cannot release what the new process has now", "error", err)
	}
	return u, nil
}

// releaseShared closes this process's copies of what the other one has now, and leaves the rest to it.
func (d *daemon) releaseShared() error {
	err := errors.Join(d.steering.Release(), d.announce.Close())
	if d.admin != nil {
		d.admin.LeaveFile(true)
		err = errors.Join(err, d.admin.Close())
	}
	if d.web != nil {
		err = errors.Join(err, d.web.Close())
	}
	return err
}

// parentOfNext is who must be the parent of the new process.
func (d *daemon) parentOfNext() handover.Parent {
	if d.opt.Manager.Listens() {
		return handover.Manager
	}
	return handover.Self
}

// binary returns the path of the binary to start, or says why there can be no upgrade. It may take
// a while.
func (d *daemon) binary(order api.UpgradeOrder) (string, error) {
	if os.Getpid() == 1 {
		// The kernel kills all processes of a pid namespace when its pid 1 ends.
		return "", errors.New("anyport is pid 1 of its container, which ends with it: start another container in its place")
	}
	return slowfs.Do(d.slow, "read the new binary", func() (string, error) { return upgrade.Binary(order.Binary, order.Root) })
}

// upgradeBySignal upgrades to the own binary, and returns when that has begun; the log has the outcome.
// If only root can send signals to this process, the order counts as root's.
func (d *daemon) upgradeBySignal() {
	binary, err := d.binary(api.UpgradeOrder{Root: os.Geteuid() == 0})
	if err == nil {
		err = d.decide(context.Background(), func() error { return d.beginUpgrade(binary, nil, func(admin.Upgraded, error) {}) })
	}
	if err != nil {
		d.log.Error("upgrade refused: this process serves on", "problem", err)
	}
}

// replaced is the daemon as package upgrade replaces it. Its methods run on the goroutine of the upgrade,
// or on an event loop while that hands over; the goroutine that decides takes no order meanwhile.
type replaced struct {
	*daemon
	spare steering.Inheritance
}

var _ upgrade.Server = replaced{}

// Offer calls send with all that can be had while this process serves.
func (r replaced) Offer(send func(upgrade.Offer) error) error {
	listeners, err := host.OtherListeners()
	if err != nil {
		return err
	}
	duplicates, err := r.duplicates()
	if err != nil {
		return err
	}
	defer duplicates.Close()
	fds := map[string]int{}
	maps.Copy(fds, r.steering.Handover())
	maps.Copy(fds, r.spare)
	maps.Copy(fds, duplicates)
	fds[upgrade.FDRawIPv4], fds[upgrade.FDRawIPv6] = r.raw.FDs()
	fds[upgrade.FDAnnounce] = r.announce.Handover()
	maps.DeleteFunc(fds, func(_ string, fd int) bool { return fd < 0 }) // a raw socket that could not be opened
	peers, _ := r.steering.Fleet()
	return send(upgrade.Offer{
		FDs: fds, Stored: slices.Sorted(maps.Keys(r.stored)), Listeners: listeners,
		Draining: r.drainingRoutes(), Grace: r.drains.Load().grace(time.Now()), Origins: r.proxy.OriginStates(), Access: r.serving.Load().config.Log.Access,
		Instance: r.instance, Damping: r.announce.Damping(), PeersChanged: peers.Changed(), Segment: r.clientSegment(),
	})
}

// duplicates are the descriptors of files that others use at the same time. The caller closes them.
func (r replaced) duplicates() (fds steering.Inheritance, err error) {
	fds = steering.Inheritance{}
	if r.admin != nil {
		if err := addDuplicate(fds, upgrade.FDAdmin, r.admin); err != nil {
			return nil, err
		}
	}
	if table := tableIn(r.serving.Load().config); table != nil {
		fd, err := memoryFile(upgrade.FDTable, table)
		if err != nil {
			return nil, errors.Join(err, fds.Close())
		}
		fds[upgrade.FDTable] = fd
	}
	access := r.access.current.Load()
	if access == nil {
		return fds, nil
	}
	// The log's writer waits during Share, so nothing else is done there.
	err = access.Share(func(file *os.File) error {
		if file == nil {
			return nil
		}
		return addDuplicate(fds, upgrade.FDAccess, file)
	})
	if err != nil {
		return nil, errors.Join(err, fds.Close())
	}
	return fds, nil
}

// addDuplicate adds a copy of a file's descriptor.
func addDuplicate(fds steering.Inheritance, name string, file syscall.Conn) error {
	fd, err := duplicate(file)
	if err == nil {
		fds[name] = fd
	}
	return err
}

// duplicate copies a descriptor without File or Fd, which would make the original block.
func duplicate(file syscall.Conn) (fd int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(controlErr, err)
}

// HandOver is the proxy's.
func (r replaced) HandOver(ctx context.Context, give func([]udp.Flow) error) error {
	return r.proxy.HandOver(ctx, give)
}

// MoveConns is the proxy's.
func (r replaced) MoveConns(ctx context.Context, give func([]tcp.Conn) error) error {
	return r.proxy.MoveConns(ctx, give)
}

// Ahead has what is known only now that this process stands still.
func (r replaced) Ahead() upgrade.Ahead {
	kernel, _ := r.steering.Fleet()
	return upgrade.Ahead{ConnFiles: r.proxy.Files().TCP.Held, PeersChanged: kernel.Changed()}
}

// Replaced tells the service manager which process is the service now.
func (r replaced) Replaced(pid int) {
	r.leaveSaved(true, r.spare.ReplacesProgram())
	r.daemon.replaced.Store(true)
	r.checkNotified(r.opt.Manager.MainPID(pid))
}

// NotReplaced tells it that this process is still the service.
func (r replaced) NotReplaced() {
	r.checkNotified(r.opt.Manager.MainPID(os.Getpid()))
	r.daemon.replaced.Store(false)
	r.leaveSaved(false, false)
}

// Reclaim puts the table of this process into service again.
func (r replaced) Reclaim() error { return r.steering.Reclaim() }

// Active is the number of live conns and flows.
func (r replaced) Active() int64 { return r.active() }
