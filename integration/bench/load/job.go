package load

import (
	"fmt"
	"net/netip"
	"time"
)

// Job is one measurement, as the client is told to make it.
type Job struct {
	Kind    string
	Dst     netip.Prefix // the addresses to ask; a single one where the origin is asked itself
	Clients []netip.Addr // the client's own addresses, which its UDP sockets take in turn
	Origin  netip.Addr   // the origin, past the proxy: it tells what reached it
	Watch   []int        // the processes of the proxy, their children included
	Ours    []int        // the processes of the rig beside the client itself

	WarmUp  time.Duration // not counted
	Measure time.Duration

	Conns  int  // TCP: at once
	Count  int  // what is to be done, where it is not done for a time
	Shared bool // the proxy has no socket for each
	Upload bool // bulk TCP: from the client

	OnePort bool // UDP: all flows ask the same port, of many addresses

	Flows  int // UDP
	Size   int // bytes of a datagram, or of a question of round trips; 0: the least
	Train  int // datagrams that are handed to the kernel at once, by UDP_SEGMENT
	Greet  int // of bulk and idle flows: questions and answers that a flow begins with
	Window int // datagrams of a single flow on their way at once
	Rate   int // datagrams a second
	Flood  int // datagrams a second of somebody else, from one address and port
	Spoof  int // datagrams of somebody else, each from another address
}

// Result is what a job measured. Ops are what the job is about: conns, bytes,
// round trips, datagrams or flows.
type Result struct {
	Ops     float64
	Failed  float64 // lost, refused or broken
	Wrong   float64 // answers from another address or port than was asked
	Seconds float64

	ProxyCPU float64 // seconds: the proxy's threads, user and system
	RigCPU   float64 // seconds: all that was not idle, softirqs and kernel threads included
	Foreign  float64 // seconds: other programs of this machine
	Stolen   float64 // seconds: the hypervisor's

	P50, P99, P999 float64 // seconds, of a round trip

	RSS    float64 // bytes that the proxy grew by
	Kernel float64 // bytes that the kernel's objects grew by, all hosts together
	FDs    float64 // file descriptors that the proxy opened
}

// kinds are the measurements by Job.Kind.
var kinds = map[string]func(Job) (Result, error){
	"connect":   connect,
	"scan":      scan,
	"bulk":      bulk,
	"pingpong":  pingPong,
	"hold":      hold,
	"udp-echo":  udpEcho,
	"udp-paced": udpPaced,
	"udp-bulk":  udpBulk,
	"udp-flows": udpFlows,
	"udp-churn": udpChurn,
	"udp-idle":  udpIdle,
}

// Run does a job, once the way to the origin is open.
func Run(job Job) (Result, error) {
	run, ok := kinds[job.Kind]
	if !ok {
		return Result{}, fmt.Errorf("no job is called %q", job.Kind)
	}
	if err := raiseFiles(); err != nil {
		return Result{}, err
	}
	if err := awaitOrigin(job); err != nil {
		return Result{}, err
	}
	job.Watch = withChildren(job.Watch)
	return run(job)
}

// dst is one of the addresses to ask, and one of ports.
func (j Job) dst(i int, ports portRange) netip.AddrPort {
	address, size := j.Dst.Addr(), 1<<min(j.Dst.Addr().BitLen()-j.Dst.Bits(), 8)
	if size > 2 { // neither the first nor the last: they are the subnet's own
		b := address.As16()
		b[15] += byte(1 + i/ports.count%min(size-2, 200))
		address = netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrPortFrom(address, ports.port(i))
}

// anySource has the kernel choose the address and port of a socket that asks Dst.
func (j Job) anySource() netip.AddrPort {
	if j.Dst.Addr().Is4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
}

// portRange is a few ports next to each other that do the same.
type portRange struct{ first, count int }

// port is one of them, the same for the same i.
func (r portRange) port(i int) uint16 { return uint16(r.first + i%r.count) }

// What the origin's ports do.
var (
	echoTCP    = portRange{7001, 8}
	sourceTCP  = portRange{7020, 1}      // sends all it can
	sinkTCP    = portRange{7021, 1}      // reads all it can
	nobodyTCP  = portRange{40_000, 1000} // nobody listens
	countersIn = portRange{7022, 1}      // tells how many quiet datagrams came
	echoUDP    = portRange{EchoUDP, 100}
)

// EchoUDP is the first port of the origin that answers datagrams. A proxy that
// cannot learn which port the client has asked for sends all there.
const EchoUDP = 7101
