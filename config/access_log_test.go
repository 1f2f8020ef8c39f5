package config

import "testing"

func TestDestination(t *testing.T) {
	for text, want := range map[string]Destination{
		"":                                    {},
		"stderr":                              {Kind: ToStderr},
		"journal":                             {ToJournal, "unixgram", "/run/systemd/journal/socket"},
		"syslog":                              {ToSyslog, "unixgram", "/dev/log"},
		"syslog:udp://192.0.2.9:514":          {ToSyslog, "udp", "192.0.2.9:514"},
		"syslog:tcp://[2001:db8::9]:601":      {ToSyslog, "tcp", "[2001:db8::9]:601"},
		"syslog:unix:///run/rsyslog/dev.sock": {ToSyslog, "unixgram", "/run/rsyslog/dev.sock"},
		"/var/log/a.log":                      {Kind: ToFile, Address: "/var/log/a.log"},
		"./a.log":                             {Kind: ToFile, Address: "./a.log"},
	} {
		if got, ok := parseDestination(text); got != want || !ok {
			t.Errorf("%q: %+v, %v, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"a.log", "journald", "syslog:", "syslog:/dev/log", "syslog:unix://dev/log", "syslog:udp://log.example.com:514",
		"syslog:udp://192.0.2.9", "syslog:tcp://192.0.2.9:0", "syslog:tls://192.0.2.9:6514",
	} {
		if got, err := parseAccessLog(text); err == nil {
			t.Errorf("%q is accepted as %q", text, got)
		}
	}
}

func TestPercent(t *testing.T) {
	for value, want := range map[any]Percent{"1%": 1, "0.5%": 0.5, "100%": 100, "0%": 0, 0.07: 7, 0.01: 1, int64(1): 100, int64(0): 0} {
		got, err := parsePercent(value)
		if again, _ := parsePercent(got.String()); got != want || err != nil || again != got {
			t.Errorf("%v: %v, %v, want %v; read again %v", value, got, err, want, again)
		}
	}
	for _, value := range []any{"", "%", "1", "-1%", "101%", "1e1%", "0x1%", "+1%", "NaN%", 1.5, -0.1, int64(2), int64(-1), true} {
		if got, err := parsePercent(value); err == nil {
			t.Errorf("%v is accepted as %v", value, got)
		}
	}
}
