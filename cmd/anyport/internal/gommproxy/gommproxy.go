package gommproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// commandLine is the name of the input in the report; lines are its arguments.
const commandLine = "go-mmproxy"

// option is one option with its value.
type option struct {
	*proxyconf.Line
	name, value string
}

// Read reads the arguments, with or without the name of the program before them.
func Read(args []string, o proxyconf.Options) (*proxyconf.Reading, error) {
	r := &reader{files: o, forwarding: &proxyconf.Forwarding{}, reading: &proxyconf.Reading{}}
	if err := r.parse(args); err != nil {
		return nil, err
	}
	r.listen = &proxyconf.Listen{Protocol: config.TCP, Address: netip.IPv4Unspecified(), Ports: config.PortRange{First: 8443, Last: 8443}}
	for _, read := range []func(option) error{r.readProtocol, r.readListen, r.readOrigin, r.readPeers, r.readOther} {
		for _, opt := range r.options {
			if err := read(opt); err != nil {
				return nil, fmt.Errorf("%s %s: %w", opt.Place(), opt.Text, err)
			}
		}
	}
	return r.finish()
}

// reader makes one service of options.
type reader struct {
	files      proxyconf.Options
	options    []option
	listen     *proxyconf.Listen
	forwarding *proxyconf.Forwarding
	reading    *proxyconf.Reading
}

// parse cuts the arguments into options, as Go's package flag does: -x VALUE, --x=VALUE.
func (r *reader) parse(args []string) error {
	if len(args) > 0 && strings.HasSuffix(args[0], "mmproxy") {
		args = args[1:]
	}
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(args[i], "-"), "-"), "=")
		line := &proxyconf.Line{File: commandLine, Number: i + 1, Text: args[i]}
		switch {
		case !strings.HasPrefix(args[i], "-") || name == "":
			return fmt.Errorf("%s: %q is not an option of go-mmproxy: give its command line after --", line.Place(), args[i])
		case joined || name == "quiet" || name == "verbose":
		case i+1 == len(args):
			return fmt.Errorf("%s: %s has no value", line.Place(), args[i])
		default:
			i++
			value = args[i]
			line.Text += " " + value
		}
		r.options = append(r.options, option{line, name, value})
		r.reading.Lines = append(r.reading.Lines, line)
	}
	return nil
}

func (r *reader) readProtocol(opt option) error {
	if opt.name != "p" {
		return nil
	}
	switch opt.value {
	case "tcp":
	case "udp":
		r.listen.Protocol = config.UDP
	default:
		return fmt.Errorf("it is tcp or udp")
	}
	opt.Became("protocol")
	return nil
}

// readListen reads -l: Go listens on both families for [::] and for no address.
func (r *reader) readListen(opt option) error {
	if opt.name != "l" && opt.name != "listen" {
		return nil
	}
	host, port, _ := cutPort(opt.value)
	ports, ok := config.ParsePorts(port)
	if !ok || ports.Width() > 1 {
		return fmt.Errorf("it has no port: write ADDRESS:PORT")
	}
	r.listen.Ports, r.listen.Line = ports, opt.Line
	if host == "" {
		host = "::"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return fmt.Errorf("%q is not an address without a zone", host)
	}
	r.listen.Address = addr.Unmap()
	r.listen.Both = addr == netip.IPv6Unspecified()
	return nil
}

// cutPort cuts off what follows the last colon.
func cutPort(text string) (host, port string, ok bool) {
	cut := strings.LastIndexByte(text, ':')
	if cut < 0 {
		return text, "", false
	}
	return strings.Trim(text[:cut], "[]"), text[cut+1:], true
}

// readOrigin reads -4 and -6.
func (r *reader) readOrigin(opt option) error {
	if opt.name != "4" && opt.name != "6" {
		return nil
	}
	host, port, _ := cutPort(opt.value)
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("it has no port: write ADDRESS:PORT")
	}
	o := proxyconf.Origin{Host: host, Port: int(n), Weight: 1}
	if reason := o.CheckHost(); reason != "" {
		return fmt.Errorf("%s", reason)
	}
	r.forwarding.Origins = append(r.forwarding.Origins, o)
	opt.Became("origins")
	return nil
}

// readPeers reads the file of the peers that send PROXY headers: one prefix a line.
func (r *reader) readPeers(opt option) error {
	if opt.name != "allowed-subnets" && opt.name != "allowed-networks" {
		return nil
	}
	text, err := r.files.ReadFile(opt.value)
	if err != nil {
		return fmt.Errorf("%w: run anyport import where go-mmproxy runs", err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p, err := netip.ParsePrefix(line)
		if err != nil {
			return fmt.Errorf("line %d: %q is not a prefix", i+1, line)
		}
		if p = p.Masked(); !slices.Contains(r.listen.AcceptProxy, p) {
			r.listen.AcceptProxy = append(r.listen.AcceptProxy, p)
		}
	}
	if len(r.listen.AcceptProxy) == 0 {
		return fmt.Errorf("it names no peer")
	}
	opt.Became("accept_proxy")
	return nil
}

// others are the options without an equal.
var others = map[string]string{
	"mark":      "anyport sets no mark: anyport doctor says what transparent needs",
	"table":     "anyport doctor says which rules and routes transparent needs",
	"listeners": "see workers in [listen]",
	"v":         "see level in [log]",
	"verbose":   "see level in [log]",
	"quiet":     "see level in [log]",
}

func (r *reader) readOther(opt option) error {
	if opt.name == "close-after" {
		seconds, err := strconv.Atoi(opt.value)
		if err != nil || seconds < 1 || seconds > 3600*8760 {
			return fmt.Errorf("it is a number of seconds")
		}
		r.forwarding.SetFor(config.UDP, opt.Line, "udp_idle_timeout", proxyconf.Duration(time.Duration(seconds)*time.Second))
		return nil
	}
	if reason := others[opt.name]; reason != "" {
		opt.Leave("%s", reason)
	}
	return nil
}

// finish adds what go-mmproxy assumes.
func (r *reader) finish() (*proxyconf.Reading, error) {
	if r.listen.Line == nil {
		r.listen.Line = r.assumed("-l 0.0.0.0:8443")
	}
	if len(r.forwarding.Origins) == 0 {
		r.assumed("-4 127.0.0.1:443 -6 [::1]:443").Became("origins")
		r.forwarding.Origins = []proxyconf.Origin{{Host: "127.0.0.1", Port: 443, Weight: 1}, {Host: "::1", Port: 443, Weight: 1}}
	}
	if len(r.listen.AcceptProxy) == 0 {
		r.listen.AcceptProxy = proxyconf.Everyone()
		r.forwarding.Notes = append(r.forwarding.Notes, "go-mmproxy without --allowed-subnets believes the header of everybody: name the peers in accept_proxy")
	}
	r.forwarding.Set(nil, "transparent", "true")
	if _, reason := r.files.Served(*r.listen); reason != "" {
		return nil, fmt.Errorf("%s %s: %s", r.listen.Line.Place(), r.listen.Line.Text, reason)
	}
	r.reading.Services = []*proxyconf.Service{{
		Name:    "mmproxy",
		Line:    &proxyconf.Line{File: commandLine, Text: strings.Join(r.texts(), " ")},
		Listens: []proxyconf.Listen{*r.listen},
		Choices: []proxyconf.Choice{{Forwarding: r.forwarding}},
	}}
	return r.reading, nil
}

// assumed is a line of the report for options that were not given.
func (r *reader) assumed(text string) *proxyconf.Line {
	line := &proxyconf.Line{File: commandLine, Text: text + " (the default)"}
	r.reading.Lines = append(r.reading.Lines, line)
	return line
}

// texts are the options as they were given.
func (r *reader) texts() []string {
	var all []string
	for _, opt := range r.options {
		all = append(all, opt.Text)
	}
	return all
}
