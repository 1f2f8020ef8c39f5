package access_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/fleet/access"
	"anyport/config"
)

// TestCredentials: each form of the file, and what is refused, without the secret in the error.
func TestCredentials(t *testing.T) {
	for text, want := range map[string]access.Access{
		"edge:pa:ss\n":   {User: "edge", Password: "pa:ss"},
		"Bearer abc.def": {Token: "abc.def"},
		"secret\n":       {},
		":secret":        {},
		"a:b\nsecret":    {},
		"Bearer ":        {},
		"":               {},
	} {
		path := write(t, text, 0o600)
		got, err := access.Read(config.Fleet{Source: "https://a/b", SourceCredentials: path})
		refused := want == access.Access{}
		switch {
		case refused && (err == nil || strings.Contains(err.Error(), "secret")):
			t.Errorf("%q: %v", text, err)
		case !refused && (err != nil || got != want):
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	token := config.Fleet{Source: "etcd://a/b", SourceCredentials: write(t, "Bearer abc", 0o600)}
	if _, err := access.Read(token); err == nil || !strings.Contains(err.Error(), "not a token") {
		t.Errorf("a token for etcd: %v", err)
	}
	open := config.Fleet{Source: "https://a/b", SourceCredentials: write(t, "a:b", 0o644)}
	if _, err := access.Read(open); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may open: %v", err)
	}
}

// TestFilesThatAreNone: each file's error names its key.
func TestFilesThatAreNone(t *testing.T) {
	none := write(t, "nothing", 0o600)
	for key, f := range map[string]config.Fleet{
		"source_ca":   {Source: "https://a/b", SourceCA: none},
		"source_cert": {Source: "https://a/b", SourceCert: none},
	} {
		if _, err := access.Read(f); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// write makes a file.
func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
