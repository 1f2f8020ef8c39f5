package accesslog

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// facility is daemon (RFC 5424, section 6.2.1).
const facility = 3

// syslog makes messages of RFC 5424: its header, and then the line as in a file.
type syslog struct {
	rest   string // of the header, behind the time
	format func(b []byte, e *entry) []byte
}

func newSyslog(format func([]byte, *entry) []byte) *syslog {
	return &syslog{fmt.Sprintf(" %s anyport %d access - ", syslogHost(), os.Getpid()), format}
}

// syslogHost is the name of this host as a header has it: printable ASCII; "-": it has none.
func syslogHost() string {
	name, err := os.Hostname()
	if err != nil || name == "" || len(name) > 255 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return "-"
	}
	return name
}

// appendLine appends a message with a line break at its end: one of a stream.
func (s *syslog) appendLine(b []byte, e *entry) []byte {
	b = strconv.AppendInt(append(b, '<'), int64(facility*8+e.severity()), 10)
	b = e.at().AppendFormat(append(b, ">1 "...), timeForm)
	return s.format(append(b, s.rest...), e)
}

// append appends a message that is a datagram.
func (s *syslog) append(b []byte, e *entry) []byte {
	b = s.appendLine(b, e)
	return b[:len(b)-1]
}
