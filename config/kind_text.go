package config

import (
	"net/netip"
	"path/filepath"
	"strings"

	"anyport/config/form"
)

// The keys that hold a string.
var (
	userName   = textual(pattern(accountForm), parseUserName)
	groupName  = textual(pattern(accountForm), parseGroupName)
	pinPath    = textual(pattern(PinAuto+`|/`+line+`|`), parsePinPath)
	socketPath = textual(pattern(`([^@\x00-\x1f]`+line+`)?`).with("maxLength", 107), parseSocketPath)
	hostPort   = textual(pattern(`((\[`+addressForm+`(%`+line+`)?\]|[0-9.]+):[0-9]+)?`), parseHostPort)
	hostName   = textual(pattern(nameChars), parseHostName)
	accessLog  = textual(pattern(`|stderr|journal|syslog(:(udp|tcp|unix)://`+line+`)?|`+line+`/`+line), parseAccessLog)
	keyFile    = textual(pattern(`(/`+line+`)?`), parseKeyFile)
	proxyTLV   = textual(pattern(`unique-id|authority|crc32c|pass|0xE[0-9A-F]=[^\n]*|0x[0-9A-F]{2}(-0x[0-9A-F]{2})?`), parseProxyTLV)
)

// userForm is a name as useradd(8) makes them, or a number.
var userForm = form.New("^(" + accountForm + ")$")

// accountForm is userForm without its ends.
const accountForm = `([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9})?`

// parseUserName checks only the form: whether the user exists is for the start to find out, on
// the host that has the user.
func parseUserName(value any) (string, error) {
	name, err := text(value)
	if err == nil && !userForm().MatchString(name) {
		err = newRefusal("User", value, "is not the name of a user", `write one such as "anyport", a number, or "" to stay`)
	}
	return name, err
}

// parseGroupName checks only the form, likewise.
func parseGroupName(value any) (string, error) {
	name, err := text(value)
	if err == nil && !userForm().MatchString(name) {
		err = newRefusal("Group", value, "is not the name of a group", `write one such as "adm", a number, or "" for none`)
	}
	return name, err
}

// parsePinPath reads PinAuto or the path of a directory. A bpffs refuses names with a dot: they
// are reserved (kernel/bpf/inode.c, bpf_lookup).
func parsePinPath(value any) (string, error) {
	path, err := text(value)
	switch {
	case err != nil || path == "" || path == PinAuto:
		return path, err
	case !filepath.IsAbs(path):
		return "", newRefusal("Path", value, "is not an absolute path", `begin it with a slash, or write "auto", or "" for none`)
	case strings.Contains(filepath.Base(path), "."):
		return "", newRefusal("Path", value, "has a dot in its last part, which a bpffs does not accept", "remove the dot")
	}
	return filepath.Clean(path), nil
}

// parseKeyFile reads the path of a file that is not looked at here: a check may run as another user.
func parseKeyFile(value any) (string, error) {
	path, err := text(value)
	if err != nil || path == "" || filepath.IsAbs(path) {
		return path, err
	}
	return "", newRefusal("Path", value, "is not an absolute path", `begin it with a slash, or write "" for none`)
}

// parseSocketPath reads a path that fits sockaddr_un (unix(7): 108 bytes with the final
// NUL) and names a file, since an abstract socket has no permissions.
func parseSocketPath(value any) (string, error) {
	path, err := text(value)
	if err != nil {
		return "", err
	}
	if len(path) > 107 {
		return "", newRefusal("Path", value, "is longer than a socket's path can be", "write at most 107 bytes")
	}
	if strings.HasPrefix(path, "unix:") {
		return "", newRefusal("Path", value, "is a URL", "write only the path")
	}
	if strings.HasPrefix(path, "@") {
		return "", newRefusal("Path", value, "is an abstract socket, open to every user", "write the path of a file")
	}
	return path, nil
}

// parseHostPort takes no name for the address: it would have to be resolved before the network
// is up.
func parseHostPort(value any) (string, error) {
	address, err := text(value)
	if err != nil || address == "" {
		return "", err
	}
	if a, err := netip.ParseAddrPort(address); err != nil || a.Port() == 0 {
		return "", newRefusal("HostPort", value, "is not an address with a port", `write one such as "127.0.0.1:9765", or "" for none`)
	}
	return address, nil
}

// parseHostName takes a name without a port, as a Host header has it.
func parseHostName(value any) (string, error) {
	name, err := text(value)
	if err == nil && !isName(name) {
		err = newRefusal("Name", value, "is not a DNS name", `write one without a port, such as "edge1.example.com"`)
	}
	return name, err
}
