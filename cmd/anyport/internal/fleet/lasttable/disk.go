package lasttable

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxTable is the largest table that is read, in bytes.
const maxTable = 256 << 20

// pathOf is where the table of a config file is kept in a state directory: each config file has one of its own.
func pathOf(directory, file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	sum := sha256.Sum256([]byte(file))
	return filepath.Join(directory, "fleet-table_"+hex.EncodeToString(sum[:4])+".toml")
}

// Read returns the last table that was in service with a config file; nil if there is none.
func Read(directory, file string) ([]byte, error) {
	if directory == "" {
		return nil, nil
	}
	f, err := os.OpenFile(pathOf(directory, file), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the last table that was in service: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(f.Name() + " is not a regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("the last table that was in service: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTable))
	if err != nil {
		return nil, fmt.Errorf("the last table that was in service: %w", err)
	}
	return text, nil
}

// Write replaces the table in one step, and returns when it is on the disk. It may hold what secrets a file
// holds: mode 0600.
func Write(directory, file string, text []byte) error {
	path := pathOf(directory, file)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		_ = os.Remove(path + ".new") // a part of a table is of no use, and takes room of a full disk
		return err
	}
	dir, err := os.Open(directory)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
