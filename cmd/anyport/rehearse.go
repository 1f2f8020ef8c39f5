package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/doctor"
	"anyport/cmd/anyport/internal/shadow"
	"anyport/cmd/anyport/internal/systemd"
	"anyport/cmd/anyport/internal/text"
	"anyport/config"
)

// runShadow rehearses, and prints the result at the end.
func runShadow(cmd *cobra.Command, c *config.Config, signals <-chan os.Signal) error {
	return shadow.Run(cmd.Context(), shadow.Options{
		Config:   c,
		Version:  version(),
		Log:      cmd.ErrOrStderr(),
		Report:   func(s *admin.Status) error { return text.Shadow(cmd.OutOrStdout(), s) },
		Signals:  signals,
		Manager:  systemd.FromEnvironment(),
		Watchdog: systemd.Watchdog(),
		Drop:     true,
	})
}

// checkTakeover refuses to take the conns of another proxy without a word: the operator may think that its TPROXY
// rules win. If the rules cannot be read, it only says so: the packet filter's tools may be missing, and doctor is there to
// examine a host.
func checkTakeover(cmd *cobra.Command, c *config.Config) error {
	rules, err := doctor.TakenOver(cmd.Context(), c)
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "anyport: it is not known whether TPROXY rules of another proxy are there: %v\n", err)
	}
	if len(rules) == 0 {
		return nil
	}
	return fmt.Errorf("from its start anyport would take the new conns of another proxy: this socket match precedes its TPROXY rule, and asks the steering: %s\n"+
		"  the rule is: %s (%s in all)\n"+
		"  rehearse with: anyport run --shadow -c %[4]s\n"+
		"  start, and give all back unless confirmed, with: anyport run --confirm 60s -c %[4]s\n"+
		"  start all the same, as a service does, with: --confirm 0",
		rules[0].Diverted, rules[0].Text, text.Count(len(rules), "rule", "rules"), c.Path)
}
