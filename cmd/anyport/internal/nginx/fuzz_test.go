package nginx_test

import (
	"os"
	"path/filepath"
	"testing"

	"anyport/cmd/anyport/internal/nginx"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/cmd/anyport/internal/proxyconf/proxyconftest"
)

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.conf")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		proxyconftest.Anything(t, func(o proxyconf.Options) (*proxyconf.Reading, error) {
			return nginx.Read("fuzz.conf", text, o)
		})
	})
}
