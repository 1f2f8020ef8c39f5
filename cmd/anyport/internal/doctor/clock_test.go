package doctor

import (
	"testing"

	"anyport/config/hours"
)

func TestClock(t *testing.T) {
	scheduled := func(synced bool) func(*Facts) {
		return func(f *Facts) {
			e, err := hours.Parse("Mon..Fri 08:00..18:00 UTC")
			if err != nil {
				t.Fatal(err)
			}
			r := *f.Config.Routes[0]
			r.Active = hours.Schedule{e}
			c := *f.Config
			c.Routes = append(c.Routes[:0:0], &r)
			f.Config, f.ClockSynced = &c, synced
		}
	}
	run(t, "clock", []example{
		{"nothing goes by it", func(*Facts) {}, []Status{OK}, "no route has active or needs a dated knock", ""},
		{"kept right", scheduled(true), []Status{OK}, "a time daemon keeps it right", ""},
		{"left alone, with knocks", func(f *Facts) {
			f.Config, f.ClockSynced = takesKnocks(f.Config), false
		}, []Status{Warning}, "no time daemon", "timedatectl set-ntp true   # or start chrony or ntpd"},
		{"left alone", scheduled(false), []Status{Warning}, "no time daemon", "timedatectl set-ntp true   # or start chrony or ntpd"},
	})
}
