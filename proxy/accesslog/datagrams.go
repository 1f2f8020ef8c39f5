package accesslog

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// blockSize is how much is gathered at most before it is sent.
const blockSize = 64 << 10

// datagrams is a destination that takes one datagram for each line: a unix socket or UDP.
type datagrams struct {
	network, address string
	format           func(b []byte, e *entry) []byte

	conn    net.Conn // nil: the connection has failed
	block   []byte   // messages that wait for flush
	ends    []int    // of each of them
	dropped uint64   // lines that were lost since lost was called
	err     error    // of a flush that put has made
}

// openDatagrams connects to a socket, on which somebody has to listen.
func openDatagrams(network, address string, format func([]byte, *entry) []byte) (*datagrams, error) {
	d := &datagrams{network: network, address: address, format: format}
	var err error
	d.conn, err = d.dial()
	return d, err
}

func (d *datagrams) dial() (net.Conn, error) {
	conn, err := net.DialTimeout(d.network, d.address, patience)
	if err != nil {
		return nil, fmt.Errorf("log.access: %w: nobody listens there, or anyport may not write to it: start the log daemon, or write another destination", err)
	}
	return conn, nil
}

func (d *datagrams) put(e *entry) {
	d.block = d.format(d.block, e)
	d.ends = append(d.ends, len(d.block))
	if len(d.block) >= blockSize {
		d.err = cmp.Or(d.err, d.flush())
	}
}

// flush sends the messages, within patience for all of them. A message that fails is sent once more over a
// new connection, since the log daemon may have been restarted; then it is lost, and all behind it.
func (d *datagrams) flush() error {
	err := d.err
	d.err = nil
	deadline, begin := time.Now().Add(patience), 0
	for sent, end := range d.ends {
		if failed := d.send(d.block[begin:end], deadline); failed != nil {
			d.dropped += uint64(len(d.ends) - sent)
			err = cmp.Or(err, failed)
			break
		}
		begin = end
	}
	d.block, d.ends = d.block[:0], d.ends[:0]
	return err
}

func (d *datagrams) send(message []byte, deadline time.Time) error {
	if d.conn != nil {
		err := d.sendOnce(message, deadline)
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		_ = d.conn.Close()
	}
	var err error
	if d.conn, err = d.dial(); err != nil {
		return err
	}
	return d.sendOnce(message, deadline)
}

func (d *datagrams) sendOnce(message []byte, deadline time.Time) error {
	_ = d.conn.SetWriteDeadline(deadline)
	_, err := d.conn.Write(message)
	return err
}

func (d *datagrams) lost() (n uint64) {
	n, d.dropped = d.dropped, 0
	return n
}

func (d *datagrams) reopen() (bool, error) {
	conn, err := d.dial()
	if err != nil {
		return false, err
	}
	if d.conn != nil {
		_ = d.conn.Close()
	}
	d.conn = conn
	return true, nil
}

func (d *datagrams) shared() *os.File { return nil }

func (d *datagrams) close() error {
	if d.conn == nil {
		return nil
	}
	return d.conn.Close()
}
