package report

import (
	"fmt"
	"strings"
	"time"
)

// Markdown returns the whole report. The method precedes the figures, which mean nothing
// without it. Peers are pairs of a name and how it is deployed.
func (s Samples) Markdown(sections []Section, peers [][2]string) string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n`make bench` measures these figures and writes this page.\n\n## Machine\n\n")
	for _, line := range s.circumstances() {
		b.WriteString(item(line))
	}
	b.WriteString("\n## Method\n\n")
	for _, line := range method {
		b.WriteString(item(line))
	}
	b.WriteString("\n## Peers\n\n")
	for _, peer := range peers {
		b.WriteString(item(fmt.Sprintf("**%s**: %s.", peer[0], peer[1])))
	}
	b.WriteString("\n## Figures\n")
	for _, section := range sections {
		s.writeSection(&b, section, "")
	}
	return b.String()
}

// heading begins a section of the page.
func heading(s Section) string { return "\n### " + s.Name + "\n" }

// writeSection writes one section of the page. What note says precedes the tables; "": nothing.
func (s Samples) writeSection(b *strings.Builder, section Section, note string) {
	b.WriteString(heading(section) + "\n" + section.Title + ".\n" + note)
	for _, part := range narrow(s.table(section)) {
		writeTable(b, part)
	}
}

// Again returns the page with the sections that were measured again in the place of those before. Each says
// when that was.
func (s Samples) Again(page string, sections []Section) (string, error) {
	when := fmt.Sprintf("\nMeasured again %s, in %d runs of %s s.\n", s.Start.UTC().Format(time.DateTime+" UTC"), s.Runs, Number(s.Seconds))
	for _, section := range sections {
		before, after, found := strings.Cut(page, heading(section))
		if !found {
			return "", fmt.Errorf("the page has no section %q: measure all of it", section.Name)
		}
		var b strings.Builder
		b.WriteString(before)
		s.writeSection(&b, section, when)
		if _, next, more := strings.Cut(after, "\n### "); more {
			b.WriteString("\n### " + next)
		}
		page = b.String()
	}
	return page, nil
}

// method is how the figures are measured.
var method = []string{
	"Client, edge and origin are three network namespaces of one machine, joined by veth " +
		"pairs. The peer runs on the edge and serves 192.0.2.0/24 on all ports, or " +
		"2001:db8:1::/64 in the scenarios over IPv6; the client uses many of these addresses " +
		"and some of the ports.",
	"Every sample has namespaces, an origin and a peer of its own, and a warm-up that is not " +
		"counted. A round takes every peer in every scenario once; the order of the peers rotates " +
		"from round to round.",
	"Client and origin share the cores with the peer, so rates are those of the whole rig. " +
		"The ratio to plain routing says how close a peer comes to no proxy at all. Client and " +
		"origin copy every byte that they read into their own memory.",
	"The UDP client and origin are one event loop each, which reads and writes in batches " +
		"like the peers and waits only in epoll.",
	"CPU is that of the peer's threads, user and system, by their CPU clocks. \"rig CPU\" is " +
		"all CPU that was not idle, softirqs and kernel threads included, less the user time of " +
		"programs that do not belong to the rig. \"over routed\" is what remains after subtracting " +
		"plain routing's figure.",
	"Kernel memory is the size of all slab objects, by /proc/slabinfo.",
	"Every UDP answer must come from the address and port that was asked.",
	"In flows every peer begins with none. In flows-steady 50,000 flows ask in turn, to one port of " +
		"100 addresses, and every peer ends a flow that has been idle for 250 ms, so that as many end " +
		"as begin; nofile bounds how long that may be.",
	"Round trips over a single conn are bimodal on few cores: they depend on which core wakes " +
		"which.",
}
