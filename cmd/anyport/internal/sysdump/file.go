package sysdump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/config/secrets"
)

// readTimeout bounds each access to a file, which may be on a mount that hangs.
const readTimeout = 5 * time.Second

// readFile reads the file and learns its secrets, and those of the files of keys that it names.
func (g *gatherer) readFile() {
	text, err := slowfs.Do(g.files, "read "+g.Path, func() ([]byte, error) { return config.Read(g.Path) })
	found := secrets.Find(string(text))
	for _, path := range found.Files {
		key, err := slowfs.Do(g.files, "read "+path, func() ([]byte, error) { return readKeys(path) })
		if err != nil {
			defer g.missing("the secrets of "+path, err) // once there is a mask
		}
		found.Values = append(found.Values, words(key)...)
	}
	g.mask = secrets.NewMask(found.Values)
	if err != nil {
		g.missing("the file "+g.Path, err)
		return
	}
	g.text = append([]byte{}, text...)
}

// mostKeys bounds a file of keys.
const mostKeys = 64 << 10

// readKeys reads a regular file, and waits for no FIFO.
func readKeys(path string) ([]byte, error) {
	f, _, err := config.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, mostKeys))
}

// words are the words of a file of keys that may be one: the names of keys are short.
func words(text []byte) (all []string) {
	for _, word := range bytes.Fields(text) {
		if len(word) >= 16 {
			all = append(all, string(word))
		}
	}
	return all
}

// addFile adds the file, what anyport reads in it, and what is wrong with it.
func (g *gatherer) addFile(context.Context) {
	if g.text == nil {
		return
	}
	g.add("config.toml", "the file "+g.Path+", with *** in place of secrets", []byte(secrets.Hide(string(g.text), g.mask)))
	c, err := config.Parse(g.Path, g.text)
	var verdict strings.Builder
	if err != nil {
		fmt.Fprintln(&verdict, err)
	} else {
		fmt.Fprintf(&verdict, "ok, %d routes\n", len(c.Routes))
		for _, note := range c.Notes {
			fmt.Fprintln(&verdict, "note:", note)
		}
		g.add("effective.toml", "all values that anyport reads in it, as anyport check --effective prints them", []byte(secrets.Hide(c.Effective(), g.mask)))
	}
	g.add("check.txt", "what anyport check says about it", []byte(verdict.String()))
}

// lacksFile reports whether the file is not there. Of one on a mount that hangs nobody knows.
func (g *gatherer) lacksFile() bool {
	missing, err := slowfs.Do(g.files, "find "+g.Path, func() (bool, error) { return isMissing(g.Path), nil })
	return err == nil && missing
}

// isMissing reports whether a file is not there.
func isMissing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}
