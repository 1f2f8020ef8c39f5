package etcd_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is an etcd of a test, on loopback. It can be killed and started again.
type server struct {
	*testing.T
	dir, client, peer string
	args              []string
	process           *exec.Cmd
	ended             chan struct{} // closed when the process has
}

// startServer starts an etcd with further arguments.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		if os.Getenv("REQUIRE_ROOT") != "" {
			t.Fatal(err)
		}
		t.Skip("needs etcd: apt install etcd-server")
	}
	s := &server{T: t, dir: t.TempDir(), args: args}
	t.Cleanup(s.kill)
	for range 5 { // another process may take a port first that was free
		s.client, s.peer = freeAddress(t), freeAddress(t)
		if s.listens() {
			return s
		}
	}
	t.Fatal("etcd does not listen")
	return nil
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the process again, with the data that are there.
func (s *server) start() {
	s.Helper()
	if !s.listens() {
		s.Fatal("etcd does not listen")
	}
}

// listens starts the process, and waits until it listens or has ended.
func (s *server) listens() bool {
	s.Helper()
	scheme := "http://"
	if strings.Contains(strings.Join(s.args, " "), "--cert-file") {
		scheme = "https://"
	}
	s.process = exec.Command("etcd", append([]string{
		"--data-dir", s.dir, "--log-level", "error",
		"--listen-client-urls", scheme + s.client, "--advertise-client-urls", scheme + s.client,
		"--listen-peer-urls", "http://" + s.peer, "--initial-advertise-peer-urls", "http://" + s.peer,
		"--initial-cluster", "default=http://" + s.peer,
	}, s.args...)...)
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		s.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) { // ended by kill
		defer close(ended)
		_ = process.Wait()
	}(s.process, s.ended)
	for {
		if c, err := net.Dial("tcp", s.client); err == nil {
			c.Close()
			return true
		}
		select {
		case <-s.ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill ends the process as a crash does.
func (s *server) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		<-s.ended
		s.process = nil
	}
}

// ctl runs etcdctl.
func (s *server) ctl(args ...string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "etcdctl", append([]string{"--endpoints", s.client}, args...)...)
	c.Env = append(os.Environ(), "ETCDCTL_API=3")
	out, err := c.CombinedOutput()
	if err != nil {
		s.Fatalf("etcdctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// url is the source.
func (s *server) url() string { return fmt.Sprintf("etcd://%s/test/fleet", s.client) }
