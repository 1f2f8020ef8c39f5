package push

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/fleet"
)

func TestParseStages(t *testing.T) {
	for list, want := range map[string]string{
		"1,10%,100%":   "1 10% 100%",
		" 1 , 100% ":   "1 100%",
		"100%":         "100%",
		"0.5%,10,100%": "0.5% 10 100%",
		"":             `"" is not a stage`,
		"1":            "the last stage must be 100%",
		"1,50%":        "the last stage must be 100%",
		"10%,1%,100%":  "1% does not come after 10%",
		"2,2,100%":     "2 does not come after 2",
		"0,100%":       `"0" is not a stage`,
		"101%":         `"101%" is not a stage`,
		"-1%,100%":     `"-1%" is not a stage`,
		"NaN%":         `"NaN%" is not a stage`,
		"all":          `"all" is not a stage: write a number of hosts such as 1, or a part such as 10%`,
		"100%,100%":    "100% does not come after 100%",
	} {
		stages, err := ParseStages(list)
		var got []string
		for _, s := range stages {
			got = append(got, s.Text)
		}
		if err == nil && strings.Join(got, " ") != want || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %q, %v; want %q", list, got, err, want)
		}
	}
	if _, err := ParseStages(DefaultStages); err != nil {
		t.Error(err)
	}
}

// TestSizes: parts are rounded up, each stage takes a host more, and nothing takes more than there are.
func TestSizes(t *testing.T) {
	for _, test := range []struct {
		list  string
		hosts int
		want  []int
	}{
		{DefaultStages, 1, []int{1, 1, 1}},
		{DefaultStages, 2, []int{1, 2, 2}},
		{DefaultStages, 3, []int{1, 2, 3}},
		{DefaultStages, 10, []int{1, 2, 10}},
		{DefaultStages, 11, []int{1, 2, 11}},
		{DefaultStages, 21, []int{1, 3, 21}},
		{DefaultStages, 1000, []int{1, 100, 1000}},
		{"0.1%,0.2%,100%", 300, []int{1, 2, 300}},
		{"5,10%,100%", 20, []int{5, 6, 20}},
	} {
		stages, err := ParseStages(test.list)
		if err != nil {
			t.Fatal(err)
		}
		before, got := 0, []int{}
		for _, s := range stages {
			before = s.size(test.hosts, before)
			got = append(got, before)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s of %d hosts: %v, want %v", test.list, test.hosts, got, test.want)
		}
	}
}

// TestOrder: a table meets the same hosts first whatever the order of the reports, another table meets others, and
// hosts that take no conns are last.
func TestOrder(t *testing.T) {
	var reports []fleet.Report
	for i := range 20 {
		reports = append(reports, fleet.Report{Host: fmt.Sprint("edge", i), Ready: i != 3, Draining: i == 7})
	}
	first := map[string]int{}
	for table := range 400 {
		hash := fleet.HashOf([]byte(fmt.Sprint(table)))
		hosts := order(hash, reports)
		again := slices.Clone(reports)
		slices.Reverse(again)
		if diff := cmp.Diff(hosts, order(hash, again)); diff != "" || len(hosts) != 20 {
			t.Fatal(diff)
		}
		if last := hosts[18:]; !slices.Contains(last, "edge3") || !slices.Contains(last, "edge7") {
			t.Errorf("hosts that take no conns are not last in %v", hosts)
		}
		first[hosts[0]]++
	}
	for host, n := range first {
		if n > 60 { // of 22 or so
			t.Errorf("%s is the first for %d of 400 tables", host, n)
		}
	}
	if len(first) != 18 {
		t.Errorf("%d hosts are ever the first, want 18", len(first))
	}
}

// TestChoose: hosts of the stage before stay, those that are gone are replaced.
func TestChoose(t *testing.T) {
	stages, _ := ParseStages("1,2,100%")
	one, _ := choose("t", nil, reports("a", "b", "c", "d"), stages[0])
	two, _ := choose("t", one, reports("a", "b", "c", "d"), stages[1])
	all, _ := choose("t", two, reports("a", "b", "c", "d", "e"), stages[2])
	if len(one) != 1 || len(two) != 2 || two[0] != one[0] || len(all) != 5 || !slices.Equal(all[:2], two) {
		t.Errorf("%v, %v, %v", one, two, all)
	}
	left := slices.DeleteFunc([]string{"a", "b", "c", "d"}, func(s string) bool { return s == one[0] })
	if two, _ := choose("t", one, reports(left...), stages[1]); len(two) != 2 || slices.Contains(two, one[0]) {
		t.Errorf("%v after %v is gone", two, one)
	}
}

// TestFirst: the first stage has the named hosts and no others, the next one at least one more.
func TestFirst(t *testing.T) {
	list, err := ParseStages(DefaultStages)
	if err != nil {
		t.Fatal(err)
	}
	stages, err := First(list, []string{"d", "b"})
	if err != nil {
		t.Fatal(err)
	}
	one, err := choose("t", nil, reports("a", "b", "c", "d"), stages[0])
	if err != nil || !slices.Equal(one, []string{"d", "b"}) || stages[0].Text != "d,b" {
		t.Errorf("%v, %v, stage %q", one, err, stages[0].Text)
	}
	if two, err := choose("t", one, reports("a", "b", "c", "d"), stages[1]); err != nil || len(two) != 3 || !slices.Equal(two[:2], one) {
		t.Errorf("%v, %v", two, err)
	}
	if _, err := choose("t", nil, reports("a", "b"), stages[0]); err == nil || !strings.HasPrefix(err.Error(), "d: no such host reports") {
		t.Errorf("a host that is not there: %v", err)
	}
	for _, hosts := range [][]string{{""}, {"a", "a"}, {"a", ""}} {
		if _, err := First(list, hosts); err == nil {
			t.Errorf("%q is a list of hosts", hosts)
		}
	}
	if _, err := First(list[2:], []string{"a"}); err == nil {
		t.Error("named hosts are the only stage")
	}
}

// reports are those of hosts that take conns.
func reports(names ...string) (all []fleet.Report) {
	for _, name := range names {
		all = append(all, fleet.Report{Host: name, Ready: true})
	}
	return all
}
