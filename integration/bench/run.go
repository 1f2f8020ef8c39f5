package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"anyport/integration/bench/peer"
	"anyport/integration/bench/report"
)

// bench measures what the options choose, and reports.
func bench(ctx context.Context, o options) error {
	measured, err := o.measured(ctx)
	if err != nil {
		return err
	}
	return o.publish(measured)
}

// measured are new samples, or those of an earlier run.
func (o options) measured(ctx context.Context) (report.Samples, error) {
	if o.render != "" {
		var measured report.Samples
		b, err := os.ReadFile(o.render)
		if err != nil {
			return measured, err
		}
		return measured, json.Unmarshal(b, &measured)
	}
	dir, err := os.MkdirTemp("", "anyport-bench-")
	if err != nil {
		return report.Samples{}, err
	}
	defer os.RemoveAll(dir)
	b := &bencher{options: o, dir: dir}
	if err := b.prepare(); err != nil {
		return report.Samples{}, err
	}
	return b.run(ctx)
}

func (b *bencher) prepare() (err error) {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root; type: sudo make bench")
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	b.nofile = int(files.Max)
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.anyport = b.binary; b.anyport != "" {
		return nil
	}
	b.anyport = filepath.Join(b.dir, "anyport")
	cmd := exec.Command("go", "build", "-o", b.anyport, "anyport/cmd/anyport")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build anyport/cmd/anyport: %w\n%s", err, out)
	}
	return nil
}

// run takes the samples in rounds, each with every peer, so that changes of the machine
// affect every peer alike. A sample that fails is reported, and missing in the tables.
func (b *bencher) run(ctx context.Context) (report.Samples, error) {
	measured := report.Samples{Machine: report.ThisMachine(), Start: time.Now(), Seconds: b.measure.Seconds(), Runs: b.runs}
	peers := b.installed(&measured)
	for _, turn := range schedule(chosen(b.options), peers, b.runs) {
		r, err := b.sample(ctx, turn.scenario, turn.peer)
		if ctx.Err() != nil {
			return measured, ctx.Err()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "failed:", err)
			measured.Failures = append(measured.Failures, turn.scenario.Name+", "+turn.peer.Name)
			continue
		}
		fmt.Fprintf(os.Stderr, "run %d  %-14s %-16s %12s %s\n", turn.run+1, turn.scenario.Name, turn.peer.Name,
			report.Number(turn.scenario.Metrics[0].Value(r)), turn.scenario.Metrics[0].Name)
		measured.All = append(measured.All, report.Sample{Scenario: turn.scenario.Name, Peer: turn.peer.Name, Run: turn.run, Result: r})
	}
	measured.Finish()
	return measured, nil
}

// installed are the peers that the options name and the machine has.
func (b *bencher) installed(measured *report.Samples) (peers []peer.Peer) {
	for _, p := range peer.All {
		if !listed(b.peers, p.Name) {
			continue
		}
		if missing := p.Missing(); missing != "" {
			measured.Skipped = append(measured.Skipped, p.Name+" ("+missing+" is not installed)")
			continue
		}
		peers = append(peers, p)
	}
	return peers
}

// turn is one sample to take.
type turn struct {
	run      int
	scenario scenario
	peer     peer.Peer
}

// schedule interleaves the samples. The order of the peers rotates with the runs, since a
// peer that follows a heavy one finds a warmer or busier machine.
func schedule(scenarios []scenario, peers []peer.Peer, runs int) (turns []turn) {
	for run := range runs {
		for _, s := range scenarios {
			if s.Once && run > 0 {
				continue
			}
			for i := range peers {
				if p := peers[(i+run)%len(peers)]; s.has(p.Name) {
					turns = append(turns, turn{run, s, p})
				}
			}
		}
	}
	return turns
}
