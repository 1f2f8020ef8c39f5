package api

import (
	"maps"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/admin"
)

// The metrics of a host in a fleet: its peers, the source of its table, and what it announces.
var (
	peerUp           = metric("peer_up", "1 while the other host of the fleet answers, and is asked about conns that are not here.", "peer")
	peersOff         = metric("peers_off", "1 while [fleet] has peers and none is asked: see anyport status.")
	peerWrongTags    = metric("peer_wrong_tags_total", "Packets from the address of a peer that another key has signed, or none.", "peer")
	peerPackets      = metric("peer_packets_total", "Packets of conns of other hosts, by what became of them: asked (of all peers), straight (to the one that has the conn), taken (by this host, which has it), foreign (this host does not have it), given_up (nobody has said for long that he has it), denied (all peers have said that they do not have it), shed (more than may be asked), too_long, unsent, forged.", "verdict")
	peerConns        = metric("peer_conns_total", "Conns and UDP flows that peers speak about: learnt (a peer has it), told (this host has it), gone (the peer has it no more), sought (a flow that all were asked about), unsought (a flow above what may be asked about), unsent (a datagram that waited for an answer, and could not be sent to the peer).", "verdict")
	announced        = metric("announce_prefixes", "Prefixes by what was decided about them, with announce.table. A route stands for those that are announced, draining or kept.", "verdict")
	announceFlaps    = metric("announce_flaps_total", "Withdrawals of this host's prefixes, or of a route's, because it was not ready.")
	announceRestored = metric("announce_routes_restored_total", "Announced routes that other programs removed and anyport restored.")

	sourceUp      = metric("fleet_source_up", "1 while the source of the table answers. Without a contact the last table serves on.")
	sourceAge     = metric("fleet_source_contact_age_seconds", "How long ago the source has answered.")
	tableInfo     = metric("fleet_table_info", "The table in service, by the SHA-256 of its text; empty: none, so nothing is served. Always 1.", "table")
	tableCurrent  = metric("fleet_table_current", "1 while the table in service is the one that the source names for this host.")
	tablesRefused = metric("fleet_tables_refused_total", "Tables of the source that this host has refused, since the process began.")
	tableOnDisk   = metric("fleet_table_on_disk", "1 while the table in service is in the state directory, for a start without the source; 0: see anyport status.")
	reportWritten = metric("fleet_report_written", "1 if the last report of this host was written; 0: see anyport status.")
)

// fleet exports a host's part in a fleet.
func (e *exporter) fleet(f *admin.FleetStatus) {
	e.flag(sourceUp, f.Up)
	if f.ContactSeconds != nil {
		e.gauge(sourceAge, *f.ContactSeconds)
	}
	e.gauge(tableInfo, 1, f.Table)
	e.flag(tableCurrent, f.Table != "" && f.Table == f.Wanted)
	e.counter(tablesRefused, f.RefusedTotal)
	e.flag(tableOnDisk, f.DiskProblem == "")
	if strings.HasPrefix(f.Source, "etcd:") {
		e.flag(reportWritten, f.Reports && f.ReportProblem == "")
	}
}

// announce exports nothing without announce.table.
func (e *exporter) announce(a *admin.AnnounceStatus) {
	if a == nil {
		return
	}
	for _, verdict := range slices.Sorted(maps.Keys(a.Prefixes)) {
		e.gauge(announced, float64(a.Prefixes[verdict]), verdict)
	}
	var flaps uint64
	for _, p := range a.Parts {
		flaps += p.Flaps
	}
	e.counter(announceFlaps, flaps)
	e.counter(announceRestored, a.RoutesRestored)
}

// peers exports how it stands with the other hosts of the fleet.
func (e *exporter) peers(s *admin.PeersStatus) {
	if s == nil {
		return
	}
	e.flag(peersOff, s.Off != "")
	for _, p := range s.Peers {
		e.flag(peerUp, p.Alive, p.Address)
		e.counter(peerWrongTags, p.WrongTags, p.Address)
	}
	for verdict, n := range sorted(s.Packets) {
		e.counter(peerPackets, n, verdict)
	}
	for verdict, n := range sorted(s.Conns) {
		e.counter(peerConns, n, verdict)
	}
}
