package haproxy

// refusal is why a section that listens is not read; "" if it is.
func refusal(s *settings) string {
	switch mode := s.mode(); {
	case mode == "http":
		return "mode http is not layer 4: keep HAProxy for it, with anyport in front if it serves prefixes"
	case mode != "tcp":
		return "mode " + mode + " is not TCP"
	case s.off():
		return "the section is disabled"
	case s.option("transparent") != nil || s.option("http_proxy") != nil:
		return "it forwards to the client's dst, as a forward proxy: anyport is a reverse proxy"
	}
	return ""
}

// off reports whether the last of disabled and enabled is disabled.
func (s *settings) off() bool {
	off := false
	for _, d := range s.all {
		switch {
		case d.begins("disabled"):
			off = true
		case d.begins("enabled"):
			off = false
		}
	}
	return off
}
