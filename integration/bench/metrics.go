package main

import (
	"anyport/integration/bench/load"
	"anyport/integration/bench/report"
)

type result = load.Result

// What a table shows of a scenario; the first one is what it is about.
var (
	perConn = []report.Metric{
		rate("conns/s", 1),
		proxyCPU("CPU-s/10k conns", 10_000), rigCPU("rig CPU-s/10k", 10_000), failed,
	}
	perScan = []report.Metric{
		rate("ports/s", 1),
		proxyCPU("CPU-s/10k ports", 10_000), rigCPU("rig CPU-s/10k", 10_000), failed,
	}
	perGB = []report.Metric{
		rate("Gbit/s", 8e-9),
		proxyCPU("CPU-s/GB", 1e9), rigCPU("rig CPU-s/GB", 1e9), failed,
	}
	perRoundTrip = []report.Metric{
		rate("round trips/s", 1), p50, p99, p999,
		proxyCPU("CPU-s/100k", 100_000), rigCPU("rig CPU-s/100k", 100_000),
	}
	perIdle = []report.Metric{
		each("RSS KiB/conn", func(r result) float64 { return r.RSS / 1024 }),
		over(each("kernel KiB/conn over routed", func(r result) float64 { return r.Kernel / 1024 })),
		each("fds/conn", func(r result) float64 { return r.FDs }),
		failed,
	}
	held = []report.Metric{
		{Name: "answered", Value: func(r result) float64 { return r.Ops }},
		{Name: "lost", Less: true, Value: func(r result) float64 { return r.Failed }},
		{Name: "opened in s", Less: true, Value: func(r result) float64 { return r.Seconds }},
		{Name: "RSS MiB", Less: true, Value: func(r result) float64 { return r.RSS / (1 << 20) }},
	}
	perDatagram = []report.Metric{
		rate("datagrams/s", 1),
		proxyCPU("CPU-µs/datagram", 1e6), over(rigCPU("rig CPU-µs/datagram over routed", 1e6)), failed,
	}
	perFlow = []report.Metric{
		rate("flows/s", 1),
		proxyCPU("CPU-µs/flow", 1e6), rigCPU("rig CPU-µs/flow", 1e6),
		each("RSS KiB/flow", func(r result) float64 { return r.RSS / 1024 }),
		over(each("kernel KiB/flow over routed", func(r result) float64 { return r.Kernel / 1024 })),
		each("fds/flow", func(r result) float64 { return r.FDs }),
		failed,
	}
	perShortFlow = []report.Metric{
		rate("flows/s", 1),
		proxyCPU("CPU-µs/flow", 1e6), rigCPU("rig CPU-µs/flow", 1e6), failed,
	}
	perIdleFlow = []report.Metric{
		each("RSS bytes/flow", func(r result) float64 { return r.RSS }),
		over(each("kernel bytes/flow over routed", func(r result) float64 { return r.Kernel })),
		each("fds/flow", func(r result) float64 { return r.FDs }),
		{Name: "CPU-ms/s while idle", Less: true, CPU: true, Value: func(r result) float64 { return r.ProxyCPU * 1000 / r.Seconds }},
		over(report.Metric{Name: "rig CPU-ms/s over routed", Less: true, Value: func(r result) float64 { return (r.RigCPU - r.Foreign) * 1000 / r.Seconds }}),
		failed,
	}
	perBulk = []report.Metric{
		rate("Gbit/s", 1200*8e-9),
		{Name: "lost %", Less: true, Value: func(r result) float64 { return 100 * r.Failed / max(1, r.Ops+r.Failed) }},
		proxyCPU("CPU-µs/datagram", 1e6), over(rigCPU("rig CPU-µs/datagram over routed", 1e6)),
	}
	latency = []report.Metric{p50, p99, p999, failed, proxyCPU("CPU-µs/datagram", 1e6)}
	spoofed = []report.Metric{
		{Name: "lost", Less: true, Value: func(r result) float64 { return r.Failed }},
		{Name: "RSS MiB", Less: true, Value: func(r result) float64 { return r.RSS / (1 << 20) }},
		{Name: "fds", Less: true, Value: func(r result) float64 { return r.FDs }},
		p50, p99,
	}
)

var (
	failed = report.Metric{Name: "failed", Less: true, Value: func(r result) float64 { return r.Failed }}
	p50    = report.Metric{Name: "p50 µs", Less: true, Value: func(r result) float64 { return r.P50 * 1e6 }}
	p99    = report.Metric{Name: "p99 µs", Less: true, Value: func(r result) float64 { return r.P99 * 1e6 }}
	p999   = report.Metric{Name: "p99.9 µs", Less: true, Value: func(r result) float64 { return r.P999 * 1e6 }}
)

// rate is what was done a second, in units of the scenario's ops.
func rate(name string, unit float64) report.Metric {
	return report.Metric{Name: name, Value: func(r result) float64 { return r.Ops * unit / r.Seconds }}
}

// proxyCPU is what the proxy's processes used for the given number of ops.
func proxyCPU(name string, ops float64) report.Metric {
	return report.Metric{Name: name, Less: true, CPU: true, Value: func(r result) float64 { return r.ProxyCPU * ops / max(1, r.Ops) }}
}

// rigCPU is what the whole machine used for the given number of ops, without other programs.
func rigCPU(name string, ops float64) report.Metric {
	return report.Metric{Name: name, Less: true, Value: func(r result) float64 { return (r.RigCPU - r.Foreign) * ops / max(1, r.Ops) }}
}

// each is a share of one op.
func each(name string, value func(result) float64) report.Metric {
	return report.Metric{Name: name, Less: true, Value: func(r result) float64 { return value(r) / max(1, r.Ops) }}
}

// over is what a peer adds to plain routing, whose clients and origin cost the same.
func over(m report.Metric) report.Metric {
	m.Over = true
	return m
}
