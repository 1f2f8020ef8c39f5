package text

import (
	"io"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether a file is a terminal.
func IsTerminal(file any) bool {
	f, ok := file.(interface{ Fd() uintptr })
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// WidthOf is the width of a terminal; 0: out is none, or has no size.
func WidthOf(out io.Writer) int {
	_, columns := SizeOf(out)
	return columns
}

// SizeOf is the size of a terminal; 0, 0: out is none, or has no size.
func SizeOf(out any) (rows, columns int) {
	file, ok := out.(interface{ Fd() uintptr })
	if !ok {
		return 0, 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row == 0 || size.Col == 0 {
		return 0, 0
	}
	return int(size.Row), int(size.Col)
}
