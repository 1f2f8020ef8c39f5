package admin

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
)

// TestIsFinal: an error is final if only a change of the user, the file or the version mends it.
func TestIsFinal(t *testing.T) {
	nobody := func(why error) error { return fmt.Errorf("%w on a: %w: %s", ErrNobody, why, advice(why)) }
	for _, c := range []struct {
		err   error
		final bool
	}{
		{nobody(syscall.EACCES), true},
		{nobody(syscall.EPERM), true},
		{nobody(syscall.ENOENT), false}, // its directory may be about to be made again
		{nobody(syscall.ECONNREFUSED), false},
		{nobody(io.EOF), false},
		{fmt.Errorf("a answered 404: %w", errUnknownVerb), true},
		{errors.Join(Refuse(errNoAccess, errors.New("why not"))), true},
		{Refuse(ErrNoRoute, errors.New("why not")), true},
		{Refuse(ErrPeers, errors.New("why not")), false},
		{errors.New("an upgrade is under way"), false},
	} {
		if IsFinal(c.err) != c.final {
			t.Errorf("%v: %v", c.err, IsFinal(c.err))
		}
	}
}
