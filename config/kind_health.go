package config

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// mostPayload is how many bytes a check sends or expects at most.
const mostPayload = 4096

// payload is what a check sends or expects: text, or bytes in hexadecimal after "hex:".
var payload = kind[string]{parsePayload, printPayload, shape{"type": "string"}}

func parsePayload(value any) (string, error) {
	v, ok := value.(string)
	if !ok {
		return "", newRefusal("String", value, "is not a string", `write it in quotes, "" for none, or bytes as "hex:6162"`)
	}
	if digits, isHex := strings.CutPrefix(v, "hex:"); isHex {
		if _, err := hex.DecodeString(digits); err != nil {
			return "", newRefusal("", value, "is not in hexadecimal", `write two digits for each byte, such as "hex:6162"`)
		}
	}
	if len(Payload(v)) > mostPayload {
		return "", newRefusal("", value, "is too long", fmt.Sprintf("write at most %d bytes", mostPayload))
	}
	return v, nil
}

// Payload is the bytes that send and expect of a check stand for.
func Payload(text string) []byte {
	digits, isHex := strings.CutPrefix(text, "hex:")
	if !isHex {
		return []byte(text)
	}
	bytes, _ := hex.DecodeString(digits) // parsePayload has refused what is not hexadecimal
	return bytes
}

// printPayload writes control characters as TOML has them; Go's \x00 is not one of its escapes.
func printPayload(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString("\\" + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// httpPath is what a check asks an HTTP server for.
var httpPath = kind[string]{parseHTTPPath, strconv.Quote, pattern("/[!-~]*")}

func parseHTTPPath(value any) (string, error) {
	v, ok := value.(string)
	if !ok || !strings.HasPrefix(v, "/") || len(v) > mostPayload || strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return "", newRefusal("", value, "is not a path", `begin it with a slash, and write %20 for a space, such as "/health"`)
	}
	return v, nil
}

// orEmpty reads "", which is 0, or what k reads.
func orEmpty(k kind[time.Duration]) kind[time.Duration] {
	parse := func(value any) (time.Duration, error) {
		if value == any("") {
			return 0, nil
		}
		d, err := k.parse(value)
		return d, withAlternative(err, `, or "" for none`)
	}
	return kind[time.Duration]{parse, func(d time.Duration) string {
		if d == 0 {
			return `""`
		}
		return k.print(d)
	}, pattern("|" + durationForm)}
}
