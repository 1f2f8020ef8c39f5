package resolve

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Bounds of what one reply may make us keep.
const (
	maxRecords = 256
	maxAliases = 16 // CNAMEs, one after the other
)

// reply is what a server says to a question. Without records it is negative: the name or the type does
// not exist.
type reply struct {
	addrs    []netip.Addr // of A or AAAA
	services []service    // of SRV
	ttl      time.Duration
	nxdomain bool // the name itself does not exist
}

// negative reports whether there are no records.
func (r reply) negative() bool { return len(r.addrs) == 0 && len(r.services) == 0 }

// service is an SRV record.
type service struct {
	host             string // fully qualified, in lower case
	port             uint16
	priority, weight uint16
}

// matches reports whether m is an answer to the message with that id and question. Anything else is
// from somebody who guesses, or late.
func matches(m *dns.Msg, id uint16, q question) bool {
	return m.Response && m.Id == id && m.Opcode == dns.OpcodeQuery && len(m.Question) == 1 &&
		m.Question[0].Qtype == q.kind && m.Question[0].Qclass == dns.ClassINET &&
		strings.EqualFold(m.Question[0].Name, q.name)
}

// readReply reads the answer to q. It fails where another server may know more.
func readReply(m *dns.Msg, q question) (r reply, err error) {
	switch {
	case m.Rcode == dns.RcodeNameError:
		r.nxdomain = true
	case m.Rcode != dns.RcodeSuccess:
		return r, fmt.Errorf("the server answers %s", rcodeText(m.Rcode))
	case len(m.Answer) == 0 && !m.Authoritative && !m.RecursionAvailable && !hasSOA(m):
		return r, fmt.Errorf("the server neither knows the name nor asks others")
	}
	owner, ttl, ok := followAliases(m.Answer, q)
	if !ok {
		return r, fmt.Errorf("the answer has more than %d aliases, or a ring of them", maxAliases)
	}
	if !r.nxdomain {
		ttl = min(ttl, r.readRecords(m.Answer, owner, q.kind))
	}
	if r.negative() {
		ttl = min(ttl, negativeTTL(m))
	}
	r.ttl = ttl
	return r, nil
}

func rcodeText(rcode int) string {
	if text, ok := dns.RcodeToString[rcode]; ok {
		return text
	}
	return fmt.Sprintf("code %d", rcode)
}

// followAliases returns the name that the CNAMEs lead to from the one that was asked for, and the
// lowest TTL of them.
func followAliases(answer []dns.RR, q question) (owner string, ttl time.Duration, ok bool) {
	owner, ttl = q.name, maxTTL
	for range maxAliases {
		next := ""
		for _, rr := range answer {
			if alias, is := rr.(*dns.CNAME); is && strings.EqualFold(alias.Hdr.Name, owner) {
				next, ttl = alias.Target, min(ttl, seconds(alias.Hdr.Ttl))
				break
			}
		}
		if next == "" {
			return owner, ttl, true
		}
		owner = next
	}
	return "", 0, false
}

// readRecords reads the records of a type that owner has, and returns the lowest TTL of them.
func (r *reply) readRecords(answer []dns.RR, owner string, kind uint16) time.Duration {
	ttl := maxTTL
	for _, rr := range answer {
		h := rr.Header()
		if h.Rrtype != kind || h.Class != dns.ClassINET || !strings.EqualFold(h.Name, owner) || len(r.addrs)+len(r.services) == maxRecords {
			continue
		}
		if r.readRecord(rr) {
			ttl = min(ttl, seconds(h.Ttl))
		}
	}
	slices.SortFunc(r.addrs, netip.Addr.Compare)
	r.addrs = slices.Compact(r.addrs)
	return ttl
}

// readRecord reports whether rr is one that can be used. A target of "." says that there is no such
// service (RFC 2782).
func (r *reply) readRecord(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.A:
		return r.addAddr(rr.A)
	case *dns.AAAA:
		return r.addAddr(rr.AAAA)
	case *dns.SRV:
		if rr.Target == "." || rr.Port == 0 {
			return false
		}
		r.services = append(r.services, service{dns.CanonicalName(rr.Target), rr.Port, rr.Priority, rr.Weight})
		return true
	}
	return false
}

func (r *reply) addAddr(ip []byte) bool {
	addr, ok := netip.AddrFromSlice(ip)
	if ok {
		r.addrs = append(r.addrs, addr.Unmap())
	}
	return ok
}

// noSOA is how long a negative answer without an SOA record is kept: RFC 2308 §5 gives it no time, and
// the question has to be asked again soon.
const noSOA = 5 * time.Second

// negativeTTL is how long the zone wants a negative answer to be kept (RFC 2308 §5).
func negativeTTL(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, is := rr.(*dns.SOA); is {
			return seconds(min(soa.Hdr.Ttl, soa.Minttl))
		}
	}
	return noSOA
}

func hasSOA(m *dns.Msg) bool {
	return slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
}

// seconds is a TTL. One with the highest bit set is zero (RFC 2181 §8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
