package top

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/text"
)

// terminal is the terminal while the program has it: keys come one by one and are not echoed, and the screen is
// the alternate one.
type terminal struct {
	in, out *os.File
	before  *unix.Termios
}

// openTerminal takes the terminal. The caller owes one close.
func openTerminal(in, out *os.File) (*terminal, error) {
	before, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("the terminal has no settings: %w", err)
	}
	raw := *before
	raw.Iflag &^= unix.ICRNL | unix.IXON
	raw.Lflag &^= unix.ECHO | unix.ICANON | unix.IEXTEN | unix.ISIG // Ctrl-C is a key; Ctrl-Z would leave the shell this screen
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, &raw); err != nil {
		return nil, fmt.Errorf("the terminal keeps its settings: %w", err)
	}
	t := &terminal{in, out, before}
	out.WriteString("\x1b[?1049h\x1b[?25l\x1b[?7l")
	return t, nil
}

// close gives the terminal back as it was.
func (t *terminal) close() {
	t.out.WriteString("\x1b[?7h\x1b[?25h\x1b[?1049l")
	_ = unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETSW, t.before) // fails if the terminal is gone
}

// size is that of the screen, or what is usual if the terminal does not say.
func (t *terminal) size() (rows, columns int) {
	if rows, columns = text.SizeOf(t.out); rows == 0 {
		return 24, 80
	}
	return rows, columns
}

// show writes a screen of a height over the one before. A line is cleared before it is written: after a character
// in the last column the cursor is still on it, and to clear from there would take that character.
func (t *terminal) show(s screen, rows int) error {
	var frame strings.Builder
	frame.WriteString("\x1b[H")
	for i, line := range s.lines {
		if i > 0 {
			frame.WriteString("\r\n")
		}
		if i == s.selected {
			line = "\x1b[7m" + line + "\x1b[0m"
		}
		frame.WriteString("\x1b[K" + line)
	}
	if len(s.lines) < rows {
		frame.WriteString("\r\n\x1b[J")
	}
	_, err := t.out.WriteString(frame.String())
	return err
}
