package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/daemon"
	"anyport/cmd/anyport/internal/doctor"
	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/lasttable"
	"anyport/config"
	"anyport/steering/table"
)

// newExplain has two sources for its answer: the file of -c, or the running process.
func newExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [-c FILE | --socket PATH] PROTO DST [--from SRC] [--at TIME]",
		Short: "Say which route takes a dst, to which origin, and why",
		Long: `Say what happens to the first packet to DST (an address and port) over PROTO (tcp or udp):
the verdict, the route that takes it, the origins it may go to, and for each rule that was
considered why it won or lost. No packet is sent.

With -c the answer is that of the file; with a [fleet] source it is from the last table
that was in service on this host, if there is one, and the answer names it. Without -c it
is that of the running anyport, which says how the origins stand (down, ejected, full, ...),
and what that leads to; it also asks its program in the kernel, and says whether its file
on disk would answer differently. For root it adds the DNAT rules of this host that change
the dst first.

The verdict is one of steer, refuse, drop, pass, socket, deny and inactive. Whether a route
denies a client is only known with --from. With --at the answer is that of another time, by
the hours in active: then the kernel is not asked, and the origins stand as they do now.`,
		Example: `  anyport explain tcp 192.0.2.7:4711
  anyport explain -c anyport.toml udp '[2001:db8:1::7]:53' --from 198.51.100.9
  anyport explain tcp 192.0.2.7:4711 --at 2026-12-24T18:00:00+01:00`,
		Args:              explainArgs,
		ValidArgsFunction: completeProtocol,
	}
	ask := clientFlags(cmd)
	from := cmd.Flags().String("from", "", "the client's address, `SRC`")
	at := cmd.Flags().String("at", "", "another time than now, `TIME` in RFC 3339, such as 2026-12-24T18:00:00Z")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := refuseEmpty(cmd, "from", "name an address, or leave it out"); err != nil {
			return err
		}
		if err := refuseEmpty(cmd, "at", "name a time, or leave it out"); err != nil {
			return err
		}
		q, err := parseQuestion(args[0], args[1], *from)
		if err == nil {
			q.At, err = parseTime(*at)
		}
		if err == nil {
			err = checkWhere(cmd) // with -c nothing is asked, so the check of ask comes too late
		}
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("config") {
			return explainFile(cmd, q)
		}
		client, err := ask()
		if err != nil {
			return err
		}
		return explainLive(cmd, client, q)
	}
	return cmd
}

// explainFile answers from a file, without a running anyport.
func explainFile(cmd *cobra.Command, q admin.Question) error {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return err
	}
	c, err := loadOrStdin(cmd, path)
	if err != nil {
		return err
	}
	c, from, err := withLastTable(c)
	if err != nil {
		return err
	}
	compiled, err := table.Compile(c)
	if err != nil {
		return err
	}
	answer := compiled.ExplainAt(q.Protocol, q.Dst, q.Client, cmp.Or(q.At, time.Now()))
	if len(answer.Origins) > 0 {
		answer.Because = append(answer.Because, "origins: the file does not say which of them are up; without -c the running anyport does")
	}
	if answer.Verdict != table.Pass {
		answer.Notes = append(answer.Notes, translated(cmd, q)...)
	}
	fmt.Fprint(cmd.OutOrStdout(), answer)
	if from != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "table: %s\n", from)
	}
	return nil
}

// withLastTable is a file with the last table that was in service with it on this host, if its routes come from a
// source; from says which routes the answer is from, "" for a file without a source. The source is not asked: an answer
// about a file must not wait for a network.
func withLastTable(c *config.Config) (with *config.Config, from string, err error) {
	if !c.FromSource() {
		return c, "", nil
	}
	directory := stateDirectory("", false)
	text, err := lasttable.Read(directory, c.Path)
	switch {
	case err == nil && text == nil:
		return c, fmt.Sprintf("the answer is from the routes of the file itself, which anyport run does not serve: no table of %s was in service here", c.Fleet.Source), nil
	case err != nil:
		return c, fmt.Sprintf("the answer is from the routes of the file itself, which anyport run does not serve: %v", err), nil
	}
	hash := fleet.HashOf(text).Short()
	with, err = daemon.WithTable(c, text)
	return with, fmt.Sprintf("the answer is from table %s of %s, the last one that was in service with this file", hash, c.Fleet.Source), err
}

// translated names the rules of this host's packet filters that change the dst before the steering
// sees it. Only root can list them; for other users doctor says what it needs.
func translated(cmd *cobra.Command, q admin.Question) []string {
	if os.Geteuid() != 0 {
		return nil
	}
	lines, _ := doctor.Translated(cmd.Context(), q.Protocol, q.Dst)
	return lines
}

// explainLive asks the running anyport. DNAT rules are listed here, where root is: the process that serves
// may not list them.
func explainLive(cmd *cobra.Command, client admin.Client, q admin.Question) error {
	e, err := client.Explain(cmd.Context(), q)
	if errors.Is(err, admin.ErrNobody) {
		return fmt.Errorf("%w; with -c FILE the answer is the file's", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), e.Text)
	for _, line := range e.Kernel {
		fmt.Fprintf(cmd.OutOrStdout(), "kernel: %s\n", line)
	}
	if sharesNetwork(e.PID) {
		for _, line := range translated(cmd, q) {
			fmt.Fprintf(cmd.OutOrStdout(), "kernel: but %s\n", line)
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "file: %s\n", e.File)
	return nil
}

// sharesNetwork reports whether a process is in the network namespace of this one: only then do rules
// that this one can list concern it.
func sharesNetwork(pid int) bool {
	own, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return false
	}
	its, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
	return err == nil && os.SameFile(own, its)
}

// parseQuestion reads the words of the command line; what is wrong with them is wrong usage.
func parseQuestion(protocol, dst, client string) (q admin.Question, err error) {
	switch protocol {
	case "tcp":
		q.Protocol = config.TCP
	case "udp":
		q.Protocol = config.UDP
	default:
		return q, usagef("PROTO %q: it must be tcp or udp", protocol)
	}
	if q.Dst, err = netip.ParseAddrPort(dst); err != nil || q.Dst.Port() == 0 {
		return q, usagef("DST %q: it must be an address and a port from 1 to 65535, such as 192.0.2.7:80 or [2001:db8:1::7]:80", dst)
	}
	if client == "" {
		return q, nil
	}
	if q.Client, err = netip.ParseAddr(client); err != nil {
		return q, usagef("--from %q: it must be an address, such as 198.51.100.9 or 2001:db8:9::9", client)
	}
	return q, nil
}

// parseTime reads --at; "" is now.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usagef("--at %q: it must be a time with a zone as RFC 3339 has it, such as 2026-12-24T18:00:00+01:00", text)
	}
	return at, nil
}

// explainArgs wants PROTO and DST.
func explainArgs(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return usagef("explain takes two arguments, PROTO and DST, such as: tcp 192.0.2.7:80")
	}
	return nil
}

// completeProtocol offers the shell the protocols for the first word.
func completeProtocol(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"tcp", "udp"}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
