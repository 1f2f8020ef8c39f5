package sysdump

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func someArchive() *Archive {
	a := &Archive{host: "edge", made: time.Unix(1, 0), process: "without a running process: none", missing: []string{"the file: not there\nat all"}}
	a.add("one.txt", "the first", []byte("1"))
	a.add("long.txt", "the second", make([]byte, mostFile+1))
	return a
}

// TestArchive: the README is the first file and tells what was cut and what is not there.
func TestArchive(t *testing.T) {
	var out bytes.Buffer
	if err := someArchive().Write(&out); err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	files, first := map[string]string{}, ""
	for in := tar.NewReader(plain); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(in)
		files[header.Name] = string(text)
		if first == "" {
			first = header.Name
		}
	}
	const dir = "anyport-sysdump-edge-19700101T000001Z/"
	readme := files[dir+"README"]
	if first != dir+"README" || files[dir+"one.txt"] != "1" || len(files[dir+"long.txt"]) != mostFile {
		t.Errorf("first %s, %d files", first, len(files))
	}
	for _, want := range []string{"without a running process", "one.txt ", "the first 16777216 of 16777217 bytes", "- the file: not there\n  at all\n"} {
		if !strings.Contains(readme, want) {
			t.Errorf("%q is not in %s", want, readme)
		}
	}
}

// TestWriteFile: what is there stays, also at the end of a link, and nobody else may read the archive.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := someArchive().WriteFile(path("new")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path("new")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(path("there"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "there", "dangling": "nothing"} {
		if err := os.Symlink(path(to), path(link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"there", "link", "dangling", "new"} {
		if err := someArchive().WriteFile(path(name)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, _ := os.ReadFile(path("there")); string(text) != "mine" {
		t.Errorf("the file has %q", text)
	}
	if _, err := os.Stat(path("nothing")); err == nil {
		t.Error("a file was made at the end of a link")
	}
	if err := someArchive().WriteFile("/dev/full"); err == nil {
		t.Error("a device was written")
	}
}
