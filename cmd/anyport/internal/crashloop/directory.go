package crashloop

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	recordsFile = "records.json"
	copySuffix  = ".toml"
	newSuffix   = ".new" // of a file that is not complete
	version     = 1

	maxRecords = 1 << 20   // bytes: a damaged file must not fill the memory
	maxCopy    = 256 << 20 // likewise; what package config reads at most
)

// directory holds the records of one config file, and the texts of configs. All access is by way of
// the open directory, so that another user's link at its path leads nowhere else.
type directory struct{ root *os.Root }

// openDirectory opens the directory for the config file at path in the state directory at parent,
// and makes it if it is missing. It must belong to this user, and nobody else may write there: who
// can write there decides what the next process serves.
func openDirectory(parent, path string) (directory, error) {
	state, err := os.OpenRoot(parent)
	if err != nil {
		return directory{}, err
	}
	defer state.Close()
	name := "crashloop_" + nameOf(path)
	if err := state.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return directory{}, err
	}
	root, err := state.OpenRoot(name)
	if err != nil {
		return directory{}, err
	}
	if err := checkOwner(root); err != nil {
		return directory{}, errors.Join(fmt.Errorf("%s: %w", filepath.Join(parent, name), err), root.Close())
	}
	return directory{root}, nil
}

// nameOf tells the directories of several config files apart.
func nameOf(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:4])
}

// checkOwner refuses a directory that somebody else can write to.
func checkOwner(root *os.Root) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	const others = 0o022
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d, and anyport runs as user %d", stat.Uid, os.Geteuid())
	}
	if info.Mode()&others != 0 {
		return fmt.Errorf("others can write to it (mode %v)", info.Mode().Perm())
	}
	return nil
}

// read returns the records; none if there are none yet.
func (d directory) read() (r Records, err error) {
	text, err := d.readFile(recordsFile, maxRecords)
	if errors.Is(err, fs.ErrNotExist) {
		return Records{Version: version}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil && r.Version != version {
		err = fmt.Errorf("%s is of version %d, and this anyport knows %d", recordsFile, r.Version, version)
	}
	return r, err
}

// write replaces the records in one step.
func (d directory) write(r Records) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return d.replace(recordsFile, append(text, '\n'))
}

// text returns the text of a config; an error if it is not there or not what was written.
func (d directory) text(h Hash) ([]byte, error) {
	text, err := d.readFile(string(h)+copySuffix, maxCopy)
	if err == nil && HashOf(text) != h {
		err = fmt.Errorf("%s%s is damaged", h, copySuffix)
	}
	return text, err
}

// keep writes the text of a config. As the file itself it may hold secrets: mode 0600.
func (d directory) keep(h Hash, text []byte) error {
	return d.replace(string(h)+copySuffix, text)
}

// removeBut removes the texts of all configs but these, and what a crash has left half written.
func (d directory) removeBut(hashes ...Hash) error {
	names, err := d.names()
	if err != nil {
		return err
	}
	kept := map[string]bool{recordsFile: true}
	for _, h := range hashes {
		kept[string(h)+copySuffix] = true
	}
	var errs []error
	for _, name := range names {
		if !kept[name] && (strings.HasSuffix(name, copySuffix) || strings.HasSuffix(name, newSuffix)) {
			errs = append(errs, d.root.Remove(name))
		}
	}
	return errors.Join(errs...)
}

// names lists the files.
func (d directory) names() ([]string, error) {
	file, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Readdirnames(-1)
}

// readFile reads a file of at most this many bytes.
func (d directory) readFile(name string, most int64) ([]byte, error) {
	file, err := d.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return text, err
}

// replace writes a file in one step.
func (d directory) replace(name string, text []byte) error {
	file, err := d.root.OpenFile(name+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return d.root.Rename(name+newSuffix, name)
}

// sync waits until the files and their names are on the disk. If the host goes down before, what it
// leaves may be damaged: the records and texts are checked when they are read.
func (d directory) sync() error {
	names, err := d.names()
	errs := []error{err}
	for _, name := range append(names, ".") {
		file, err := d.root.Open(name)
		if err == nil {
			err = errors.Join(file.Sync(), file.Close())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// close closes the directory.
func (d directory) close() error { return d.root.Close() }
