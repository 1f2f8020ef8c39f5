package text

import (
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// Screen is a terminal, or a file that gets one picture after the other.
type Screen struct {
	out      io.Writer
	terminal bool
	size     func() (rows, columns int)
}

// ScreenOf returns a terminal if out is one.
func ScreenOf(out io.Writer) Screen {
	s := Screen{out: out}
	file, ok := out.(interface{ Fd() uintptr })
	if !ok {
		return s
	}
	if _, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err != nil {
		return s
	}
	s.terminal = true
	s.size = func() (rows, columns int) {
		size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
		if err != nil || size.Row == 0 || size.Col == 0 {
			return 24, 80
		}
		return int(size.Row), int(size.Col)
	}
	return s
}

// Terminal reports whether it is a terminal.
func (s Screen) Terminal() bool { return s.terminal }

// Open switches the terminal to its alternate screen, and returns what switches back.
func (s Screen) Open() (leave func()) {
	if !s.terminal {
		return func() {}
	}
	io.WriteString(s.out, "\x1b[?1049h\x1b[?25l")
	return func() { io.WriteString(s.out, "\x1b[?25h\x1b[?1049l") }
}

// Show cuts the picture to the size of the terminal, and writes it over the one before.
func (s Screen) Show(text string) error {
	if !s.terminal {
		_, err := io.WriteString(s.out, text)
		return err
	}
	rows, columns := s.size()
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	var frame strings.Builder
	frame.WriteString("\x1b[H")
	for i, line := range lines[:min(len(lines), rows)] {
		if i > 0 {
			frame.WriteString("\r\n")
		}
		frame.WriteString(cut(line, columns) + "\x1b[K")
	}
	frame.WriteString("\x1b[J")
	_, err := io.WriteString(s.out, frame.String())
	return err
}

// cut is the first columns characters of line.
func cut(line string, columns int) string {
	if r := []rune(line); len(r) > columns {
		return string(r[:columns])
	}
	return line
}
