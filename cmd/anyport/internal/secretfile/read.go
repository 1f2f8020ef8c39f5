package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Most is how many bytes a file may have.
const Most = 64 << 10

// Read returns the content of a file. what names it in errors, which never quote a secret: "the keys
// of knocks".
func Read(path, what string) ([]byte, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s in %s: this user may not read them: use root, or the user of steering.user if the file belongs to it", what, path)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s in %s: it is not a regular file", what, path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s in %s: its mode is %#o, so others may open it: chmod 600 %s", what, path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, Most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case len(text) > Most:
		return nil, fmt.Errorf("%s in %s: it is larger than %d bytes", what, path, Most)
	}
	return text, nil
}
