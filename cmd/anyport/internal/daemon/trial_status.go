package daemon

import (
	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
	"anyport/steering"
	"anyport/steering/table"
)

// trialStatus is nil if nothing is on trial.
func (d *daemon) trialStatus(kernel *steering.TrialCounters) *admin.TrialStatus {
	if t := d.processTrial.Load(); t != nil && kernel != nil {
		return d.processTrialStatus(t, kernel)
	}
	t := d.trial.Load()
	if t == nil || kernel == nil {
		return nil
	}
	old, next := t.sides.Tallies()
	status := &admin.TrialStatus{
		Of: admin.TrialOfTable, SharePercent: t.percent, Since: t.since,
		Old: trialSide(d.serving.Load().number, old, config.TCP, config.UDP), New: trialSide(t.number, next, config.TCP, config.UDP),
	}
	addKernel(&status.Old, kernel.Old)
	addKernel(&status.New, kernel.Next)
	return status
}

// trialSide is what became of the conns and flows that the kernel has steered to a side.
func trialSide(number int, tally *route.Tally, protocols ...config.Protocol) admin.TrialSide {
	side := admin.TrialSide{Generation: number, Verdicts: map[string]uint64{}, Ended: map[string]map[string]uint64{}}
	arrived, ended := tally.Totals()
	for _, protocol := range protocols {
		n := arrived[protocol]
		side.Conns += n
		side.Active += n
		verdicts := map[string]uint64{}
		for v, n := range ended[protocol] {
			verdicts[v.String()] = n
			side.Active -= n
			if v.Refuses() {
				side.Refused += n
			}
		}
		side.Ended[protocol.String()] = verdicts
		side.Resets += verdicts[route.ResetByOrigin.String()] + verdicts[route.ResetByClient.String()]
	}
	side.Failed = admin.Counts{Ended: side.Ended}.Errors()
	return side
}

// addKernel adds what the kernel has decided about the clients of a side.
func addKernel(side *admin.TrialSide, kernel map[table.Verdict]uint64) {
	side.Verdicts = byVerdict(kernel)
	for _, v := range []table.Verdict{table.Refuse, table.Drop, table.Deny, table.Limit, table.Inactive} {
		side.Refused += kernel[v]
	}
}
