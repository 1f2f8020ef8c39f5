package steering

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
)

// The nonces of knocks are in a map, beside those of the program, so that a datagram opens a
// door once also if this process is killed, restarted or upgraded meanwhile. The map is new
// where nothing was pinned or handed over; then nobody knows which nonces were used, and so
// whatever was made before is refused.

// nonceAge is how old a nonce is before it is forgotten: older than any datagram that is still
// in time, by either clock.
const nonceAge = 3 * time.Minute

// openNonces sets the floor of a new map.
func (s *Steering) openNonces(now time.Time) error {
	err := s.objects.KnockNonces.Update(bpf.SteerKnockNonce{}, uint64(now.Unix()), ebpf.UpdateNoExist)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("open the nonces of knocks: %w", err)
	}
	return nil
}

// ClaimNonce reports whether nobody has used the nonce before, of a datagram made at made. Where
// that cannot be known, it is not.
func (s *Steering) ClaimNonce(nonce [16]byte, made, now time.Time) (fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() || nonce == [16]byte{} {
		return false, nil
	}
	floor, err := s.forgetNonces(now)
	if err != nil || made.Unix() <= floor {
		return false, err
	}
	err = s.objects.KnockNonces.Update(bpf.SteerKnockNonce{Bytes: nonce}, uint64(made.Unix()), ebpf.UpdateNoExist)
	switch {
	case errors.Is(err, ebpf.ErrKeyExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("remember the nonce of a knock: %w", err)
	}
	return true, nil
}

// forgetNonces removes old nonces once a minute, and returns the floor. It raises the floor
// first: if the clock is set back later, what was made then does not count again.
func (s *Steering) forgetNonces(now time.Time) (floor int64, err error) {
	var stored uint64
	if err := s.objects.KnockNonces.Lookup(bpf.SteerKnockNonce{}, &stored); err != nil {
		return 0, fmt.Errorf("read the floor of nonces: %w", err)
	}
	oldest := now.Add(-nonceAge).Unix()
	if int64(stored) >= oldest-int64(time.Minute/time.Second) {
		return int64(stored), nil
	}
	if err := s.objects.KnockNonces.Put(bpf.SteerKnockNonce{}, uint64(oldest)); err != nil {
		return 0, fmt.Errorf("raise the floor of nonces: %w", err)
	}
	return oldest, bpfmaps.RemoveIf(s.objects.KnockNonces, func(k bpf.SteerKnockNonce, made uint64) bool {
		return k != (bpf.SteerKnockNonce{}) && int64(made) <= oldest
	})
}
