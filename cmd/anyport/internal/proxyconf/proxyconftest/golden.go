// Package proxyconftest compares what readers of other proxies' configurations return with files.
package proxyconftest

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/goldentest"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// Read is the reader of one proxy.
type Read func(name, text string, o proxyconf.Options) (*proxyconf.Reading, error)

// Golden reads each file that a pattern matches, and compares the draft with .toml, which config must accept,
// and the report with .txt. Words after "# --prefix" in the first line are the prefixes to serve.
func Golden(t *testing.T, pattern string, read Read) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < 12 {
		t.Fatalf("%d files (%v): want at least 12", len(files), err)
	}
	for _, path := range files {
		base := strings.TrimSuffix(path, filepath.Ext(path))
		t.Run(base, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o := Options(string(text))
			reading, err := read(path, string(text), o)
			if err != nil {
				t.Fatal(err)
			}
			var toml, report strings.Builder
			if err := reading.Draft(o).Write(&toml); err != nil {
				t.Fatal(err)
			}
			if err := reading.WriteReport(&report); err != nil {
				t.Fatal(err)
			}
			goldentest.Compare(t, base+".toml", toml.String())
			goldentest.Compare(t, base+".txt", report.String())
			Accepted(t, base+".toml", toml.String())
		})
	}
}

// Options are those that the first line of a file says.
func Options(text string) proxyconf.Options {
	o := proxyconf.Options{ReadFile: os.ReadFile, Glob: filepath.Glob, Env: func(string) (string, bool) { return "", false }}
	line, _, _ := strings.Cut(text, "\n")
	for _, word := range strings.Fields(line) {
		if p, err := netip.ParsePrefix(word); err == nil {
			o.Prefixes = append(o.Prefixes, p)
		} else if a, err := netip.ParseAddr(word); err == nil {
			o.Prefixes = append(o.Prefixes, proxyconf.Host(a))
		}
	}
	return o
}

// Accepted checks that anyport takes what was written. A draft without a route is only comments.
func Accepted(t *testing.T, path, toml string) {
	t.Helper()
	if !strings.Contains(toml, "[route.") {
		return
	}
	if _, err := config.Parse(path, []byte(toml)); err != nil {
		t.Error(config.Detail(err))
	}
}
