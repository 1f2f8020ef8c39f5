package nginx

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
)

// Read reads a configuration; name is its path, which includes are relative to.
func Read(name, text string, o proxyconf.Options) (*proxyconf.Reading, error) {
	list, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	in := &includer{options: o, folder: filepath.Dir(name), open: []string{filepath.Clean(name)}}
	list = in.expand(list)
	if err := errors.Join(in.faults...); err != nil {
		return nil, err
	}
	r := &reader{options: o, reading: &proxyconf.Reading{}}
	if isSnippet(list) {
		r.stream(list)
		return r.reading, nil
	}
	for _, d := range list {
		r.add(d, "")
		switch d.name {
		case "stream":
			d.Became("route")
			r.stream(d.block)
		case "http", "mail":
			d.Leave("%s is not layer 4: keep nginx for it; its %d directives are not read", d.name, count(d.block))
		case "include":
		default:
			r.addAll(d.block, d.name)
			d.Otherwise = processReason(d)
			for _, inner := range d.block {
				inner.Otherwise = processReason(inner)
			}
		}
	}
	return r.reading, nil
}

// isSnippet reports whether a file has what stands within stream: sites are often files of their own.
func isSnippet(list []*directive) bool {
	snippet := false
	for _, d := range list {
		switch d.name {
		case "stream", "http", "mail", "events":
			return false
		case "server":
			if slices.ContainsFunc(d.block, func(d *directive) bool { return d.name == "location" || d.name == "server_name" }) {
				return false
			}
			snippet = true
		case "upstream":
			snippet = true
		}
	}
	return snippet
}

// reader makes services of stream blocks. It lives for one Read and is used by one goroutine. An
// upstream that several servers use is read once for each of them; its lines collect the marks of all.
type reader struct {
	options proxyconf.Options
	reading *proxyconf.Reading
	outer   []*directive // of the stream block
}

// add lists a directive, and sets why it is left if nothing marks it.
func (r *reader) add(d *directive, section string) {
	d.Section = section
	if d.name != "include" {
		d.Otherwise = reasonFor(d)
	}
	r.reading.Lines = append(r.reading.Lines, d.Line)
}

// addAll lists the directives of a block, and of the blocks in it.
func (r *reader) addAll(list []*directive, section string) {
	for _, d := range list {
		r.add(d, section)
		if d.opens {
			r.addAll(d.block, strings.TrimSpace(d.name+" "+d.arg(0)))
		}
	}
}

// stream reads what stands in a stream block.
func (r *reader) stream(list []*directive) {
	r.outer = list
	r.addAll(list, "stream")
	for _, d := range list {
		if d.name == "server" && d.opens {
			r.service(d)
		}
	}
}

// server is a server block, with what it inherits.
type server struct {
	*directive
	outer   []*directive
	listens []proxyconf.Listen
}

// last is the directive of a name that is in force: the server's own, or that of the stream block.
func (s *server) last(name string) *directive {
	for _, list := range [][]*directive{s.block, s.outer} {
		for _, d := range slices.Backward(list) {
			if d.name == name && !d.opens {
				return d
			}
		}
	}
	return nil
}

// on is the directive of a name, if it is switched on.
func (s *server) on(name string) *directive {
	if d := s.last(name); d != nil && d.arg(0) == "on" {
		return d
	}
	return nil
}

// each are the directives of some names. Those of the stream block are inherited if the server has none:
// nginx never merges the two lists.
func (s *server) each(names ...string) []*directive {
	for _, list := range [][]*directive{s.block, s.outer} {
		var found []*directive
		for _, d := range list {
			if slices.Contains(names, d.name) {
				found = append(found, d)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// service reads a server block.
func (r *reader) service(d *directive) {
	s := &server{directive: d, outer: r.outer}
	if reason := s.refusal(); reason != "" {
		r.leave(s, reason)
		return
	}
	if s.listens = r.listens(s); len(s.listens) == 0 {
		r.leave(s, "none of its addresses can be served")
		return
	}
	choices, reason := r.choices(s)
	if reason != "" {
		s.last("proxy_pass").Leave("%s", reason)
		r.leave(s, "it has no server that anyport can use")
		return
	}
	d.Became("route")
	r.reading.Services = append(r.reading.Services, &proxyconf.Service{
		Name: s.serviceName(choices), Line: d.Line, Listens: s.listens, Choices: choices,
	})
}

// leave leaves a server whole.
func (r *reader) leave(s *server, reason string) {
	s.Leave("%s", reason)
	for _, d := range s.block {
		d.Otherwise = "its server is left"
	}
}

// refusal is why a server is not read; "" if it is.
func (s *server) refusal() string {
	switch {
	case s.last("proxy_pass") == nil:
		return "it has no proxy_pass: nginx answers by itself"
	case s.on("proxy_ssl") != nil:
		return "proxy_ssl: nginx encrypts to the servers, and anyport relays bytes as they are"
	}
	return ""
}
