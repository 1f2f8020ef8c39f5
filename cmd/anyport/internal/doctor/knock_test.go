package doctor

import (
	"errors"
	"testing"

	"anyport/config"
)

// takesKnocks is c with a route that an authenticated datagram opens.
func takesKnocks(c *config.Config) *config.Config {
	with, r := *c, *c.Routes[0]
	r.Knock.Steps = []config.KnockStep{config.KnockSPA}
	with.Routes = append(c.Routes[:0:0], &r)
	with.Knock.Keys = "/etc/anyport/knock.keys"
	return &with
}

func TestKnock(t *testing.T) {
	run(t, "knock", []example{
		{"none needed", func(*Facts) {}, []Status{OK}, "no route has", ""},
		{"kept", func(f *Facts) { f.Config = takesKnocks(f.Config) }, []Status{OK}, "only their owner", ""},
		{"open to others", func(f *Facts) {
			f.Config, f.KeysErr = takesKnocks(f.Config), errors.New("its mode is 0644")
		}, []Status{Failure}, "its mode is 0644", "chmod 600 /etc/anyport/knock.keys   # if it is there: a line for each key, a name and $(openssl rand -base64 32)"},
	})
}
