package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// composer puts the answer of one name together from what is known. It does no I/O: what it lacks, it
// lists.
type composer struct {
	settings settings
	hosts    hosts
	cache    cache
	now      time.Time

	used    map[question]bool // also by other names: the cache keeps these
	missing []question
	until   time.Time // the first moment at which a part of the answer has to be asked again
	server  string
	errs    []error
}

// compose returns the answer of n, which is whole if nothing is missing. last is the answer before: if
// n has no addresses any more, its last ones stay. An origin whose name is gone by mistake goes on to
// serve, and one that is gone in fact is found by its connects.
func (c *composer) compose(n Name, last Answer) Answer {
	c.until = c.now.Add(maxTTL)
	targets := c.targets(n)
	if len(c.missing) > 0 {
		return last
	}
	a := Answer{Targets: targets, Until: c.until, Server: c.server, Err: errors.Join(c.errs...)}
	if len(targets) > 0 {
		return a
	}
	if a.Err == nil {
		a.Err = fmt.Errorf("%s has no addresses", n)
	}
	a.Targets = last.Targets
	return a
}

// targets returns what n stands for: nil if nothing is known, or something is missing.
func (c *composer) targets(n Name) []Target {
	if n.SRV {
		return c.services(n.Host)
	}
	if addrs := c.addrs(n.Host); len(addrs) > 0 {
		return []Target{{Addrs: addrs, Weight: 1}}
	}
	return nil
}

// addrs returns the addresses of a host: those of /etc/hosts, or else of the first candidate that has
// any. A candidate that could not be asked ends the search: the next one may be somebody else's.
func (c *composer) addrs(host string) []netip.Addr {
	if addrs := c.hosts.lookup(host); addrs != nil {
		c.server = HostsPath
		return addrs
	}
	for _, name := range c.settings.candidates(host) {
		four, ok4 := c.reply(question{name, dns.TypeA})
		six, ok6 := c.reply(question{name, dns.TypeAAAA})
		if addrs := slices.Concat(four.addrs, six.addrs); len(addrs) > 0 {
			return addrs
		}
		if !ok4 || !ok6 {
			return nil
		}
	}
	return nil
}

// services returns a target for each SRV record of the first candidate that has any.
func (c *composer) services(host string) []Target {
	for _, name := range c.settings.candidates(host) {
		r, ok := c.reply(question{name, dns.TypeSRV})
		if len(r.services) > 0 {
			return c.serviceTargets(r.services)
		}
		if !ok {
			return nil
		}
	}
	return nil
}

// maxServices bounds the questions that one reply may cause.
const maxServices = 64

func (c *composer) serviceTargets(services []service) (targets []Target) {
	services = slices.Clone(services)
	slices.SortFunc(services, func(a, b service) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.host, b.host), cmp.Compare(a.port, b.port), cmp.Compare(b.weight, a.weight))
	})
	services = slices.CompactFunc(services, func(a, b service) bool { return a.host == b.host && a.port == b.port })
	services = services[:min(len(services), maxServices)]
	for _, s := range services {
		addrs := c.addrs(s.host)
		if len(addrs) == 0 {
			continue
		}
		targets = append(targets, Target{
			Addrs: addrs, Port: s.port, Backup: s.priority > services[0].priority, Weight: shareOf(s, services),
		})
	}
	return targets
}

// shareOf is the weight of s among the records of its priority, 1 to 256. RFC 2782 gives a record of
// weight 0 a very small chance; if all have weight 0, the chances are equal.
func shareOf(s service, services []service) int {
	heaviest := 0
	for _, other := range services {
		if other.priority == s.priority {
			heaviest = max(heaviest, int(other.weight))
		}
	}
	const most = 256
	if heaviest <= most {
		return max(1, int(s.weight))
	}
	return max(1, int(math.Round(float64(s.weight)*most/float64(heaviest))))
}

// reply returns what is known of q, the last good reply if it could not be asked. It is not ok if
// nothing is known.
func (c *composer) reply(q question) (r reply, ok bool) {
	c.used[q] = true
	e, fresh := c.cache.fresh(q, c.now)
	if !fresh {
		c.missing = append(c.missing, q)
		return reply{}, false
	}
	if e.until.Before(c.until) {
		c.until = e.until
	}
	if e.err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", q, e.err))
	}
	if e.good && (c.server == "" || !e.reply.negative()) {
		c.server = e.server
	}
	return e.reply, e.good
}
