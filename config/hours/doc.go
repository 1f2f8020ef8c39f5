// Package hours says when a schedule is in force: systemd's calendar words in a named time zone,
// such as "Mon..Fri 08:00..18:00 Europe/Stockholm".
//
// A [Schedule] is a list of entries, and is in force while one of them is. An entry is in force in
// exactly the minutes in which the clock on a wall of its zone shows a time in its windows on one of
// its days. So a window in the hour that daylight saving skips does not occur on that day, and one
// in the doubled hour occurs twice. A window over midnight belongs to the day on which it begins.
//
// The package is pure: it takes the time as an argument, and reads only the database of time zones.
package hours
