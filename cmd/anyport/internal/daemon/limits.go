package daemon

import (
	"anyport/cmd/anyport/internal/filelimit"
	"anyport/proxy/fdbudget"
	"anyport/proxy/udp"
)

// openFiles raises RLIMIT_NOFILE as far as it may go.
func (d *daemon) openFiles() (err error) {
	if d.files, err = filelimit.Raise(); err != nil {
		return err
	}
	if d.files < filelimit.Few {
		d.log.Warn("few file descriptors: each TCP conn takes two, each UDP flow one",
			"files", d.files, "hint", "raise LimitNOFILE= of the systemd unit, or ulimit -n")
	}
	if err := filelimit.Preallocate(min(d.files, filelimit.Preallocated)); err != nil {
		d.log.Warn("the table of file descriptors will grow while conns and flows wait for it", "error", err)
	}
	return nil
}

// divideFiles makes the budget of files, once all that the process holds for itself is open: what is opened
// later comes out of the reserve.
func (d *daemon) divideFiles() error {
	held := filelimit.Open() - d.filesOfOthers()
	budget, err := fdbudget.Divide(int(d.files), held+d.proxy.LoopFiles())
	if err == nil {
		d.proxy.LimitFiles(budget)
		d.clientSockets, d.clientFlows = udp.MostPerClient(d.maxFlows(), d.maxSockets())
	}
	return err
}

// maxFlows is the bound on UDP flows of all routes.
func (d *daemon) maxFlows() int { return d.opt.Config.Listen.MaxFlows }

// maxSockets is the bound on those of them that have a socket of their own, as the files
// and the local ports allow.
func (d *daemon) maxSockets() int {
	budget := d.proxy.Budget()
	return min(d.maxFlows(), udp.MaxSockets(), budget.Flows+budget.Common)
}
