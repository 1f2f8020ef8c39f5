package origin

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// ErrorClass says in one word why an origin did not take a conn or flow. The word is in the log, in the
// metrics' label "error", in status and in the access log.
type ErrorClass uint8

// The classes. The zero value is none.
const (
	NoError          ErrorClass = iota
	ErrorRefused                // RST, or ICMP port unreachable: nobody has the port open
	ErrorTimeout                // no answer within connect_timeout, or within the kernel's own
	ErrorUnreachable            // no route to it, or ICMP from the way
	ErrorReset                  // it accepted a conn, and reset it before it sent a byte
	ErrorDNS                    // its name has no address
	ErrorHeader                 // the PROXY header for it cannot be made
	ErrorLocal                  // this host cannot dial: no free port, no such source address

	// ErrorClasses is the number of classes.
	ErrorClasses
)

var errorWords = [ErrorClasses]string{
	ErrorRefused: "refused", ErrorTimeout: "timeout", ErrorUnreachable: "unreachable", ErrorReset: "reset",
	ErrorDNS: "dns", ErrorHeader: "header", ErrorLocal: "local",
}

func (c ErrorClass) String() string { return errorWords[c] }

// ParseErrorClass is the inverse of String. It returns NoError for a word that it does not know: one of a
// later version.
func ParseErrorClass(word string) ErrorClass {
	return ErrorClass(max(slices.Index(errorWords[:], word), 0))
}

// ErrNoAddress is the error of a dial of an origin whose name has no address.
var ErrNoAddress = errors.New("its name has no address yet")

// ClassOf says what the error of a dial, or an ICMP error, means, and the errno that it has; 0: none.
func ClassOf(err error) (c ErrorClass, errno unix.Errno) {
	if errors.Is(err, ErrNoAddress) {
		return ErrorDNS, 0
	}
	errors.As(err, &errno)
	switch errno {
	case unix.ECONNREFUSED:
		return ErrorRefused, errno
	case unix.ETIMEDOUT:
		return ErrorTimeout, errno
	case unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENONET, unix.ENOPROTOOPT, unix.EACCES: // icmp_err_convert, tab_unreach
		return ErrorUnreachable, errno
	case unix.ECONNRESET, unix.EPIPE:
		return ErrorReset, errno
	}
	return ErrorLocal, errno
}
