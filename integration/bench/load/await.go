package load

import (
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for the origin.
const patience = 15 * time.Second

// awaitOrigin asks until it gets an answer: then everything is up.
func awaitOrigin(job Job) error {
	network, dst := "tcp", job.dst(0, echoTCP)
	if strings.HasPrefix(job.Kind, "udp") {
		network, dst = "udp", job.dst(0, echoUDP)
	}
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = ask(network, dst.String()); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s %v does not answer: %w", network, dst, err)
}

// ask is one exchange over a socket of its own: a proxy that is still starting may accept and never answer.
func ask(network, dst string) error {
	conn, err := net.DialTimeout(network, dst, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second)) // a busy machine takes its time
	if _, err := conn.Write(make([]byte, askSize)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, askSize))
	return err
}

// raiseFiles allows this process as many open files as may be.
func raiseFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
