package text

import (
	"strings"

	"anyport/cmd/anyport/internal/admin"
)

// FastPath says between which devices the kernel forwards UDP flows, and what speaks against the others.
func FastPath(s admin.FastPathStatus) string {
	if s.Off != "" {
		return "off: " + s.Off
	}
	var on, off []string
	for _, d := range s.Devices {
		if d.Off == "" {
			on = append(on, d.Name)
		} else {
			off = append(off, "off on "+d.Name+": "+d.Off)
		}
	}
	text := "on no device"
	if len(on) > 0 {
		text = "between " + strings.Join(on, ", ") + " (" + s.Way + ")"
	}
	return strings.Join(append([]string{text}, off...), "; ")
}
