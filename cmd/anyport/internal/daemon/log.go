package daemon

import (
	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/logging"
)

// openLog opens the log first: everything else logs.
func (d *daemon) openLog() {
	c := d.opt.Config.Log
	d.lines = logging.Open(d.opt.Log, c.Format, c.Level)
	d.closers = append(d.closers, func() error { d.lines.Close(); return nil })
	d.log = d.lines.Logger
}

// logStatus counts the lines that the logs have lost, those of earlier processes included.
func (d *daemon) logStatus() admin.LogStatus {
	return admin.LogStatus{
		Lost:       d.earlier.logLost.Load() + d.lines.Lost(),
		AccessLost: d.earlier.accessLost.Load() + d.access.lostLines(),
	}
}
