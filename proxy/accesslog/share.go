package proxy

import (
	"errors"
	"io"
	"os"
	"time"
)

// Share calls use with the file, which stays the log's, and of which nothing else is done
// meanwhile; with nil where the lines go to standard error. What was queued is written.
func (a *AccessLog) Share(use func(*os.File) error) error {
	if a.path == "" {
		return use(nil)
	}
	s := share{make(chan *os.File, 1), make(chan struct{})}
	defer close(s.over)
	late := time.After(accessFarewell)
	select {
	case a.shares <- s:
	case <-late:
		return errStuck
	}
	select {
	case file := <-s.file: // after a flush, which the file may hold up
		return use(file)
	case <-late:
		return errStuck
	}
}

// share asks the writer for its file.
type share struct {
	file chan *os.File // has room for it: the writer never waits for who asks
	over chan struct{} // closed when the file is not needed any more
}

var errStuck = errors.New("log.access: the file takes nothing: is it on a disk that hangs?")

// swap opens the file again, if it is another one; where that fails the old one is written on.
func (a *AccessLog) swap(old io.WriteCloser) io.WriteCloser {
	if a.named(old) {
		return old
	}
	file, err := a.open()
	if err != nil {
		a.log.Error("the access log goes on in its old file", "error", err)
		return old
	}
	if err := old.Close(); err != nil {
		a.log.Warn("closing the old access log", "error", err)
	}
	return file
}

// named reports whether the name still leads to file.
func (a *AccessLog) named(file io.WriteCloser) bool {
	old, isFile := file.(*os.File)
	if !isFile {
		return true
	}
	open, err := old.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(a.path)
	return err == nil && os.SameFile(open, now)
}
