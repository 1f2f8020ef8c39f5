package config

import (
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"anyport/config/position"
)

// AdminSocket returns where the anyport that serves the file at path is asked; "" where
// the file says that it cannot be. A running anyport does not need its file, so of one
// that is at fault the socket is read all the same, if it can be; broken says what is
// wrong with the file. Where the socket cannot be read, or the file is not a regular one,
// it is the default, and told is false. A file of more than a MiB is checked for its form alone: all of
// it takes seconds.
func AdminSocket(path string) (socket string, told bool, broken error) {
	text, err := Read(path)
	if err != nil {
		return DefaultAdminSocket, false, err
	}
	socket, told, broken = socketOf(path, strings.TrimPrefix(string(text), "\ufeff"))
	if broken == nil && len(text) <= maxChecked {
		_, broken = Parse(path, text)
	}
	return socket, told, broken
}

// maxChecked is the size of a file that AdminSocket checks whole, in bytes.
const maxChecked = 1 << 20

// socketFile is what AdminSocket decodes of a file.
type socketFile struct{ Admin struct{ Socket any } }

func (f socketFile) socket() (path string, told bool, err error) {
	if path, err = parseSocketPath(f.Admin.Socket); err != nil {
		return DefaultAdminSocket, false, err
	}
	return path, true, nil
}

func socketOf(path, text string) (socket string, told bool, broken error) {
	file := socketFile{}
	file.Admin.Socket = DefaultAdminSocket
	if _, err := toml.Decode(text, &file); err != nil {
		socket, told = socketLine(text)
		_, _, problems := decode(path, position.NewDocument(text))
		return socket, told, problems
	}
	if socket, told, broken = file.socket(); broken != nil {
		rep := newReport(path, position.NewDocument(text), position.Scan(text))
		rep.add("", "admin.socket", "%s", broken)
		broken = rep.err()
	}
	return socket, told, broken
}

var adminTable = regexp.MustCompile(`^\[\s*admin\s*\]`)

// socketLine reads admin.socket of a text that is not TOML: from the first line of [admin],
// or before any table, that sets it when it is read alone.
func socketLine(text string) (socket string, told bool) {
	table := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "[") {
			table = line
			continue
		}
		file := socketFile{}
		if table != "" && !adminTable.MatchString(table) {
			continue
		}
		if _, err := toml.Decode(table+"\n"+line, &file); err == nil && file.Admin.Socket != nil {
			socket, told, _ = file.socket()
			return socket, told
		}
	}
	return DefaultAdminSocket, false
}
