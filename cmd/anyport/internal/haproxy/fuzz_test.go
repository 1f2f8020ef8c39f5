package haproxy_test

import (
	"os"
	"path/filepath"
	"testing"

	"anyport/cmd/anyport/internal/haproxy"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/cmd/anyport/internal/proxyconf/proxyconftest"
)

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.cfg")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		proxyconftest.Anything(t, func(o proxyconf.Options) (*proxyconf.Reading, error) {
			return haproxy.Read("fuzz.cfg", text, o)
		})
	})
}
