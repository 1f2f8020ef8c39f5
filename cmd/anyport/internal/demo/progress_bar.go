package demo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/text"
)

const (
	barWidth = 14 // with it a line fits into 80 columns
	barPause = 100 * time.Millisecond
)

// follow draws the progress of s on a terminal until stop is called, which leaves the last line. If out
// is not a terminal, only the last line is written.
func follow(s *sweep, out io.Writer) (stop func()) {
	if !text.IsTerminal(out) {
		return func() { fmt.Fprintln(out, s.line()) }
	}
	done, drawn := make(chan struct{}), make(chan struct{})
	// The drawer is ended by stop.
	go func() {
		defer close(drawn)
		pause := time.NewTicker(barPause)
		defer pause.Stop()
		for {
			fmt.Fprintf(out, "\r%s", s.line())
			select {
			case <-pause.C:
			case <-done:
				fmt.Fprintf(out, "\r%s\n", s.line())
				return
			}
		}
	}()
	return func() {
		close(done)
		<-drawn
	}
}

// line is the state of the sweep: always of one width, so that it overwrites itself.
func (s *sweep) line() string {
	right, wrong, took := int(s.right.Load()), int(s.wrong.Load()), time.Since(s.begun).Seconds()
	asked := right + wrong
	return fmt.Sprintf("%s %-14s %s %6s right  %s wrong  %4.1f s  %6s/s",
		s.network, s.addr, bar(asked, s.ports()), thousands(right), thousands(wrong), took, thousands(int(float64(asked)/took)))
}

// bar fills barWidth in proportion. whole is never 0: a sweep has at least one port.
func bar(part, whole int) string {
	full := barWidth * part / whole
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// thousands writes 65535 as 65,535.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// indent puts the printed file apart from the text around it.
func indent(file string) string {
	var indented strings.Builder
	for line := range strings.Lines(file) {
		if line != "\n" {
			indented.WriteString("  ")
		}
		indented.WriteString(line)
	}
	return indented.String()
}
