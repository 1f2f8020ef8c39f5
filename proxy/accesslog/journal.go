package accesslog

import (
	"bytes"
	"encoding/binary"
	"strings"

	"anyport/proxy/route"
)

// messageID is the MESSAGE_ID of all entries: journalctl MESSAGE_ID=… shows the access log, and nothing
// else.
const messageID = "5b1ff8a30f5c4ce0b6a1bd1c8f3f2f17"

// journalNames are the fields as the journal names them.
var journalNames = func() (names []string) {
	for _, f := range fields {
		names = append(names, "ANYPORT_"+strings.ToUpper(f.name))
	}
	return names
}()

// Severities of syslog.
const (
	notice = 5 // what ended otherwise than it should
	info   = 6
)

func (e *entry) severity() int {
	if e.kind == progressLine || e.kind == endLine && route.Normal(e.Protocol, e.Verdict, e.Attempts) {
		return info
	}
	return notice
}

// journalEntry appends an entry in the journal's native protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
func journalEntry(b []byte, e *entry) []byte {
	message := readable(appendMessage(nil, e))
	b = appendJournal(b, "MESSAGE", message)
	b = appendJournal(b, "PRIORITY", []byte{byte('0' + e.severity())})
	b = appendJournal(b, "SYSLOG_IDENTIFIER", []byte("anyport"))
	b = appendJournal(b, "MESSAGE_ID", []byte(messageID))
	value := message[:0]
	for i := range fields {
		if f := &fields[i]; f.in&e.kind != 0 {
			if value = f.value(value[:0], e); len(value) > 0 || f.always() {
				b = appendJournal(b, journalNames[i], value)
			}
		}
	}
	return b
}

// appendJournal appends one field: a value with a line break goes with its length.
func appendJournal(b []byte, name string, value []byte) []byte {
	b = append(b, name...)
	if bytes.IndexByte(value, '\n') < 0 {
		return append(append(append(b, '='), value...), '\n')
	}
	b = binary.LittleEndian.AppendUint64(append(b, '\n'), uint64(len(value)))
	return append(append(b, value...), '\n')
}
