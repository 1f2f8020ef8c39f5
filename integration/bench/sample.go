package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"anyport/integration/bench/load"
	"anyport/integration/bench/peer"
	"anyport/integration/lab"
)

// bencher holds what every sample needs.
type bencher struct {
	options
	self    string // this program
	anyport string
	dir     string
	nofile  int // how many files a peer may open
}

// sample measures one peer in one scenario, once, in namespaces of their own: no
// port in TIME_WAIT, conntrack entry, rule or warm cache of another is left.
func (b *bencher) sample(ctx context.Context, s scenario, p peer.Peer) (load.Result, error) {
	rig, err := newRig(s.network())
	if err != nil {
		return load.Result{}, err
	}
	defer rig.close()
	origin := exec.Command(b.self, "origin", s.network().origin.String(), s.Header)
	if err := rig.origin.Start(origin); err != nil {
		return load.Result{}, err
	}
	defer end(origin)
	d, err := p.Deploy(b.site(rig, s))
	if err != nil {
		return load.Result{}, err
	}
	r, err := b.ask(ctx, rig.client, b.job(s, p, d.PIDs(), origin.Process.Pid))
	d.Close()
	if err != nil {
		return r, fmt.Errorf("%s, %s: %w\n%s", s.Name, p.Name, err, d.Printed())
	}
	return r, nil
}

// site is what a peer needs to know for its deployment on this rig.
func (b *bencher) site(rig *rig, s scenario) peer.Site {
	return peer.Site{
		Edge: rig.edge, Dir: b.dir, Served: s.network().served, Origin: s.network().origin, Protocol: s.Protocol,
		Header: s.Header, Idle: s.Idle, Port: load.EchoUDP, Self: b.self, Anyport: b.anyport,
	}
}

// job fills in what of a scenario's job depends on peer and command line.
func (b *bencher) job(s scenario, p peer.Peer, proxy []int, origin int) load.Job {
	job := s.Job
	job.Dst, job.Origin = s.network().served, s.network().origin
	if p.Direct {
		job.Dst = netip.PrefixFrom(job.Origin, job.Origin.BitLen())
	}
	job.Clients = s.network().clients()
	job.Watch, job.Ours = proxy, []int{os.Getpid(), origin}
	job.WarmUp, job.Measure = b.measure/4, b.measure
	shrink := min(1, b.measure.Seconds()) // the titles are right from 1 s
	if job.Count = int(float64(job.Count) * shrink); !job.Shared {
		job.Count = min(job.Count, b.nofile*9/20) // a proxy has two sockets for each
	}
	job.WarmUp += 4 * s.Idle // flows have ended before it is measured
	if job.Kind == "udp-idle" {
		job.Measure = time.Duration(10 * shrink * float64(time.Second))
	}
	if job.Spoof > 0 {
		job.Spoof = int(float64(job.Spoof) * shrink)
		job.Measure *= 5
	}
	return job
}

// ask runs the client. It is killed when ctx ends, or if it takes far too long.
func (b *bencher) ask(ctx context.Context, host *lab.Host, job load.Job) (r load.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, job.WarmUp+job.Measure+2*time.Minute)
	defer cancel()
	order, err := json.Marshal(job)
	if err != nil {
		return r, err
	}
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, b.self, "client")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(order), &out, &complaint
	if err := host.Start(cmd); err != nil {
		return r, err
	}
	if err := cmd.Wait(); err != nil {
		return r, fmt.Errorf("client: %w: %s", err, complaint.Bytes())
	}
	return r, json.Unmarshal(out.Bytes(), &r)
}

// client is the process that ask starts.
func client(in io.Reader, out io.Writer) error {
	var job load.Job
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return err
	}
	r, err := load.Run(job)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}
