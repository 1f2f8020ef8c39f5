package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"anyport/config"
)

const (
	// Most is how many bytes a file with a secret may have.
	Most = 64 << 10
	// mostPublic is the same of another file. The certificates of all authorities that a system trusts have 250 KB.
	mostPublic = 4 << 20
)

// Read returns the content of a file. what names it in errors, which never quote a secret: "the keys
// of knocks".
func Read(path, what string) ([]byte, error) { return read(path, what, Most, true) }

// ReadPublic is Read for a file that others may open, such as a certificate.
func ReadPublic(path, what string) ([]byte, error) { return read(path, what, mostPublic, false) }

func read(path, what string, most int64, secret bool) ([]byte, error) {
	f, info, err := config.OpenRegular(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s in %s: this user may not read them: use root, or the user of steering.user if the file belongs to it", what, path)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	defer f.Close()
	if secret && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s in %s: its mode is %#o, so others may open it: chmod 600 %s", what, path, info.Mode().Perm(), path)
	}
	return readAll(f, what, most)
}

// readAll reads one byte more than is allowed, to tell a file that is too large.
func readAll(f *os.File, what string, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case int64(len(text)) > most:
		return nil, fmt.Errorf("%s in %s: it is larger than %d bytes", what, f.Name(), most)
	}
	return text, nil
}
