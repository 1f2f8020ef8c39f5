package haproxy

import (
	"encoding/hex"
	"strconv"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/proxyconf"
)

// setScript writes tcp-check lines, if they send once and expect once, in this order.
func setScript(f *proxyconf.Forwarding, back *settings) {
	steps, simple := scriptSteps(back.each("tcp-check"))
	if !simple {
		for _, d := range steps {
			d.Leave("the script has more steps than one send and one expect: anyport checks that a connection opens")
		}
		return
	}
	for _, d := range steps {
		switch d.word(1) {
		case "connect":
			setConnect(f, d)
		case "send", "send-binary":
			if text, ok := payload(d.word(1) == "send-binary", d.word(2)); ok {
				f.SetHealth(d.Line, "send", draft.Text(text))
			}
		case "expect":
			setExpect(f, d)
		}
	}
}

// scriptSteps are the lines that do something, and whether anyport can do the same.
func scriptSteps(lines []*directive) (steps []*directive, simple bool) {
	order := map[string]int{"connect": 1, "send": 2, "send-binary": 2, "expect": 3}
	simple = true
	last := 0
	for _, d := range lines {
		rank := order[d.word(1)]
		if d.word(1) == "comment" {
			d.Otherwise = "not needed: a comment"
			continue
		}
		simple = simple && rank > last
		last = rank
		steps = append(steps, d)
	}
	return steps, simple
}

// setConnect reads tcp-check connect: its port is that of the check.
func setConnect(f *proxyconf.Forwarding, d *directive) {
	d.Became("health.type")
	for i := 2; i < len(d.words); i++ {
		switch word := d.words[i]; word {
		case "ssl":
			f.SetHealth(d.Line, "type", draft.Text("tls"))
		case "send-proxy":
			d.Became("health.proxy_protocol")
		case "port":
			i++
			if n, err := strconv.Atoi(d.word(i)); err == nil && n > 0 && n <= 65535 {
				f.SetHealth(d.Line, "port", strconv.Itoa(n))
			}
		default:
			d.Leave("%s has no equal", word)
		}
	}
}

// setExpect reads tcp-check expect [string|binary] TEXT. HAProxy looks for the text anywhere in the
// answer, and anyport at its beginning.
func setExpect(f *proxyconf.Forwarding, d *directive) {
	kind := d.word(2)
	text, ok := payload(kind == "binary", d.word(3))
	if len(d.words) != 4 || kind != "string" && kind != "binary" || !ok || text == "" {
		d.Leave("anyport expects a text that the answer begins with: the check ends when the connection opens")
		return
	}
	f.SetHealth(d.Line, "expect", draft.Text(text))
	d.Differs("the answer must begin with it")
}

// payload is a text as anyport has it: digits of bytes after "hex:".
func payload(binary bool, text string) (string, bool) {
	if !binary {
		return text, len(text) <= 4096
	}
	_, err := hex.DecodeString(text)
	return "hex:" + text, err == nil && len(text) <= 8192
}
