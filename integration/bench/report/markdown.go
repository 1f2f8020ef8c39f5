package report

import (
	"fmt"
	"strings"
)

// Markdown is the whole report. The method stands before the figures: they mean
// nothing without it. Peers are pairs of a name and how it is deployed.
func (s Samples) Markdown(sections []Section, peers [][2]string) string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n`make bench` measures this again and writes this page.\n\n## Machine\n\n")
	for _, line := range s.circumstances() {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n## Method\n\n" + method + "\n## Peers\n\n")
	for _, peer := range peers {
		fmt.Fprintf(&b, "- **%s**: %s.\n", peer[0], peer[1])
	}
	b.WriteString("\n## Figures\n")
	for _, section := range sections {
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n", section.Name, section.Title)
		for i, row := range s.table(section) {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("--:|", len(row)-1))
			}
		}
	}
	return b.String()
}

const method = `- Client, edge and origin are three network namespaces of one machine, joined by veth pairs. The peer serves
  192.0.2.0/24 on all ports, on the edge; the client asks many addresses and some ports of it.
- Every sample has namespaces, origin and peer of its own, and a warm-up that is not counted. A round takes every
  peer in every scenario once; the order of the peers rotates from round to round.
- Client and origin share the cores with the peer, so rates are those of the whole rig; the ratio to plain routing says
  how near a peer comes to no proxy at all. Both copy every byte that they read into memory of their own.
- The UDP ones are one event loop each, which reads and writes in batches like the peers and waits in epoll alone.
- CPU is that of the peer's threads, user and system, by their CPU clocks. "rig CPU" is all that was not idle,
  softirqs and kernel threads included, less the user time of programs that are no part of the rig.
  "over routed" is what remains when plain routing's figure is subtracted.
- Kernel memory is the size of all objects in slabs, by /proc/slabinfo.
- Every UDP answer must come from the address and port that was asked.
- Round trips over a single conn are bimodal on few cores: they depend on which core wakes which.
`
