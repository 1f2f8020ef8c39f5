package daemon

import (
	"context"
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/scans"
	"anyport/steering"
)

// scanSums sums up the packets to ports that nobody serves. It begins with the process.
type scanSums struct {
	table   *scans.Table
	skipped uint64 // what the kernel had not reported before
}

// openScans makes the sums, and lets the kernel report before this process serves. The kernel's counters may have begun
// long ago.
func (d *daemon) openScans() {
	before, err := d.steering.ScanCounts()
	if err == nil {
		err = d.steering.BeginScans()
	}
	if err != nil {
		d.log.Debug("cannot read about scans", "error", err)
	}
	d.scans = scanSums{scans.NewTable(time.Now()), before.Skipped}
}

// watchScans adds up what the kernel reports, until ctx ends.
func (d *daemon) watchScans(ctx context.Context) {
	var packets []scans.Packet
	err := d.steering.WatchScans(ctx, func(all []steering.Scan) {
		packets = packets[:0]
		serving := d.serving.Load().table
		for _, s := range all {
			packets = append(packets, scans.Packet{Protocol: s.Protocol, Client: s.Client, Dst: s.Dst, Prefix: serving.Holder(s.Dst.Addr())})
		}
		d.scans.table.Add(time.Now(), packets)
	})
	if err != nil {
		d.log.Warn("who sends to ports that nobody serves is not counted any more", "error", err)
	}
}

// scanStatus is their number.
func (d *daemon) scanStatus() admin.ScanStatus {
	counts, err := d.steering.ScanCounts()
	if err != nil {
		d.log.Debug("cannot read the counters of scans", "error", err)
	}
	return admin.ScanStatus{Reported: counts.Reported, Skipped: counts.Skipped, Clients: d.scans.table.Clients(time.Now())}
}

// Scans lists who sends to ports that nobody serves.
func (s service) Scans(limit int) (list admin.Scans, err error) {
	counts, err := s.d.steering.ScanCounts()
	s.d.scans.table.Report(time.Now(), limit, func(r scans.Report) {
		list = admin.Scans{
			Since: r.Since, Packets: r.Packets, Complete: !r.Displaced,
			Clients: scanners(r.Clients), Networks: scanners(r.Networks), Ports: make([]admin.ScannedPort, 0, len(r.Ports)),
		}
		for _, p := range r.Ports {
			clients, exact := p.Value.Count()
			list.Ports = append(list.Ports, admin.ScannedPort{
				Prefix: p.Key.Prefix.String(), Protocol: p.Key.Protocol.String(), Port: int(p.Key.Port),
				Packets: p.Packets, Clients: clients, ClientsExact: exact, Since: p.Since, Last: p.Last,
			})
		}
	})
	list.Skipped = counts.Skipped - min(counts.Skipped, s.d.scans.skipped)
	return list, err
}

// scanners is entries in the words of the admin API.
func scanners(entries []*scans.Scanner) []admin.Scanner {
	all := make([]admin.Scanner, 0, len(entries))
	for _, e := range entries {
		ports, exact := e.Value.Count()
		one := admin.Scanner{Prefix: e.Key.String(), Packets: e.Packets, Ports: admin.PortSum{Count: ports, Exact: exact}, Since: e.Since, Last: e.Last}
		for _, v := range e.Value.Listed() {
			protocol, port := scans.PortOf(v)
			one.Ports.Listed = append(one.Ports.Listed, fmt.Sprintf("%d/%s", port, protocol))
		}
		all = append(all, one)
	}
	return all
}
