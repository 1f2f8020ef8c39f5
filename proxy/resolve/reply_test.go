package resolve

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// message makes an answer to q of records as a zone file has them; those after "authority:" are of the
// authority section.
func message(t testing.TB, q question, rcode int, records ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	m.Response, m.RecursionAvailable, m.Rcode = true, true, rcode
	section := &m.Answer
	for _, text := range records {
		if text == "authority:" {
			section = &m.Ns
			continue
		}
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		*section = append(*section, rr)
	}
	return m
}

const soa = "example. 60 IN SOA ns.example. root.example. 1 2 3 4 30"

func TestReadReply(t *testing.T) {
	a, srv := question{"app.example.", dns.TypeA}, question{"_game._udp.example.", dns.TypeSRV}
	var ring, many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("app.example. 60 IN A 10.0.%d.%d", i/200, i%200+1))
	}
	ring = append(ring, "app.example. 60 IN CNAME b.example.", "b.example. 60 IN CNAME app.example.")
	for name, c := range map[string]struct {
		q       question
		rcode   int
		records []string
		want    string // addresses and services, TTL, or the error
	}{
		"addresses, sorted":            {a, 0, []string{"app.example. 60 IN A 10.0.0.6", "APP.example. 50 IN A 10.0.0.5", "app.example. 60 IN A 10.0.0.6"}, "[10.0.0.5 10.0.0.6] [] 50s"},
		"records of others":            {a, 0, []string{"app.example. 60 IN A 10.0.0.6", "bank.example. 1 IN A 10.6.6.6", "app.example. 1 IN AAAA ::9"}, "[10.0.0.6] [] 1m0s"},
		"an alias":                     {a, 0, []string{"x.example. 60 IN A 10.0.0.6", "app.example. 7 IN CNAME X.example."}, "[10.0.0.6] [] 7s"},
		"a ring of aliases":            {a, 0, ring, "ring"},
		"no such name":                 {a, dns.RcodeNameError, []string{"authority:", soa}, "[] [] 30s"},
		"no such name, yet an address": {a, dns.RcodeNameError, []string{"app.example. 60 IN A 10.0.0.6"}, "[] [] 5s"},
		"no such type":                 {a, 0, []string{"authority:", "example. 20 IN SOA ns.example. root.example. 1 2 3 4 30"}, "[] [] 20s"},
		"no such type behind an alias": {a, 0, []string{"app.example. 7 IN CNAME x.example.", "authority:", soa}, "[] [] 7s"},
		"no SOA":                       {a, dns.RcodeNameError, nil, "[] [] 5s"},
		"a failure":                    {a, dns.RcodeServerFailure, nil, "SERVFAIL"},
		"a refusal":                    {a, dns.RcodeRefused, []string{"app.example. 60 IN A 10.0.0.6"}, "REFUSED"},
		"an unknown code":              {a, 99, nil, "code 99"},
		"a TTL with the highest bit":   {a, 0, []string{"app.example. 3000000000 IN A 10.0.0.6"}, "[10.0.0.6] [] 0s"},
		"services":                     {srv, 0, []string{"_game._udp.example. 60 IN SRV 1 2 3 G1.example.", "_game._udp.example. 60 IN SRV 0 0 7 ."}, "[] [{g1.example. 3 1 2}] 1m0s"},
		"no service at all":            {srv, 0, []string{"_game._udp.example. 60 IN SRV 0 0 0 ."}, "[] [] 5s"},
		"too many":                     {a, 0, many, "1m0s"},
	} {
		r, err := readReply(message(t, c.q, c.rcode, c.records...), c.q)
		got := fmt.Sprint(r.addrs, r.services, " ", r.ttl)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && !strings.Contains(got, c.want) || len(r.addrs) > maxRecords {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	lame := message(t, a, 0)
	lame.RecursionAvailable = false
	if _, err := readReply(lame, a); err == nil {
		t.Error("a server that knows nothing and asks nobody counts as an answer")
	}
}

func TestMatches(t *testing.T) {
	q := question{"app.example.", dns.TypeA}
	for name, change := range map[string]func(*dns.Msg){
		"":                  func(*dns.Msg) {},
		"letters of a size": func(m *dns.Msg) { m.Question[0].Name = "APP.example." },
		"!the id":           func(m *dns.Msg) { m.Id++ },
		"!the name":         func(m *dns.Msg) { m.Question[0].Name = "bank.example." },
		"!the type":         func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA },
		"!the class":        func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
		"!a question":       func(m *dns.Msg) { m.Response = false },
		"!an update":        func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate },
		"!no question":      func(m *dns.Msg) { m.Question = nil },
		"!two questions":    func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
	} {
		m := message(t, q, 0)
		id := m.Id
		change(m)
		if got := matches(m, id, q); got == strings.HasPrefix(name, "!") {
			t.Errorf("%q: matches %v", name, got)
		}
	}
}

// FuzzReadReply: whatever a server sends, what is read of it keeps the bounds, and has only records of
// the question's type.
func FuzzReadReply(f *testing.F) {
	for _, q := range []question{{"app.example.", dns.TypeA}, {"app.example.", dns.TypeAAAA}, {"app.example.", dns.TypeSRV}} {
		for _, records := range [][]string{
			{"app.example. 60 IN A 10.0.0.6", "app.example. 60 IN AAAA 2001:db8::6"},
			{"app.example. 60 IN CNAME b.example.", "b.example. 60 IN CNAME app.example."},
			{"app.example. 60 IN SRV 1 2 3 g1.example.", "authority:", soa},
		} {
			packed, err := message(f, q, 0, records...).Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed, q.kind)
		}
	}
	f.Fuzz(func(t *testing.T, packed []byte, kind uint16) {
		m := new(dns.Msg)
		if m.Unpack(packed) != nil {
			return
		}
		r, err := readReply(m, question{"app.example.", kind})
		if err != nil {
			return
		}
		if len(r.addrs)+len(r.services) > maxRecords || len(r.addrs) > 0 && len(r.services) > 0 {
			t.Errorf("%d addresses and %d services", len(r.addrs), len(r.services))
		}
		if r.ttl < 0 || r.ttl > maxTTL {
			t.Errorf("TTL %v", r.ttl)
		}
		for _, addr := range r.addrs {
			if !addr.IsValid() || addr.Is4In6() || kind != dns.TypeA && kind != dns.TypeAAAA {
				t.Errorf("address %v in an answer of type %d", addr, kind)
			}
		}
		for _, s := range r.services {
			if kind != dns.TypeSRV || s.host == "." || s.port == 0 || s.host != strings.ToLower(s.host) {
				t.Errorf("service %+v in an answer of type %d", s, kind)
			}
		}
		c := cache{}
		c.store(question{"app.example.", kind}, r, "s", time.Unix(0, 0))
		if until := c[question{"app.example.", kind}].until.Sub(time.Unix(0, 0)); until < minTTL || until > maxTTL {
			t.Errorf("kept for %v", until)
		}
	})
}
