package config

import (
	"fmt"
	"os"

	"github.com/BurntSushi/toml"
)

// AdminSocket reads admin.socket alone, so that a running anyport can be asked while
// its file is at fault elsewhere.
func AdminSocket(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the configuration: %w; name another file with -c", err)
	}
	file := struct{ Admin struct{ Socket any } }{}
	file.Admin.Socket = DefaultAdminSocket
	if _, err := toml.Decode(string(text), &file); err != nil {
		return "", Problems{syntaxProblem(path, err)}
	}
	socket, err := socketPath(file.Admin.Socket)
	if err != nil {
		return "", Problems{{File: path, Key: "admin.socket", Text: err.Error()}}
	}
	return socket, nil
}
