package accesslog

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/logfile"
)

// openDestination opens what log.access names.
func openDestination(c config.Log, stderr io.Writer, file *os.File) (destination, error) {
	format := formatOf(c.Format)
	switch to := c.Destination(); to.Kind {
	case config.ToStderr:
		return newLines(unclosed{stderr}, "", format), nil
	case config.ToJournal:
		return openDatagrams("unixgram", to.Address, journalEntry)
	case config.ToSyslog:
		h := newSyslog(format)
		if to.Network == "tcp" { // one line a message: RFC 6587, section 3.4.2
			return newLines(&stream{address: to.Address}, "", h.appendLine), nil
		}
		return openDatagrams(to.Network, to.Address, h.append)
	}
	if file == nil {
		var err error
		if file, err = OpenFile(c.Access); err != nil {
			return nil, err
		}
	}
	return newLines(file, c.Access, format), nil
}

// lines is a destination that takes lines one after the other.
type lines struct {
	to     io.WriteCloser
	path   string // of a file; "": it is none
	out    *logfile.Writer
	format func(b []byte, e *entry) []byte
	line   []byte // memory for the next one
}

func newLines(to io.WriteCloser, path string, format func([]byte, *entry) []byte) *lines {
	l := &lines{to: to, path: path, out: logfile.NewWriter(to), format: format}
	l.out.Patience = patience
	return l
}

func (l *lines) put(e *entry) {
	l.line = l.format(l.line[:0], e)
	_, _ = l.out.Write(l.line)
}

func (l *lines) flush() error {
	err := l.out.Flush()
	if s, ok := l.to.(*stream); ok && err != nil {
		l.out.Reset(s) // the rest of a line must not begin the next connection
	}
	return err
}

func (l *lines) lost() uint64 { return l.out.Lost() }

func (l *lines) shared() *os.File {
	file, _ := l.to.(*os.File)
	return file
}

func (l *lines) close() error {
	l.out.Reset(nil)
	return l.to.Close()
}

// reopen opens a file again if its name leads to another one. On error the old one stays.
func (l *lines) reopen() (bool, error) {
	if s, ok := l.to.(*stream); ok {
		return true, s.Close() // the next write connects
	}
	old, isFile := l.to.(*os.File)
	if !isFile || leadsTo(l.path, old) {
		return false, nil
	}
	file, err := OpenFile(l.path)
	if err != nil {
		return false, err
	}
	l.to = file
	l.out.Reset(file)
	if err := old.Close(); err != nil {
		return true, fmt.Errorf("log.access: closing the old file: %w", err)
	}
	return true, nil
}

// leadsTo reports whether the name still leads to the file.
func leadsTo(path string, file *os.File) bool {
	open, err := file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(open, now)
}

// unclosed is a file that others go on to use.
type unclosed struct{ io.Writer }

// Close does nothing.
func (unclosed) Close() error { return nil }

// stream is a TCP connection that is made when there is something to write, and again after an error. A
// log server that is down does not keep anyport from starting.
type stream struct {
	address string
	conn    *net.TCPConn // nil: not connected
}

// Write connects if that is needed. It takes no longer than patience for each of the two.
func (s *stream) Write(b []byte) (n int, err error) {
	if s.conn != nil && s.hungUp() {
		_ = s.Close()
	}
	if s.conn == nil {
		conn, err := net.DialTimeout("tcp", s.address, patience)
		if err != nil {
			return 0, fmt.Errorf("log.access: %w", err)
		}
		s.conn = conn.(*net.TCPConn)
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	if n, err = s.conn.Write(b); err != nil {
		_ = s.Close()
	}
	return n, err
}

// hungUp reports whether the server has closed the connection: a write would still succeed, and be lost.
func (s *stream) hungUp() (gone bool) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err != nil && err != unix.EAGAIN
	})
	return gone || err != nil
}

// Close closes the connection, if there is one.
func (s *stream) Close() error {
	if s.conn == nil {
		return nil
	}
	conn := s.conn
	s.conn = nil
	return conn.Close()
}
