package doctor

import (
	"fmt"

	"anyport/cmd/anyport/internal/text"
	"anyport/config"
)

// Status is how serious a finding is.
type Status string

// The statuses. With a Failure anyport would not work, or not for all that the
// file asks.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failure Status = "failure"
)

// Finding is what one check says. Keys may be added to its JSON, never renamed.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	What   string `json:"what"` // what was found
	Why    string `json:"why"`  // why it matters; "" with OK, as is Mend
	Mend   string `json:"mend"` // what to type, a command a line
}

// Report is what `anyport doctor --json` prints. Keys may be added, never renamed.
type Report struct {
	Works    bool      `json:"works"` // no failures
	Failures int       `json:"failures"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"`
}

// checks in the order of the report: first what is asked for, then whether the kernel can do it, then what on
// this host would get the packets instead, and last what only costs some clients. Of each name, Gather notes
// in Facts.Unread what it could not read. Scripts know the names: they do not change.
var checks = []struct {
	name    string
	examine func(*Facts) []Finding
}{
	{"file", checkFile},
	{"process", checkProcess},
	{"kernel", checkKernel},
	{"privileges", checkPrivileges},
	{"programs", checkPrograms},
	{"bpffs", checkBPFFS},
	{"killed", checkKilled},
	{"leftovers", checkLeftovers},
	{"nofile", checkFiles},
	{"ipv6", checkIPv6},
	{"routes", checkRoutes},
	{"neighbours", checkNeighbours},
	{"listeners", checkListeners},
	{"tproxy", checkTProxy},
	{"tproxy_leftovers", checkTProxyLeftovers},
	{"dnat", checkNAT},
	{"rp_filter", checkReversePath},
	{"transparent", checkTransparent},
	{"services", checkServices},
	{"tcp_syncookies", checkSYNCookies},
	{"somaxconn", checkBacklog},
	{"conntrack", checkConntrack},
	{"clock", checkClock},
	{"knock", checkKnock},
	{"fleet_source", checkSource},
	{"fast_path", checkFastPath},
	{"peers", checkPeers},
	{"announce", checkAnnounce},
}

// Examine judges the facts. It is pure: the same facts always make the same report.
func Examine(f *Facts) Report {
	report := Report{Works: true, Findings: []Finding{}}
	for _, check := range checks {
		for _, finding := range examine(f, check.name, check.examine) {
			finding.Check = check.name
			report.add(finding)
		}
	}
	return report
}

// examine runs a check, unless what it needs could not be read: then that is the finding.
func examine(f *Facts, name string, check func(*Facts) []Finding) []Finding {
	if err := f.Unread[name]; err != nil {
		return warn(f.asRoot(), "what was not examined may keep anyport from working", "not examined: %v", err)
	}
	return check(f)
}

// asRoot is the command that examines the same as root.
func (f *Facts) asRoot() string {
	command := "sudo " + f.Program + " doctor"
	if f.Path != "" && f.Path != config.DefaultPath {
		command += " -c " + f.Path
	}
	return command
}

// add counts and keeps a finding.
func (r *Report) add(f Finding) {
	switch f.Status {
	case Failure:
		r.Failures++
		r.Works = false
	case Warning:
		r.Warnings++
	}
	r.Findings = append(r.Findings, f)
}

// ok is a finding about something in order: it needs no reason and no remedy.
func ok(what string, args ...any) []Finding {
	return []Finding{{Status: OK, What: fmt.Sprintf(what, args...)}}
}

// warn is a finding that costs some clients or some features, with the commands that mend it.
func warn(mend, why, what string, args ...any) []Finding {
	return []Finding{{Status: Warning, What: fmt.Sprintf(what, args...), Why: why, Mend: mend}}
}

// fail is a finding that keeps anyport from working.
func fail(mend, why, what string, args ...any) []Finding {
	return []Finding{{Status: Failure, What: fmt.Sprintf(what, args...), Why: why, Mend: mend}}
}

// most is how many findings of one kind a report shows: a thousand findings hide the one that matters.
const most = 8

// each judges each of many things; if there are too many to show, the last finding says how many more.
func each[T any](all []T, judge func(T) []Finding) []Finding {
	var findings []Finding
	for i, one := range all {
		if i == most {
			last := &findings[len(findings)-1]
			last.What += fmt.Sprintf(" (and %s)", text.Count(len(all)-most, "more like it", "more like it"))
			break
		}
		findings = append(findings, judge(one)...)
	}
	return findings
}

// orOK is findings, or one that everything is in order.
func orOK(findings []Finding, what string, args ...any) []Finding {
	if len(findings) == 0 {
		return ok(what, args...)
	}
	return findings
}
