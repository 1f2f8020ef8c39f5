package doctor

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// TestFIFOs: doctor refuses a FIFO in place of any file that the configuration names for secrets and certificates, as a
// start does. It does not wait for a writer.
func TestFIFOs(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ofSource := func(set func(*config.Fleet)) func(*Facts) {
		return func(f *Facts) {
			withSource(f)
			f.Config.Fleet.Source = "https://127.0.0.1:1/table"
			set(&f.Config.Fleet)
		}
	}
	keys, peerKey, source := func(f *Facts) error { return f.KeysErr }, func(f *Facts) error { return f.PeerKeyErr }, func(f *Facts) error { return f.SourceErr }
	for name, c := range map[string]struct {
		change func(*Facts)
		read   func(context.Context, *Facts) error
		err    func(*Facts) error
	}{
		"[knock] keys":               {func(f *Facts) { f.Config = takesKnocks(f.Config); f.Config.Knock.Keys = fifo }, readKeys, keys},
		"[fleet] key":                {func(f *Facts) { withPeers(f); f.Config.Fleet.Key = fifo }, readPeers, peerKey},
		"[fleet] source_ca":          {ofSource(func(c *config.Fleet) { c.SourceCA = fifo }), askSource, source},
		"[fleet] source_cert":        {ofSource(func(c *config.Fleet) { c.SourceCert = fifo }), askSource, source},
		"[fleet] source_credentials": {ofSource(func(c *config.Fleet) { c.SourceCredentials = fifo }), askSource, source},
	} {
		t.Run(name, func(t *testing.T) {
			f, done := healthy(), make(chan error, 1)
			c.change(f)
			go func() { done <- c.read(t.Context(), f) }() // ends with what it reads
			select {
			case err := <-done:
				if of := c.err(f); err != nil || of == nil || !strings.Contains(of.Error(), "fifo is a FIFO: put a regular file there") {
					t.Errorf("%v, and %v", err, of)
				}
			case <-time.After(30 * time.Second):
				t.Error("it hangs")
			}
		})
	}
}
