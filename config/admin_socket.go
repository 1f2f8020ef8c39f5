package config

import (
	"strings"

	"github.com/BurntSushi/toml"

	"anyport/config/form"
	"anyport/config/position"
)

// AdminSocket returns the admin socket of the anyport that serves the file at path; "" if
// the file turns it off.
//
// A running anyport does not need its file, and a command must reach it while the file is
// being edited: so the socket is read from a broken file too, if possible, and broken says
// what is wrong with the file. If the socket cannot be read, or the file is not a regular
// one, it is the default, and known is false. A file of more than a MiB is only decoded as
// TOML, not checked: that would take seconds.
func AdminSocket(path string) (socket string, known bool, broken error) {
	text, err := Read(path)
	if err != nil {
		return DefaultAdminSocket, false, err
	}
	socket, known, broken = socketOf(path, strings.TrimPrefix(string(text), "\ufeff"))
	if broken == nil && len(text) <= maxChecked {
		_, broken = Parse(path, text)
	}
	return socket, known, broken
}

// maxChecked is the size of a file that AdminSocket checks whole, in bytes.
const maxChecked = 1 << 20

// socketFile is what AdminSocket decodes of a file.
type socketFile struct{ Admin struct{ Socket any } }

// socket checks the path as Parse would.
func (f socketFile) socket() (path string, known bool, err error) {
	if path, err = parseSocketPath(f.Admin.Socket); err != nil {
		return DefaultAdminSocket, false, err
	}
	return path, true, nil
}

// socketOf reads admin.socket and nothing else; path names the file in errors.
func socketOf(path, text string) (socket string, known bool, broken error) {
	file := socketFile{}
	file.Admin.Socket = DefaultAdminSocket
	if _, err := toml.Decode(text, &file); err != nil {
		socket, known = socketLine(text)
		_, _, problems := decode(path, position.NewDocument(text))
		return socket, known, problems
	}
	if socket, known, broken = file.socket(); broken != nil {
		rep := newReport(path, position.NewDocument(text), position.Scan(text))
		rep.add("", "admin.socket", "%s", broken)
		broken = rep.err()
	}
	return socket, known, broken
}

// adminTable is the header as a file that is not TOML may have it: the blanks are what TOML allows.
var adminTable = form.New(`^\[\s*admin\s*\]`)

// socketLine reads admin.socket from a text that is not TOML: from the first line of [admin],
// or before any table, that sets the socket when this line is decoded alone.
func socketLine(text string) (socket string, known bool) {
	table := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "[") {
			table = line
			continue
		}
		file := socketFile{}
		if table != "" && !adminTable().MatchString(table) {
			continue
		}
		if _, err := toml.Decode(table+"\n"+line, &file); err == nil && file.Admin.Socket != nil {
			socket, known, _ = file.socket()
			return socket, known
		}
	}
	return DefaultAdminSocket, false
}
