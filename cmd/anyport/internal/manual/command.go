package manual

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const exitStatus = `0 if it is done; 1 if it failed, with the reason on stderr; 2 for wrong usage. Some commands have
more, which their help names.`

// Command is anyport(8): root and its commands, as their help describes them.
func Command(root *cobra.Command, version string) string {
	p := begin("anyport", "8", version, firstLower(root.Short))
	p.section("SYNOPSIS")
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			p.WriteString(".br\n" + guard(escape(useLine(cmd))) + "\n")
		}
	}
	p.section("DESCRIPTION")
	p.text(root.Long)
	p.section("COMMANDS")
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			p.command(cmd)
		}
	}
	p.section("EXIT STATUS")
	p.text(exitStatus)
	p.section("FILES")
	p.item("/etc/anyport/anyport.toml", "The configuration, unless a command is given another one with -c.")
	p.item("/run/anyport/admin.sock", "The admin socket, which the commands ask.")
	p.section("EXAMPLES")
	p.example(root.Example)
	p.section("SEE ALSO")
	p.WriteString(".BR anyport.toml (5),\n.BR systemctl (1)\n")
	return p.String()
}

// command writes a command, and those below it.
func (p *page) command(cmd *cobra.Command) {
	p.subsection(useLine(cmd))
	p.text(cmd.Long)
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden && flag.Name != "help" {
			p.flag(flag)
		}
	})
	if cmd.Example != "" {
		p.example(cmd.Example)
	}
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() {
			p.command(below)
		}
	}
}

func (p *page) flag(flag *pflag.Flag) {
	value, usage := pflag.UnquoteUsage(flag)
	term := "--" + flag.Name
	if flag.Shorthand != "" {
		term = "-" + flag.Shorthand + ", " + term
	}
	if value != "" {
		term += " " + value
	}
	p.item(term, usage)
}

// useLine is the usage with the names of the commands above.
func useLine(cmd *cobra.Command) string {
	path := strings.TrimSuffix(cmd.CommandPath(), cmd.Name())
	return path + cmd.Use
}

// firstLower is a purpose as a NAME section has it: whatis(1) shows it behind a dash.
func firstLower(text string) string { return strings.ToLower(text[:1]) + text[1:] }
