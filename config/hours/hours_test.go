package hours_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"anyport/config/hours"
)

func schedule(t *testing.T, texts ...string) (s hours.Schedule) {
	t.Helper()
	for _, text := range texts {
		e, err := hours.Parse(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		s = append(s, e)
	}
	return s
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestChanges lists all changes from one moment on: what an operator would expect.
func TestChanges(t *testing.T) {
	for name, test := range map[string]struct {
		entries string // separated by ;
		from    string
		want    []string // the first is the first change after from
	}{
		"office hours": {"Mon..Fri 08:00..18:00 Europe/Stockholm", "2026-11-27T12:00:00+01:00",
			[]string{"2026-11-27T18:00:00+01:00", "2026-11-30T08:00:00+01:00"}},
		"the last minute is outside": {"08:00..18:00 UTC", "2026-11-27T17:59:59Z",
			[]string{"2026-11-27T18:00:00Z", "2026-11-28T08:00:00Z"}},
		"over midnight, of the day where it begins": {"Mon 22:00..06:00 UTC", "2026-11-29T00:00:00Z",
			[]string{"2026-11-30T22:00:00Z", "2026-12-01T06:00:00Z", "2026-12-07T22:00:00Z"}},
		"days that wrap": {"Sat..Mon UTC", "2026-11-25T00:00:00Z",
			[]string{"2026-11-28T00:00:00Z", "2026-12-01T00:00:00Z"}},
		"dates": {"2026-12-24..26 UTC", "2026-11-25T00:00:00Z",
			[]string{"2026-12-24T00:00:00Z", "2026-12-27T00:00:00Z", ""}},
		"every year": {"*-12-24 10:00..12:00 UTC", "2026-12-24T11:00:00Z",
			[]string{"2026-12-24T12:00:00Z", "2027-12-24T10:00:00Z"}},
		"leap days": {"02-29 UTC", "2026-11-25T00:00:00Z",
			[]string{"2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z", "2032-02-29T00:00:00Z"}},
		"a leap day on a Monday": {"Mon 02-29 UTC", "2026-11-25T00:00:00Z",
			[]string{"2044-02-29T00:00:00Z"}},
		"several entries": {"Mon..Fri 08:00..12:00,13:00..18:00 UTC; Sat 10:00..14:00 UTC", "2026-11-27T11:00:00Z",
			[]string{"2026-11-27T12:00:00Z", "2026-11-27T13:00:00Z", "2026-11-27T18:00:00Z", "2026-11-28T10:00:00Z"}},
		"entries that touch": {"08:00..12:00 UTC; 12:00..18:00 UTC", "2026-11-27T11:00:00Z",
			[]string{"2026-11-27T18:00:00Z"}},
		"the skipped hour holds the begin": {"02:30..04:00 Europe/Stockholm", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"}},
		"a window in the skipped hour": {"02:15..02:45 Europe/Stockholm", "2026-03-28T12:00:00Z",
			[]string{"2026-03-30T02:15:00+02:00"}},
		"a window in the doubled hour occurs twice": {"02:15..02:45 Europe/Stockholm", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T02:15:00+02:00", "2026-10-25T02:45:00+02:00", "2026-10-25T02:15:00+01:00", "2026-10-25T02:45:00+01:00"}},
		"always":          {"00:00..24:00 UTC", "2026-11-27T11:00:00Z", []string{""}},
		"always in force": {"Mon..Sun UTC", "2026-11-27T11:00:00Z", []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			s, at := schedule(t, strings.Split(test.entries, ";")...), moment(t, test.from)
			for _, want := range test.want {
				next, ok := s.Next(at)
				if !ok && want == "" {
					return
				}
				if want == "" || !ok || !next.Equal(moment(t, want)) {
					t.Fatalf("after %s: %v %v, want %q", at, next, ok, want)
				}
				at = next
			}
		})
	}
}

// TestRefused: the message names the part at fault, and what to write.
func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                              `has no days and no hours: write such as "Mon..Fri 08:00..18:00 Europe/Stockholm"`,
		"Mon-Fri 08:00..18:00":          `"Mon-Fri" is not a range of weekdays: write "Mon..Fri 08:00..18:00"`,
		"Mon..Fri 08:00-18:00":          `"08:00-18:00" is not a range of hours: write "Mon..Fri 08:00..18:00"`,
		"Mo..Fr 08:00..18:00":           `"Mo..Fr" is not a weekday: write Mon, Tue, Wed, Thu, Fri, Sat or Sun, a range such as Mon..Fri, or a list such as Sat,Sun`,
		"Mon 08:00":                     `"08:00" is one moment: write from when to when, such as 08:00..18:00`,
		"Mon 08:00..25:00":              `"08:00..25:00" are not hours: write HH:MM..HH:MM, from 00:00 to 24:00, such as 08:00..18:00`,
		"08:00..08:00":                  `"08:00..08:00" begins when it ends: write 00:00..24:00, or no hours, for the whole day`,
		"08:00..12:00,11:00..13:00":     `"08:00..12:00,11:00..13:00" has hours that overlap at 11:00: join them, or write two entries`,
		"08:00..18:00 europe/stockholm": `"europe/stockholm" is not a time zone: write "08:00..18:00 Europe/Stockholm"`,
		"08:00..18:00 Europe/Stokholm":  `"Europe/Stokholm" is not a time zone: write a name such as Europe/Stockholm or UTC, or leave it out for the zone of the host`,
		"08:00..18:00 Mon":              `"Mon" is not a time zone: write a name such as Europe/Stockholm or UTC, or leave it out for the zone of the host`,
		"*-02-30":                       `"*-02-30" does not occur in any year: write a date that there is`,
		"2027-02-29":                    `"2027-02-29" does not occur in any year: write a date that there is`,
		"2026-13-01":                    `"2026-13-01" has the month "13": write *, a number from 1 to 12, a range such as 1..12, or a list with commas`,
		"2026-12-24..2027-01-06":        `"2026-12-24..2027-01-06" is not a date: write such as 2026-12-24, 2026-12-24..26 or *-12-24; a range over two months takes two entries`,
		"Mon 08:00..18:00 UTC UTC":      `"UTC" is left over: the order is weekdays, dates, hours, zone; write such as "Mon..Fri 08:00..18:00 Europe/Stockholm"`,
		"08:00..18:00 2026-12-24":       `"2026-12-24" is left over: the order is weekdays, dates, hours, zone; write such as "Mon..Fri 08:00..18:00 Europe/Stockholm"`,
	} {
		_, err := hours.Parse(text)
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
		var refused *hours.Error
		if errors.As(err, &refused) && refused.Fix != "" {
			if _, err := hours.Parse(refused.Fix); err != nil {
				t.Errorf("%q: its fix %q is refused: %v", text, refused.Fix, err)
			}
		}
	}
}

// TestSystemd compares the days with those of systemd, which knows moments, not windows: the first
// begin of a day-long window is the moment at midnight.
func TestSystemd(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	for _, days := range []string{"Mon", "Mon..Fri", "Sat,Sun", "*-12-24", "*-12-24..26", "2028-*-01", "Mon 02-29", "Fri *-*-13", "02-29", "*-01,07-01", "Tuesday,thu"} {
		out, err := exec.Command("systemd-analyze", "calendar", "--base-time=2026-11-25 12:00:00 UTC", days+" 00:00 UTC").Output()
		if err != nil {
			t.Fatalf("%s: %v", days, err)
		}
		_, line, _ := strings.Cut(string(out), "Next elapse: ")
		line, _, _ = strings.Cut(line, "\n")
		want, err := time.Parse("Mon 2006-01-02 15:04:05 MST", line)
		if err != nil {
			t.Fatalf("%s: %v in\n%s", days, err, out)
		}
		s, at := schedule(t, days+" 00:00..00:01 UTC"), moment(t, "2026-11-25T12:00:00Z")
		if next, ok := s.Next(at); !ok || !next.Equal(want) {
			t.Errorf("%s: next %v %v, systemd %v", days, next, ok, want)
		}
	}
}

// FuzzParse: what is read prints as it was read, and has a next change or none, without a panic.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"Mon..Fri 08:00..18:00 Europe/Stockholm", "*-12-24..26", "22:00..06:00 UTC", "2026-*-1,15 Sat", "02-29 02:15..02:45"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := hours.Parse(text)
		if err != nil {
			return
		}
		again, err := hours.Parse(e.String())
		at := time.Unix(1.8e9, 0)
		if err != nil || again.String() != e.String() || (hours.Schedule{e}).Contains(at) != (hours.Schedule{again}).Contains(at) {
			t.Errorf("%q: printed %q, read again as %q: %v", text, e, again, err)
		}
	})
}
