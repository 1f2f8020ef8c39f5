package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"anyport/integration/bench/load"
	"anyport/integration/bench/peer"
)

func main() {
	err := role(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// role is what this process is: the bench itself, or what it starts in a namespace.
func role(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "client":
		return client(os.Stdin, os.Stdout)
	case len(args) == 3 && args[0] == "origin":
		return withAddress(args[1], func(a netip.Addr) error { return load.Origin(a, args[2] == "v2") })
	case len(args) == 3 && args[0] == "proxy":
		return withAddress(args[2], func(a netip.Addr) error { return peer.Proxy(args[1], a) })
	}
	options, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return bench(ctx, options)
}

// withAddress runs a role whose argument is an address.
func withAddress(text string, run func(netip.Addr) error) error {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return err
	}
	return run(address)
}

// options are the command line.
type options struct {
	protocol string // tcp | udp | all
	runs     int    // samples of each peer in each scenario
	measure  time.Duration
	only     string // scenarios, by a regular expression
	peers    string // by name; "" = all
	binary   string // of anyport
	samples  string // file to write them to
	render   string // file to read them from, in place of measuring
	markdown string // files to publish to
	svg      string
	again    string // a page whose sections of the measured scenarios are replaced
}

// parse reads the command line.
func parse(args []string) (options, error) {
	o := options{protocol: "all"}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	seconds := set.Float64("seconds", 2, "measured `seconds` of a sample; below 1, what is counted shrinks too")
	set.IntVar(&o.runs, "runs", 5, "`samples` of each peer in each scenario")
	set.StringVar(&o.only, "only", "", "only these scenarios, by `name`, with commas between them")
	set.StringVar(&o.peers, "peers", "", "only these peers, by `name`, with commas between them")
	set.StringVar(&o.binary, "binary", "", "the anyport to measure; built if there is none")
	set.StringVar(&o.samples, "samples", "", "write every sample to this `file`, as JSON")
	set.StringVar(&o.render, "render", "", "measure nothing, read the samples from this `file`")
	set.StringVar(&o.markdown, "markdown", "", "write the report to this `file`")
	set.StringVar(&o.again, "again", "", "put the tables into this `page` that -markdown has written before, in the place of those there")
	set.StringVar(&o.svg, "svg", "", "draw the report into this `file`")
	set.Usage = func() { usage(set) }
	if err := set.Parse(args); err != nil {
		return o, err
	}
	o.measure = time.Duration(*seconds * float64(time.Second))
	if set.NArg() > 0 {
		o.protocol = set.Arg(0)
	}
	switch {
	case set.NArg() > 1:
		return o, fmt.Errorf("%q: flags stand before tcp, udp or all", set.Arg(1))
	case o.protocol != "tcp" && o.protocol != "udp" && o.protocol != "all":
		return o, fmt.Errorf("%q: tcp, udp or all", o.protocol)
	case o.runs < 1 || o.measure <= 0:
		return o, fmt.Errorf("-runs and -seconds must be more than 0")
	}
	return o, nil
}

func usage(set *flag.FlagSet) {
	out := set.Output()
	io.WriteString(out, "usage: bench [flags] [tcp|udp|all]\n\nscenarios:\n")
	for _, s := range scenarios {
		fmt.Fprintf(out, "  %-16s %s\n", s.Name, s.Title)
	}
	io.WriteString(out, "\npeers:\n")
	for _, p := range peer.All {
		fmt.Fprintf(out, "  %-16s %s\n", p.Name, p.Note)
	}
	io.WriteString(out, "\nflags:\n")
	set.PrintDefaults()
}
