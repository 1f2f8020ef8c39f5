package steering

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
)

// ShareConns has the listener of another process take the new TCP conns of a share of the clients, until TakeBackConns.
// When that process dies, the kernel takes its listener out of the map, and from the next SYN on this process has all:
// so the caller must close its own descriptor of the listener. On error nothing has changed.
func (s *Steering) ShareConns(listener int, share Share) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.isClosed():
		return errors.New("the steering is closed")
	case s.trial != nil || s.shared:
		return errOnTrial
	}
	if err := s.writeShare(share); err != nil {
		return err
	}
	if err := s.objects.Sockets.Put(bpf.SteerSlotTCP_SHARE, uint64(listener)); err != nil {
		return fmt.Errorf("put the socket of the process on trial into its slot: %w", err)
	}
	s.shared = true
	if err := s.putServing(s.generation); err != nil {
		s.shared = false
		return fmt.Errorf("share conns with another process: %w", err)
	}
	return nil
}

// TakeBackConns has the listener of this process take all new conns again. When it returns, no SYN is on its way to the
// other process any more; handshakes that have begun may still end there.
func (s *Steering) TakeBackConns() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() || !s.shared {
		return nil
	}
	s.shared = false
	if err := s.putServing(s.generation); err != nil {
		s.shared = true
		return fmt.Errorf("take back the conns of a trial: %w", err)
	}
	if err := s.loaded.GracePeriod.Wait(); err != nil {
		return fmt.Errorf("wait for a grace period: %w", err)
	}
	err := s.objects.Sockets.Delete(bpf.SteerSlotTCP_SHARE)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, ebpf.ErrKeyNotExist) { // EINVAL: the process has died
		return fmt.Errorf("take the socket of the process on trial out of its slot: %w", err)
	}
	return nil
}

// ListenForShare opens the listeners of a process that takes the conns of a share of the clients: one for each worker.
// The first of them stands for all in ShareConns. They are the caller's.
func ListenForShare(cfg config.Listen, log *slog.Logger) (fds []int, err error) {
	port := 0
	for range cfg.Workers {
		var fd int
		if fd, err = listen(bpf.SteerSlotTCP_SHARE, cfg, port, log); err == nil {
			fds = append(fds, fd)
			// As the sockets of slot TCP have it. Without CAP_NET_ADMIN it fails: then conns of this listener do not outlive a
			// change of TPROXY rules for the same traffic.
			_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
			port, err = localPort(fd)
		}
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, fmt.Errorf("open a listener for a share of the conns: %w", err)
		}
	}
	return fds, nil
}

// Waiting is how many conns wait to be accepted by listeners.
func Waiting(listeners []int) (n int, err error) {
	for _, fd := range listeners {
		l, err := listenerOf(fd, bpf.SteerSlotTCP)
		if err != nil {
			return n, err
		}
		n += l.Queued
	}
	return n, nil
}
