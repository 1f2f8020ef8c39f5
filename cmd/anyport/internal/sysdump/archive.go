package sysdump

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mostFile bounds one file of an archive, in bytes.
const mostFile = 16 << 20

// Archive is the files that were gathered.
type Archive struct {
	host    string
	made    time.Time
	process string // with or without which process
	missing []string
	files   []file
}

// file is one file of an archive, without secrets.
type file struct {
	name, about string
	data        []byte
}

// add adds a file. What is too long is cut, after it was masked: half a secret would not be found.
func (a *Archive) add(name, about string, data []byte) {
	if len(data) > mostFile {
		about += fmt.Sprintf(" (the first %d of %d bytes)", mostFile, len(data))
		data = data[:mostFile]
	}
	a.files = append(a.files, file{name, about, data})
}

// Process says whether a process has answered.
func (a *Archive) Process() string { return a.process }

// Missing says what could not be read.
func (a *Archive) Missing() []string { return a.missing }

// Name is the name of the archive, without its ending: the directory that it unpacks into.
func (a *Archive) Name() string {
	return "anyport-sysdump-" + a.host + "-" + a.made.UTC().Format("20060102T150405Z")
}

// readme names each file of the archive.
func (a *Archive) readme() []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "anyport sysdump of %s, made at %s\n%s\n\n", a.host, a.made.UTC().Format(time.RFC3339), a.process)
	out.WriteString("*** stands for values of secret keys of the file, wherever they were found. Look through the\n" +
		"files before you give them to somebody: they have addresses of this host, of origins and of clients.\n\n")
	for _, f := range a.files {
		fmt.Fprintf(&out, "%-32s %s\n", f.name, f.about)
	}
	if len(a.missing) > 0 {
		out.WriteString("\nNot read:\n\n")
	}
	for _, what := range a.missing {
		fmt.Fprintf(&out, "- %s\n", strings.ReplaceAll(what, "\n", "\n  "))
	}
	return []byte(out.String())
}

// Write writes the archive, the README first.
func (a *Archive) Write(w io.Writer) error {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	for _, f := range append([]file{{name: "README", data: a.readme()}}, a.files...) {
		header := &tar.Header{Name: a.Name() + "/" + f.name, Mode: 0o600, Size: int64(len(f.data)), ModTime: a.made.Truncate(time.Second), Format: tar.FormatPAX}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return zip.Close()
}

// WriteFile makes a new file that only its owner may read. It overwrites nothing and follows no link: somebody
// else may be able to write to the directory.
func (a *Archive) WriteFile(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err = a.Write(f); err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(path) // half an archive is of no use
	}
	return err
}
