package accesslog

import (
	"errors"
	"os"
	"time"
)

// errStuck is why the writer does not respond.
var errStuck = errors.New("log.access: the destination takes nothing: is it on a disk that hangs?")

// Share calls use with the file of the log, which stays the log's and of which nothing else is done
// meanwhile; with nil if its destination is no file. What was queued is written.
func (a *Log) Share(use func(*os.File) error) error {
	s := share{make(chan *os.File, 1), make(chan struct{})}
	defer close(s.over)
	late := time.After(farewell)
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
	file chan *os.File // has room for it: the writer never waits for the caller
	over chan struct{} // closed when the file is not needed any more
}

// Reopen opens the file by its name again if that is another one by now, since logrotate has moved it; a
// socket is connected again. If that fails, the log goes on with what it had.
func (a *Log) Reopen() error {
	r := reopen{make(chan error, 1)}
	late := time.After(farewell)
	select {
	case a.reopens <- r:
	case <-late:
		return errStuck
	}
	select {
	case err := <-r.done:
		return err
	case <-late:
		return errStuck
	}
}

// reopen asks the writer to open its destination again.
type reopen struct {
	done chan error // has room for one: the writer never waits for the caller
}
