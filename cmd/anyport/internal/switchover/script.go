package switchover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Facts are what the steps depend on.
type Facts struct {
	File     string   // the config file of anyport
	Prefixes []string // that it serves
	Rules    []Rule   // TPROXY rules, in their order
	Diverts  []Rule   // socket matches, in their order
	First    bool     // a socket match precedes a TPROXY rule, so anyport has the new conns from its start on
	Drops    bool     // a TPROXY rule drops the SYNs if its proxy has ended: so does that of iptables, not that of nftables
	Policies []Policy
	Stays    bool     // some rules stay, for all of their packets or for other dsts: the old proxy has to run on
	NoTProxy bool     // the rules change the dst: REDIRECT, DNAT
	Ports    []uint32 // where the old proxy listens behind such rules
}

// Rule is a rule of a packet filter.
type Rule struct {
	Text    string
	Delete  []string // commands
	Restore []string
}

// Policy is a rule that routes by mark, and the routes of its table.
type Policy struct {
	Family string // "-4" or "-6", as ip has it
	Mark   string
	Table  int
	Routes []string // "local default dev lo"
}

// window is how long the operator has to look and to confirm; seconds is a little less than that.
const window, seconds = "10m", 590

// step is one number of the script.
type step struct {
	why      []string // lines
	commands []string
}

// Script returns the steps, and those back.
func Script(f Facts) string {
	f.File = cmp.Or(f.File, "/etc/anyport/anyport.toml")
	var b strings.Builder
	fmt.Fprintf(&b, "# The steps to replace the proxy behind %s by anyport. None of them was run: type them\n"+
		"# one by one, as root. HANDLE stands for a number that the line before prints.\n"+
		"# Rules that iptables-legacy has made need its command: iptables-legacy, ip6tables-legacy.\n", count(len(f.Rules), f.kind()))
	write(&b, "", f.there())
	b.WriteString("\n# Back, as long as the old proxy still runs (before step 7):\n")
	write(&b, "B", f.backEarly())
	b.WriteString("\n# Back, later: start the old proxy first. Then:\n")
	write(&b, "C", f.backLate())
	return b.String()
}

func write(b *strings.Builder, letter string, steps []step) {
	for i, s := range steps {
		lead := fmt.Sprintf("# %s%d. ", letter, i+1)
		fmt.Fprintf(b, "\n%s%s\n", lead, strings.Join(s.why, "\n#"+strings.Repeat(" ", len(lead)-1)))
		for _, c := range s.commands {
			fmt.Fprintln(b, c)
		}
	}
}

// there are the steps from the old proxy to anyport. What can be given back by anyport alone is confirmed before the
// rules are deleted: anyport cannot put them back.
func (f Facts) there() []step {
	look := step{[]string{"In another terminal: look, try it from outside, and confirm before the time is over."},
		[]string{f.anyport("status"), f.anyport("confirm")}}
	middle := []step{look, f.deleteRules()}
	if !f.First {
		look.commands = append(look.commands, "kill $UNDO")
		middle = []step{f.deleteRules(), look}
	}
	return slices.Concat([]step{
		{[]string{"Is the file right, and can this host run it?"}, []string{f.anyport("check"), f.anyport("doctor")}},
		{[]string{"Rehearse beside the old proxy for as long as you like. Nothing is steered. Ctrl-C ends it and",
			"prints where anyport would do something else."}, []string{f.anyport("run --shadow")}},
		f.start(),
	}, middle, []step{
		{[]string{"Conns of the old proxy stay with it. It has none left when this prints nothing."}, []string{f.oldConns()}},
		f.stopOld(),
		{[]string{"Remove what nobody needs any more. Then doctor has nothing to say about TPROXY."}, append(f.leftovers(), f.anyport("doctor"))},
		{[]string{f.change() + " the file that brings them back at the next boot, such as", "/etc/iptables/rules.v4 or /etc/nftables.conf, and have anyport start there:",
			"see docs/how-to/service.md."}, nil},
	})
}

func (f Facts) stopOld() step {
	if f.Stays {
		return step{[]string{"Leave the old proxy running: rules that stay bring it packets."}, nil}
	}
	return step{[]string{"Stop the old proxy, and keep it from starting again."}, []string{"# systemctl disable --now ITS-SERVICE"}}
}

// change is what to do to the file of the packet filter's rules.
func (f Facts) change() string {
	if f.Stays {
		return "Change the rules in the same way in"
	}
	return "Remove the rules from"
}

// start says who has the new conns while both run.
func (f Facts) start() step {
	why := []string{"Start anyport. The " + f.kind() + "s win: nothing changes yet."}
	if f.First {
		why = []string{"Start anyport. A socket match precedes the TPROXY rules and asks anyport first, so anyport has",
			"the new conns FROM NOW ON."}
	}
	why = append(why, "Unless you confirm in "+window+", it gives everything back and ends.")
	return step{why, []string{f.anyport("run --confirm " + window)}}
}

// deleteRules comes before the end of the old proxy, whatever the rules do then: nftables lets the next SYN
// through to anyport, but iptables drops it.
func (f Facts) deleteRules() step {
	why := []string{"In another terminal: delete the rules. New conns and all UDP datagrams go to anyport from now on.",
		"Conns of the old proxy go on: anyport keeps the prefixes local."}
	if f.Stays {
		why[0] = "In another terminal: change the rules. New conns and all UDP datagrams go to anyport from now on."
	}
	if f.Drops {
		why = append(why, "The old proxy must run until then: a "+f.afterwards())
	}
	all := commands(f.Rules, func(r Rule) []string { return r.Delete })
	if !f.First {
		why = append(why, "The first line puts the rules back when the time is over, as anyport gives back the rest.")
		all = append([]string{fmt.Sprintf("( sleep %d && %s ) & UNDO=$!", seconds, strings.Join(commands(f.Rules, func(r Rule) []string { return r.Restore }), " && "))}, all...)
	}
	return step{why, all}
}

// kind names the rules.
func (f Facts) kind() string {
	if f.NoTProxy {
		return "rule"
	}
	return "TPROXY rule"
}

// afterwards says what the rules do if their proxy has ended.
func (f Facts) afterwards() string {
	if f.NoTProxy {
		return "rule that changes the dst leads nowhere then."
	}
	return "rule of iptables whose proxy has ended drops SYNs."
}

// oldConns lists the conns to served addresses that another process than anyport has. Those that came by REDIRECT have
// the port of the old proxy, and an address of the interface.
func (f Facts) oldConns() string {
	var from []string
	for _, port := range f.Ports {
		from = append(from, fmt.Sprintf("sport = :%d", port))
	}
	for _, p := range f.Prefixes {
		from = append(from, "src "+p)
	}
	return fmt.Sprintf("ss -Htnp state established '( %s )' | grep -v '\"anyport\"'", strings.Join(from, " or "))
}

// leftovers are the commands for everything but the TPROXY rules: those that lead somewhere before what they lead to.
func (f Facts) leftovers() (all []string) {
	all = commands(f.Diverts, func(r Rule) []string { return r.Delete })
	for _, p := range f.Policies {
		all = append(all, fmt.Sprintf("ip %s rule del fwmark %s lookup %d", p.Family, p.Mark, p.Table), fmt.Sprintf("ip %s route flush table %d", p.Family, p.Table))
	}
	return all
}

// backEarly is the way back while the old proxy has everything that it needs.
func (f Facts) backEarly() []step {
	return []step{
		{[]string{"Put the rules back, in this order. The old proxy has the new conns again; those of anyport go on."},
			commands(f.Rules, func(r Rule) []string { return r.Restore })},
		{[]string{"Stop anyport: Ctrl-C in its terminal, once. Its conns have their drain_timeout."}, nil},
	}
}

// backLate puts back what step 8 has removed: what others refer to first.
func (f Facts) backLate() []step {
	var routing []string
	for _, p := range f.Policies {
		for _, r := range p.Routes {
			routing = append(routing, fmt.Sprintf("ip %s route add %s table %d", p.Family, r, p.Table))
		}
		routing = append(routing, fmt.Sprintf("ip %s rule add fwmark %s lookup %d", p.Family, p.Mark, p.Table))
	}
	return []step{
		{[]string{"The routing by mark."}, routing},
		{[]string{"The socket matches and the rules, in this order."}, commands(slices.Concat(f.Diverts, f.Rules), func(r Rule) []string { return r.Restore })},
		{[]string{"Stop anyport."}, nil},
	}
}

func (f Facts) anyport(command string) string {
	return fmt.Sprintf("anyport %s -c %s", command, f.File)
}

func commands(rules []Rule, of func(Rule) []string) (all []string) {
	for _, r := range rules {
		all = append(all, of(r)...)
	}
	return all
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
