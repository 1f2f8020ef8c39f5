package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"anyport/config"
)

func newExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [-c FILE] PROTO DST [--from SRC]",
		Short: "Say which route takes a dst, to which origin, and why",
		Long: `Say what becomes of the first packet to DST (an address and port) over PROTO (tcp or
udp): the verdict, the route that took it, the origins it may go to, and for each rule
that was considered why it won or lost. The answer is the file's; no packet is sent.

The verdict is one of steer, refuse, drop, pass, and deny. Whether a route denies a
client is known with --from alone.`,
		Example: `  anyport explain -c anyport.toml tcp 192.0.2.7:4711
  anyport explain -c anyport.toml udp '[2001:db8:1::7]:53' --from 198.51.100.9`,
		Args:              explainArgs,
		ValidArgsFunction: completeProtocol,
	}
	path := fileFlag(cmd)
	from := cmd.Flags().String("from", "", "the client's address, `SRC`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q, err := parseQuestion(args[0], args[1], *from)
		if err != nil {
			return err
		}
		_, table, err := compile(*path)
		if err != nil {
			return err
		}
		fmt.Fprint(cmd.OutOrStdout(), table.Explain(q.protocol, q.dst, q.client))
		return nil
	}
	return cmd
}

// question is what explain is asked.
type question struct {
	protocol config.Protocol
	dst      netip.AddrPort
	client   netip.Addr // the zero value: not said
}

func parseQuestion(protocol, dst, client string) (q question, err error) {
	switch protocol {
	case "tcp":
		q.protocol = config.TCP
	case "udp":
		q.protocol = config.UDP
	default:
		return q, usagef("PROTO %q: it must be tcp or udp", protocol)
	}
	if q.dst, err = netip.ParseAddrPort(dst); err != nil || q.dst.Port() == 0 {
		return q, usagef("DST %q: it must be an address and a port from 1 to 65535, such as 192.0.2.7:80 or [2001:db8:1::7]:80", dst)
	}
	if client == "" {
		return q, nil
	}
	if q.client, err = netip.ParseAddr(client); err != nil {
		return q, usagef("--from %q: it must be an address, such as 198.51.100.9 or 2001:db8:9::9", client)
	}
	return q, nil
}

func explainArgs(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return usagef("explain takes two arguments, PROTO and DST, such as: tcp 192.0.2.7:80")
	}
	return nil
}

func completeProtocol(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"tcp", "udp"}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
