package program

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestRefusal tells apart what the kernel says with the same two errors.
func TestRefusal(t *testing.T) {
	verifier := fmt.Errorf("program steer: %w", &ebpf.VerifierError{Cause: unix.EACCES, Log: []string{"attempt to corrupt spilled pointer on stack"}})
	mute := &ebpf.VerifierError{Cause: unix.EPERM}
	for _, test := range []struct {
		err     error
		memlock bool
		want    error
	}{
		{verifier, false, ErrVerifier},
		{verifier, true, ErrVerifier},
		{mute, false, ErrForbidden},
		{fmt.Errorf("map create: %w", unix.EPERM), true, ErrMemlock},
		{fmt.Errorf("map create: %w", unix.EPERM), false, ErrForbidden},
		{unix.EACCES, true, ErrForbidden},
		{unix.ENOMEM, true, nil},
		{nil, true, nil},
	} {
		if got := refusal(test.err, test.memlock); got != test.want {
			t.Errorf("%v, memlock counts %v: %v, want %v", test.err, test.memlock, got, test.want)
		}
	}
	if err := Advise(verifier); !errors.Is(err, ErrVerifier) || !errors.Is(err, unix.EACCES) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestOlderThan(t *testing.T) {
	for release, want := range map[string]bool{
		"5.10.0-32-cloud-amd64": true, "4.19.0": true, "5.11.0": false, "5.11-rc1": false,
		"6.1.0": false, "7.3.4+deb13-cloud-amd64": false, "custom": false, "": false,
	} {
		if got := OlderThan(release, 5, 11); got != want {
			t.Errorf("%q is older than 5.11: %v", release, got)
		}
	}
}
