package text

import (
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// guardLines says what the guard against crash loops has done; nothing as long as it had nothing to do.
func guardLines(g admin.GuardStatus) (lines [][2]string) {
	const name = "CRASHED"
	if g.Guarded {
		since := ""
		if g.LastedSince != nil {
			since = " of " + g.LastedSince.Local().Format(time.DateTime)
		}
		return [][2]string{{name, fmt.Sprintf("anyport has died with the file: serving the config%s, the last that lasted; mend the file and type anyport reload", since)}}
	}
	if g.Deaths > 0 {
		lines = append(lines, [2]string{name, fmt.Sprintf("%s within a minute of a start with this file, in the hour before this one", Count(g.Deaths, "time", "times"))})
	}
	return lines
}
