package push

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/fleet"
)

// Stage is how much of the fleet takes a table: a number of hosts, or a part of all. How many hosts that are is
// only known when the stage begins: hosts come and go during a push.
type Stage struct {
	Text    string // as it was typed
	number  int
	percent float64  // above 0: instead of number
	first   []string // of a first stage: these hosts instead of number
}

// DefaultStages are those of a push that names none.
const DefaultStages = "1,10%,100%"

// ParseStages reads a list such as "1,10%,100%". The last stage is always the whole fleet.
func ParseStages(list string) (stages []Stage, err error) {
	for text := range strings.SplitSeq(list, ",") {
		stage, err := parseStage(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if len(stages) > 0 && !stage.mayFollow(stages[len(stages)-1]) {
			return nil, fmt.Errorf("%s does not come after %s: write the smaller stage first", stage.Text, stages[len(stages)-1].Text)
		}
		stages = append(stages, stage)
	}
	if stages[len(stages)-1].percent != 100 {
		return nil, errors.New("the last stage must be 100%, or the hosts would stay on two tables")
	}
	return stages, nil
}

// First makes a list of hosts the first of some stages.
func First(stages []Stage, hosts []string) ([]Stage, error) {
	if len(stages) == 1 {
		return nil, errors.New("there is only one stage, which all hosts are in: name a stage before it")
	}
	first := Stage{Text: strings.Join(hosts, ",")}
	for _, host := range hosts {
		if host == "" || slices.Contains(first.first, host) {
			return nil, fmt.Errorf("%q is not a list of hosts such as edge1,edge2", first.Text)
		}
		first.first = append(first.first, host)
	}
	return append([]Stage{first}, stages[1:]...), nil
}

// parseStage reads one stage.
func parseStage(text string) (Stage, error) {
	stage := Stage{Text: text}
	var err error
	if digits, ok := strings.CutSuffix(text, "%"); ok {
		stage.percent, err = strconv.ParseFloat(digits, 64)
		if err == nil && stage.percent > 0 && stage.percent <= 100 {
			return stage, nil
		}
	} else if stage.number, err = strconv.Atoi(text); err == nil && stage.number > 0 {
		return stage, nil
	}
	return stage, fmt.Errorf("%q is not a stage: write a number of hosts such as 1, or a part such as 10%%", text)
}

// mayFollow reports whether the stage can be the larger one: of a number and a part, only the fleet decides.
func (s Stage) mayFollow(before Stage) bool {
	switch {
	case s.percent > 0 && before.percent > 0:
		return s.percent > before.percent
	case s.percent == 0 && before.percent == 0:
		return s.number > before.number
	}
	return true
}

// size is how many of all hosts the stage takes, before the stage with fewer: a part is rounded up, and each
// stage takes at least one more host than the one before.
func (s Stage) size(hosts, before int) int {
	n := s.number
	if s.percent > 0 {
		n = int(s.percent * float64(hosts) / 100)
		if float64(n) < s.percent*float64(hosts)/100 {
			n++
		}
	}
	return min(max(n, before+1), hosts)
}

// order is the order in which hosts take a table. It depends on the table and on the names: each
// table meets another host first, and a table that is tried again meets the same one, so that a bad table does
// not get from host to host. Hosts that take no conns come last, because they would show nothing.
func order(table fleet.Hash, reports []fleet.Report) (hosts []string) {
	rank := func(r fleet.Report) string {
		sum := sha256.Sum256([]byte(string(table) + "/" + r.Host))
		return string(sum[:])
	}
	sorted := slices.Clone(reports)
	slices.SortFunc(sorted, func(a, b fleet.Report) int {
		return cmp.Or(cmp.Compare(idle(a), idle(b)), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Host, b.Host))
	})
	for _, r := range sorted {
		hosts = append(hosts, r.Host)
	}
	return hosts
}

// idle is 1 for a host that takes no new conns, else 0: a key to sort by.
func idle(r fleet.Report) int {
	if r.Ready && !r.Draining {
		return 0
	}
	return 1
}

// choose returns the hosts of a stage: those of the stage before that are still there, and others in their order.
func choose(table fleet.Hash, before []string, reports []fleet.Report, stage Stage) ([]string, error) {
	all := order(table, reports)
	if missing := without(stage.first, all); len(missing) > 0 {
		return nil, fmt.Errorf("%s: no such host reports to this source: see anyport fleet", listed(missing))
	}
	if stage.first != nil {
		return stage.first, nil
	}
	hosts := slices.DeleteFunc(slices.Clone(before), func(host string) bool { return !slices.Contains(all, host) })
	size := stage.size(len(all), len(hosts))
	for _, host := range all {
		if len(hosts) < size && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}
