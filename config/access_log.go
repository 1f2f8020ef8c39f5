package config

import (
	"net/netip"
	"path/filepath"
	"strings"
)

// DestinationKind is what kind of thing the access log goes to.
type DestinationKind uint8

// The kinds.
const (
	ToNowhere DestinationKind = iota
	ToStderr
	ToFile
	ToJournal
	ToSyslog
)

// Destination is log.access, taken apart.
type Destination struct {
	Kind    DestinationKind
	Network string // ToSyslog: unixgram, udp or tcp
	Address string // of ToSyslog and ToJournal: a path, or an address with a port; of ToFile its path
}

// The sockets of the host's log daemons.
const (
	journalSocket = "/run/systemd/journal/socket"
	syslogSocket  = "/dev/log"
)

// Destination is where the access log goes.
func (l Log) Destination() Destination {
	d, _ := parseDestination(l.Access)
	return d
}

// parseDestination wants a slash in a path, so that a mistyped "stderr" does not become a file. The address
// of a log server is no name: it would have to be resolved before the network is up.
func parseDestination(text string) (d Destination, ok bool) {
	rest, isSyslog := strings.CutPrefix(text, "syslog:")
	switch {
	case text == "":
		return Destination{}, true
	case text == "stderr":
		return Destination{Kind: ToStderr}, true
	case text == "journal":
		return Destination{Kind: ToJournal, Network: "unixgram", Address: journalSocket}, true
	case text == "syslog":
		return Destination{Kind: ToSyslog, Network: "unixgram", Address: syslogSocket}, true
	case isSyslog:
		return parseSyslog(rest)
	}
	return Destination{Kind: ToFile, Address: text}, strings.Contains(text, "/")
}

// parseSyslog reads what stands behind "syslog:".
func parseSyslog(text string) (d Destination, ok bool) {
	network, address, _ := strings.Cut(text, "://")
	d = Destination{Kind: ToSyslog, Network: network, Address: address}
	switch network {
	case "unix":
		d.Network = "unixgram"
		return d, filepath.IsAbs(address) && len(address) <= 107
	case "udp", "tcp":
		to, err := netip.ParseAddrPort(address)
		return d, err == nil && to.Port() != 0
	}
	return d, false
}

// parseAccessLog reads a destination of the access log.
func parseAccessLog(value any) (string, error) {
	to, err := text(value)
	if err != nil {
		return "", err
	}
	if _, ok := parseDestination(to); !ok {
		return "", newRefusal("Log", value, "is not a destination for the access log",
			`write "stderr", "journal", "syslog", "syslog:udp://192.0.2.9:514" (or tcp://, or unix:///dev/log), a path with a slash, or "" for none`)
	}
	return to, nil
}
