package daemon

import (
	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/crashloop"
)

// logGuard logs what processes before this one have died of, as far as it is known, and what serves for that.
func (d *daemon) logGuard() {
	s := d.opt.Guard.Status()
	if s.Problem != "" {
		d.log.Warn("crash-loop guard: it does not work as it should", "problem", s.Problem)
	}
	about := []any{"config", d.serving.Load().config.Path, "file", s.File.Short(), "deaths", s.Deaths}
	switch {
	case s.Off != "":
		d.log.Info("crash-loop guard: off", "because", s.Off)
	case s.Choice == crashloop.UseLasted:
		d.log.Error("crash-loop guard: anyport has died with the file: serving the last config that lasted",
			append(about, "serving", s.Lasted.Short(), "lasted_since", s.LastedAt, "lasted_with", s.LastedBy, "lasted_deaths", s.LastedDeaths,
				"hint", "mend the file and restart or reload; anyport reload also tries the file as it is")...)
	case s.Choice == crashloop.NothingLasted:
		d.log.Error("crash-loop guard: anyport has died with the file, and no config that lasted is kept: serving the file", about...)
	case s.Choice == crashloop.LastedDies:
		d.log.Error("crash-loop guard: anyport dies with a config that has lasted: the cause is the binary, the host or the traffic",
			append(about, "lasted_with", s.LastedBy, "version", d.opt.Version, "hint", "if the version has changed, install the one before; see the log of the deaths")...)
	case s.Deaths > 0:
		d.log.Warn("crash-loop guard: anyport has died within a minute of its start with this file", about...)
	}
}

// guardStatus is the state of the guard in the words of the admin API.
func (d *daemon) guardStatus() admin.GuardStatus {
	s := d.opt.Guard.Status()
	return admin.GuardStatus{
		Off: s.Off, Guarded: s.Guarded, Deaths: s.Deaths, LastedDeaths: s.LastedDeaths,
		File: string(s.File), Serving: string(s.Serving), Lasted: string(s.Lasted), LastedSince: s.LastedAt, LastedWith: s.LastedBy,
		Problem: s.Problem,
	}
}
