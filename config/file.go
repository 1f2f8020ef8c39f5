package config

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// maxFileSize is the largest file that is read, in bytes: /dev/zero never ends.
const maxFileSize = 256 << 20

// Read reads the text of a regular file. A daemon reads with it at a reload: a FIFO without
// a writer would block it, and opening a device may have side effects (a tape
// rewinds, a serial line drops).
func Read(path string) ([]byte, error) {
	text, err := readRegular(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	return text, nil
}

func readRegular(path string) ([]byte, error) {
	file, _, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(path, file)
}

// OpenRegular opens a regular file to read it, and refuses all others without waiting: it is for every file that
// somebody may have put another one in place of. It checks twice: before the open, because the open itself may block
// or act on a device, and after it, because the path may name another file by then.
func OpenRegular(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if err := checkRegular(path, info); err != nil {
		return nil, nil, err
	}
	// The file may be another one by now: with O_NONBLOCK the open of a FIFO does not wait for a writer.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = file.Stat(); err == nil {
		err = checkRegular(path, info)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// ReadAny reads the text of a file of any kind, such as a pipe, and waits for its end.
func ReadAny(path string) ([]byte, error) {
	text, err := readAny(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w; name another file with -c", err)
	}
	return text, nil
}

// readAny reads a file of any kind to its end, also a pipe.
func readAny(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(path, file)
}

// readAll reads one byte more than is allowed, to tell a file that is too large from one that
// has just the size.
func readAll(path string, file *os.File) ([]byte, error) {
	var text bytes.Buffer
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size() // 0 of a pipe; a file may grow
	if size <= maxFileSize {
		text.Grow(int(size) + bytes.MinRead)
		size, err = text.ReadFrom(io.LimitReader(file, maxFileSize+1))
	}
	if err == nil && size > maxFileSize {
		err = fmt.Errorf("%s is larger than %d MiB: is it the right file?", path, maxFileSize>>20)
	}
	return text.Bytes(), err
}

// checkRegular refuses a pipe, a device and a directory: reading one could wait without end, or never come to
// an end.
func checkRegular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s is %s: put a regular file there", path, kindOf(info.Mode()))
}

// kindOf names what is not a regular file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeDir != 0:
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no file"
}
