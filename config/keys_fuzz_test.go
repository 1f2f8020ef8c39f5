package config

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"anyport/config/position"
)

// readLiteral reads literal as the value of k, as it stands in a file. The report is full, so
// that no time is spent on the search for what was meant.
func readLiteral[S any](k key[S], to *S, literal string) Problems {
	name := k.name[strings.LastIndex(k.name, ".")+1:]
	text := name + " = " + literal + "\n"
	values := map[string]any{}
	if _, err := toml.Decode(text, &values); err != nil {
		return Problems{{Text: err.Error()}}
	}
	rep := newReport("x", position.NewDocument(text), position.Scan(text))
	rep.problems, rep.spans = make(Problems, maxCures), make([]position.Span, maxCures)
	k.read(newTable(rep, "", "", "", "", values), to)
	return rep.problems[maxCures:]
}

// A roundTrip reads a literal of one key, writes what was read, and reads that.
type roundTrip struct {
	name string
	try  func(literal string) (accepted bool, err error)
}

func roundTripOf[S any](section section[S], k key[S]) roundTrip {
	return roundTrip{section.kind + "." + k.name, func(literal string) (bool, error) {
		first := section.defaults
		if problems := readLiteral(k, &first, literal); len(problems) > 0 {
			return false, nil
		}
		printed, second := k.print(&first), section.defaults
		if problems := readLiteral(k, &second, printed); len(problems) > 0 {
			return true, fmt.Errorf("%s is written as %s, which is refused: %v", literal, printed, problems)
		}
		if again := k.print(&second); again != printed {
			return true, fmt.Errorf("%s is written as %s, and that as %s", literal, printed, again)
		}
		return true, nil
	}}
}

// roundTrips are those of all keys that have a value.
func roundTrips() (all []roundTrip) {
	add := func(trips ...roundTrip) { all = append(all, trips...) }
	for _, k := range listenSection.keys {
		add(roundTripOf(listenSection, k))
	}
	for _, k := range steeringSection.keys {
		add(roundTripOf(steeringSection, k))
	}
	for _, k := range adminSection.keys {
		add(roundTripOf(adminSection, k))
	}
	for _, k := range logSection.keys {
		add(roundTripOf(logSection, k))
	}
	for _, k := range fleetSection.keys {
		add(roundTripOf(fleetSection, k))
	}
	for _, k := range announceSection.keys {
		add(roundTripOf(announceSection, k))
	}
	for _, k := range knockSection.keys {
		add(roundTripOf(knockSection, k))
	}
	for _, k := range defaultsSection.keys {
		add(roundTripOf(defaultsSection, k))
	}
	for _, k := range routeSection.keys {
		add(roundTripOf(routeSection, k))
	}
	for _, k := range healthSection.keys {
		add(roundTripOf(healthSection, k))
	}
	return all
}

// literalsOf are those of the key's case.
func literalsOf(trip roundTrip) (literals []string) {
	for _, c := range append(append([]keyCase{}, sectionCases...), routeCases...) {
		if trip.name == c.key || strings.HasSuffix(trip.name, "."+c.key) {
			literals = append(literals, c.first, c.other, c.bad, c.old)
		}
	}
	return literals
}

// FuzzKeys wants of every key that what it prints is what it reads.
func FuzzKeys(f *testing.F) {
	trips := roundTrips()
	for i, trip := range trips {
		for _, literal := range literalsOf(trip) {
			f.Add(uint8(i), literal)
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, literal string) {
		trip := trips[int(i)%len(trips)]
		if strings.ContainsAny(literal, "\n\r") { // would be further lines
			return
		}
		if _, err := trip.try(literal); err != nil {
			t.Errorf("%s: %v", trip.name, err)
		}
	})
}

// TestRoundTrips is FuzzKeys with values of all kinds, until each key has taken some.
func TestRoundTrips(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 9))
	for _, trip := range roundTrips() {
		taken := map[string]bool{}
		own := literalsOf(trip)
		for tries := 0; tries < 500 || len(taken) < 2 && tries < 5000; tries++ { // some keys take few of these values
			literal := randomLiteral(random)
			if len(own) > 0 && random.IntN(8) == 0 {
				literal = own[random.IntN(len(own))]
			}
			accepted, err := trip.try(literal)
			if err != nil {
				t.Fatalf("%s: %v", trip.name, err)
			}
			if accepted {
				taken[literal] = true
			}
		}
		if len(taken) < 2 {
			t.Errorf("%s: took only %v", trip.name, taken)
		}
	}
}

// randomLiteral is a value of any kind that a key may have, or nearly.
func randomLiteral(random *rand.Rand) string {
	one := func() string { return randomElement(random) }
	if random.IntN(2) == 0 {
		return one()
	}
	all := make([]string, random.IntN(4))
	for i := range all {
		all[i] = one()
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func randomElement(random *rand.Rand) string {
	words := []string{"auto", "all", "reflectors", "tcp", "udp", "refuse", "drop", "pass", "forward", "round_robin", "least_conn", "random", "source_hash",
		"first", "http", "tls", "off", "v1", "v2", "v2-first", "spp", "debug", "info", "warn", "error", "text", "json", "stderr", "/a/b", "/sys/fs/bpf/x", "a.example",
		"127.0.0.1:80", "", "10.0.0.5", "[2001:db8::5]:80", "2001:db8::5", "a\\u007fb/c", "/\\u00e9"}
	units := []string{"ms", "s", "m", "h", "B", "KiB", "MiB", "B/s", "KiB/s", "MB/s"}
	switch random.IntN(8) {
	case 0:
		return fmt.Sprint(random.IntN(2 << random.IntN(17)))
	case 1:
		return fmt.Sprint(random.IntN(2) == 0)
	case 2:
		return fmt.Sprintf(`"%d%s"`, random.IntN(200), units[random.IntN(len(units))])
	case 3:
		first := 1 + random.IntN(1000)
		return fmt.Sprintf(`"%d-%d"`, first, first+random.IntN(100))
	case 4:
		bits := random.IntN(33)
		address := random.Uint32() >> (32 - bits) << (32 - bits)
		return fmt.Sprintf(`"%d.%d.%d.%d/%d"`, address>>24, address>>16&255, address>>8&255, address&255, bits)
	case 5:
		return fmt.Sprintf(`{ address = "10.0.0.%d", weight = %d, backup = %t }`, random.IntN(256), random.IntN(9), random.IntN(2) == 0)
	}
	return `"` + words[random.IntN(len(words))] + `"`
}
