package resolve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// systemFiles is what the files of the system said when they were last read. It belongs to a Resolver,
// under its lock.
type systemFiles struct {
	read                    bool
	settingsText, hostsText []byte
	settings                settings
	hosts                   hosts
	err                     error // why a file could not be read again
}

// filesInterval is how often the files of the system are read again: a change is noticed after that.
const filesInterval = 5 * time.Second

// watchFiles reads the files again and again until ctx is done. It has a goroutine of its own, because
// a file on a mount that hangs must not delay a question.
func (r *Resolver) watchFiles(ctx context.Context) {
	ticker := time.NewTicker(filesInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if r.hasNames() { // Resolve reads them, too
				r.readFiles()
			}
		case <-ctx.Done():
			return
		}
	}
}

func (r *Resolver) hasNames() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.names) > 0
}

// readFiles reads the files, and makes every answer due if they have changed.
func (r *Resolver) readFiles() {
	r.mu.Lock()
	before := r.files
	r.mu.Unlock()
	next := before.reread(r.opt.Read)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = next
	switch {
	case !bytes.Equal(before.settingsText, next.settingsText):
		if before.read {
			r.opt.Log.Info("resolv.conf has changed: all names are resolved again", "servers", next.settings.servers)
		}
		r.cache.expire()
		r.wake()
	case !bytes.Equal(before.hostsText, next.hostsText):
		r.wake()
	}
}

// reread returns f as the files are now. A file that cannot be read stays as it was; one that does not
// exist is empty.
func (f systemFiles) reread(read func(path string) ([]byte, error)) systemFiles {
	next := f
	var errs []error
	load := func(path string, before []byte) []byte {
		text, err := read(path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return text
		}
		errs = append(errs, fmt.Errorf("%s stays as it was read before: %w", path, err))
		return before
	}
	next.settingsText, next.hostsText = load(SettingsPath, f.settingsText), load(HostsPath, f.hostsText)
	if !f.read || !bytes.Equal(f.settingsText, next.settingsText) {
		next.settings = parseSettings(next.settingsText)
	}
	if !f.read || !bytes.Equal(f.hostsText, next.hostsText) {
		next.hosts = parseHosts(next.hostsText)
	}
	next.read, next.err = true, errors.Join(errs...)
	return next
}
