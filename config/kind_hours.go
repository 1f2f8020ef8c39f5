package config

import (
	"errors"
	"fmt"

	"anyport/config/habits"
	"anyport/config/hours"
)

// activeHours is when a route is in force: one entry of a schedule.
var activeHours = textual(parseHours)

// parseHours has the errors of package hours in the words of this one.
func parseHours(value any) (hours.Entry, error) {
	const want = "Hours"
	v, ok := value.(string)
	if !ok {
		return hours.Entry{}, newRefusal(want, value, "is not a string", `write such as "Mon..Fri 08:00..18:00 Europe/Stockholm"`)
	}
	entry, err := hours.Parse(v)
	var refused *hours.Error
	if !errors.As(err, &refused) {
		return entry, err
	}
	m := refusal{want: want, found: fmt.Sprintf("%s %s", show(value), refused.Is), cure: refused.Cure}
	if refused.Part != "" && refused.Part != v {
		m.found = fmt.Sprintf("%s: %s %s", show(value), show(refused.Part), refused.Is)
	}
	if refused.Fix != "" {
		m.fix = habits.Quote(refused.Fix)
	}
	return entry, m
}
