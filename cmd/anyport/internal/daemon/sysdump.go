package daemon

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/logging"
	"anyport/config/secrets"
)

// Bounds of what is remembered of files that were in service, or were refused. A mask takes a few hundred bytes for
// each byte of a secret.
const (
	mostSecrets     = 10_000
	mostSecretBytes = 256 << 10
)

// knownSecrets are the secrets of all files that this process has read: the log may quote one of a file that
// has changed since. They leave the process in no other way. The zero value is ready; any goroutine may use it.
type knownSecrets struct {
	mu     sync.Mutex
	values map[string]bool
	bytes  int  // of all of them
	missed bool // there were more than are remembered: no text can be masked any more
}

// note remembers the secrets of a file.
func (k *knownSecrets) note(text string) {
	found := secrets.Find(text).Values
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, value := range found {
		switch {
		case k.values[value]:
		case len(k.values) == mostSecrets || k.bytes+len(value) > mostSecretBytes:
			k.missed = true
		default:
			if k.values == nil {
				k.values = map[string]bool{}
			}
			k.values[value] = true
			k.bytes += len(value)
		}
	}
}

// errManySecrets withholds what may hold a secret that nobody would find.
var errManySecrets = errors.New("the files so far had more secrets than this process remembers, so its log is withheld; after a restart it remembers those of one file")

// mask hides them.
func (k *knownSecrets) mask() (*secrets.Mask, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.missed {
		return nil, errManySecrets
	}
	return secrets.NewMask(slices.Collect(maps.Keys(k.values))), nil
}

// Sysdump joins the status and the newest lines of the log.
func (s service) Sysdump() (dump admin.Sysdump, err error) {
	mask, err := s.d.secrets.mask()
	if err != nil {
		return dump, err
	}
	if dump.Status, err = secrets.Masked(mask, s.d.status()); err != nil {
		return dump, err
	}
	dump.Table = secrets.Hide(s.d.serving.Load().config.TableText(), mask)
	dump.LogMostKept = logging.MostRecent
	dump.Log, dump.LogOmitted = s.d.lines.Recent()
	for i, line := range dump.Log {
		dump.Log[i] = mask.String(line)
	}
	return dump, nil
}
