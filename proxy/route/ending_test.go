package route

import (
	"slices"
	"testing"

	"anyport/config"
)

// notEnds are verdicts that no conn or flow ends with.
var notEnds = []Verdict{Undecided, Admitted, Forwarded, Overflowed, Backlogged, Truncated, PortZero, TooLarge, Amplified, SendFailed, OriginError, FlowEnded}

// TestEndings: each verdict that a conn or flow ends with says who ended it, and no two of them that are
// not normal look like an orderly end.
func TestEndings(t *testing.T) {
	for v := range Verdicts {
		if slices.Contains(notEnds, v) {
			continue
		}
		r := Record{Protocol: config.TCP, Verdict: v, Phase: InData}
		if got := r.Ending(); (got.By == ByNobody) != (v == Closed) {
			t.Errorf("%v was ended by %v in %v", v, got.By, got.Phase)
		}
	}
	for _, c := range []struct {
		protocol config.Protocol
		verdict  Verdict
		phase    Phase
		want     string
	}{
		{config.TCP, Closed, InLast, "--"},
		{config.UDP, IdleTimedOut, InData, "--"},
		{config.TCP, IdleTimedOut, InData, "cD"},
		{config.TCP, ResetByClient, AtAdmission, "CR"},
		{config.TCP, ResetByClient, AtConnect, "CC"},
		{config.TCP, ResetByClient, InData, "CD"},
		{config.TCP, ResetByClient, InLast, "CL"},
		{config.TCP, ResetByOrigin, InData, "SD"},
		{config.TCP, ConnectFailed, AtConnect, "SC"},
		{config.TCP, ConnectTimedOut, AtConnect, "sC"},
		{config.TCP, QueueTimedOut, InQueue, "sQ"},
		{config.TCP, QueueAbandoned, AtConnect, "CQ"},
		{config.TCP, OutOfPorts, AtConnect, "RC"},
		{config.TCP, HalfCloseTimedOut, InData, "sD"},
		{config.TCP, HalfCloseTimedOut, InLast, "cL"},
		{config.TCP, DrainTimedOut, InData, "KD"},
		{config.TCP, OriginDown, InData, "DD"},
		{config.TCP, MaxAge, InData, "PD"},
		{config.TCP, HeaderTimedOut, AtAdmission, "cR"},
		{config.UDP, Denied, AtAdmission, "PR"},
		{config.UDP, NoRoute, AtAdmission, "PR"},
		{config.UDP, NoRoute, InData, "KD"},
		{config.UDP, Evicted, InData, "RD"},
	} {
		r := Record{Protocol: c.protocol, Verdict: c.verdict, Phase: c.phase}
		if got := string(r.Ending().AppendState(nil)); got != c.want {
			t.Errorf("%v %v in %v: %s, want %s", c.protocol, c.verdict, c.phase, got, c.want)
		}
	}
}
