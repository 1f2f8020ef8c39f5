package daemon

import (
	"slices"
	"sync"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config/secrets"
)

// mostSecrets bounds what is remembered of files that were in service, or were refused.
const mostSecrets = 10_000

// knownSecrets are the secrets of all files that this process has read: the log may quote one of a file that
// has changed since. They leave the process in no other way. The zero value is ready; any goroutine may use it.
type knownSecrets struct {
	mu     sync.Mutex
	values []string // the newest last
}

// note remembers the secrets of a file.
func (k *knownSecrets) note(text string) {
	found := secrets.Find(text).Values
	if len(found) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	all, known := []string{}, map[string]bool{}
	for _, value := range slices.Backward(append(k.values, found...)) { // the newest ones stay
		if !known[value] && len(all) < mostSecrets {
			known[value] = true
			all = append(all, value)
		}
	}
	slices.Reverse(all)
	k.values = all
}

// mask hides them.
func (k *knownSecrets) mask() *secrets.Mask {
	k.mu.Lock()
	defer k.mu.Unlock()
	return secrets.NewMask(k.values)
}

// Sysdump joins the status and the newest lines of the log.
func (s service) Sysdump() (dump admin.Sysdump, err error) {
	mask := s.d.secrets.mask()
	if dump.Status, err = secrets.Masked(mask, s.d.status()); err != nil {
		return dump, err
	}
	dump.LogMostKept = recentMost
	dump.Log, dump.LogOmitted = s.d.recent.all()
	for i, line := range dump.Log {
		dump.Log[i] = mask.String(line)
	}
	return dump, nil
}
