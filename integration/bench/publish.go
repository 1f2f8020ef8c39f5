package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"anyport/integration/bench/peer"
	"anyport/integration/bench/report"
)

// drawn are the scenarios of the drawing, their titles, and the variants of anyport to draw:
// anyport with two workers is drawn beside nginx with two.
var drawn = []struct {
	name, title string
	variants    []string
}{
	{"connect", "TCP: new conns", nil},
	{"download-16", "TCP: bulk, 16 conns", nil},
	{"pingpong-64", "TCP: round trips, 64 conns", nil},
	{"idle", "TCP: memory of an idle conn", nil},
	{"echo-1000", "UDP: echo of 64 bytes, 1,000 flows", []string{"anyport-2", "anyport-spp"}},
	{"flows", "UDP: new flows", []string{"anyport-2", "anyport-spp"}},
}

// publish prints the tables, and writes the files that the options name.
func (o options) publish(measured report.Samples) error {
	var sections []report.Section
	for _, s := range chosen(o) {
		sections = append(sections, s.section())
	}
	if o.samples != "" {
		b, err := json.Marshal(measured)
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.samples, b, 0o644); err != nil {
			return err
		}
	}
	if err := write(o.markdown, measured.Markdown(sections, notes())); err != nil {
		return err
	}
	if err := o.publishAgain(measured, sections); err != nil {
		return err
	}
	if err := write(o.svg, measured.SVG(drawing(sections))); err != nil {
		return err
	}
	return measured.Text(os.Stdout, sections)
}

// publishAgain changes the sections of the page that were measured.
func (o options) publishAgain(measured report.Samples, sections []report.Section) error {
	if o.again == "" {
		return nil
	}
	before, err := os.ReadFile(o.again)
	if err != nil {
		return err
	}
	page, err := measured.Again(string(before), sections)
	if err != nil {
		return fmt.Errorf("%s: %w", o.again, err)
	}
	return write(o.again, page)
}

// write writes a file, if it has a name.
func write(path, text string) error {
	if path == "" {
		return nil
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func notes() (all [][2]string) {
	for _, p := range peer.All {
		all = append(all, [2]string{p.Name, p.Note})
	}
	return all
}

// drawing are the sections to draw, with short titles.
func drawing(sections []report.Section) (all []report.Section) {
	for _, d := range drawn {
		i := slices.IndexFunc(sections, func(s report.Section) bool { return s.Name == d.name })
		if i >= 0 {
			section := sections[i]
			section.Title = d.title
			section.Peers = slices.DeleteFunc(slices.Clone(section.Peers), func(peer string) bool {
				return strings.HasPrefix(peer, "anyport-") && !slices.Contains(d.variants, peer)
			})
			all = append(all, section)
		}
	}
	return all
}
