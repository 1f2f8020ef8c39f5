package doctor

import (
	"net/netip"
	"slices"
	"strconv"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering"
	"anyport/steering/capabilities"
	"anyport/steering/fleet"
	"anyport/steering/host"
	"anyport/steering/program"
	"anyport/steering/services"
)

// Facts are what the checks judge. Gather fills them on one goroutine, and then they do not change. What
// could not be read is zero, and its error is in Unread under the name of each check that needs it.
type Facts struct {
	Unread map[string]error

	Path     string         // of the file
	Config   *config.Config // nil: only the host is examined
	FileErr  error          // why it is nil; nil: nobody named a file, and there is none at the default path
	HostErr  error          // what the prefixes would take from this host
	Running  *admin.Status  // of the anyport that answers on the file's admin socket; nil: none
	Program  string         // path of this binary
	Files    Files          // how many this process may open
	Kernel   string         // release
	Features []program.Feature

	Capabilities  capabilities.Set // effective ones
	UserNamespace bool             // not the initial one: its capabilities do not count for BPF

	Death    steering.Forecast // what would happen if anyport were killed
	FastPath admin.FastPathStatus

	Announcing Announcing // with announce.table

	Leftovers []string           // routes and pins of processes that have ended
	Programs  []program.Attached // sk_lookup programs attached here, those of Running left out

	Sysctls   map[string]string // by path ("net/ipv4/tcp_syncookies"); those that the kernel lacks are missing
	Links     []Link
	Host      *host.Network
	Local     []netip.Prefix   // what is delivered to this host
	Returns   []host.ReturnWay // of the origins of transparent routes, as far as the file has their addresses
	Listeners []host.Shadow    // those of Running left out

	Cgroup2    error // why services cannot be found by their cgroup; nil: they can
	Services   services.Found
	ServiceErr error // what is wrong with the services of the file

	Tools  []string // that list packet filters, as far as they are installed
	TProxy []Rule
	NAT    []NAT

	KeysErr error // what is wrong with the keys of knocks

	PeerKeyErr  error         // what is wrong with the key of [fleet]
	PeerErr     error         // why this host has no address on the backplane
	Backplane   fleet.Options // what [fleet] means here
	BackMTU     int           // of the backplane
	ClientMTU   int           // the largest of the other devices
	SourceErr   error         // why the source of [fleet] gives no table
	Namesake    string        // the hostname of another host that has the name of this one in the fleet; "": none has
	SourceFiles []string      // of [fleet], that steering.user cannot read

	ClockSynced bool // somebody keeps the clock of this host right, as adjtimex(2) says

	Diverts   []Rule // rules that match packets which have a socket
	MarkRules []MarkRule
}

// Files are the limits on open files.
type Files struct {
	Hard uint64 // RLIMIT_NOFILE
	Most uint64 // fs.nr_open: what CAP_SYS_RESOURCE can raise it to
}

// Link is one network interface.
type Link struct {
	Name        string
	Up          bool
	Loopback    bool
	Port        bool // of a bridge or bond: no packet is routed from it
	Neighbours  bool // it asks for link-layer addresses: ARP and NDP
	DefaultV4   bool // an IPv4 default route leaves through it
	ReversePath int  // rp_filter as it counts: the larger of its own and that of all

	ValidatesMark bool // src_valid_mark is on and accept_local off, its own or that of all
}

// Rule is a rule of a packet filter that gives packets to a socket of its choice (TPROXY).
type Rule struct {
	Text   string
	Family string         // "ip" or "ip6"; "": both
	Dst    []netip.Prefix // the dst that it names; none: any
	Delete string         // the command that removes it
	Spare  string         // the command that keeps the packets for a prefix from it: see spareFor; "": not known

	Diverted string         // the rule before it that accepts what anyport steers, so that it never sees that; "": none
	Spared   []netip.Prefix // dsts that rules before it accept whatever they are, so that it never sees those
}

// config is that of the file, or the defaults if there is none.
func (f *Facts) config() *config.Config {
	if f.Config != nil {
		return f.Config
	}
	return &config.Config{Path: f.Path, Steering: config.Steering{ManageRoutes: true, Pin: config.PinAuto}}
}

// serves reports whether the file has a prefix of the family, such as netip.Addr.Is6.
func (f *Facts) serves(family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(f.prefixes(), func(p netip.Prefix) bool { return family(p.Addr()) })
}

// prefixes are those of the file.
func (f *Facts) prefixes() []netip.Prefix {
	var all []netip.Prefix
	if f.Config != nil {
		for _, r := range f.Config.Routes {
			all = append(all, r.Prefixes...)
		}
	}
	slices.SortFunc(all, netip.Prefix.Compare) // several routes may share one
	return slices.Compact(all)
}

// countPrefixes is the number of distinct prefixes that are steered, as check and status have it.
func (f *Facts) countPrefixes() int {
	all := append(f.prefixes(), f.egress()...)
	slices.SortFunc(all, netip.Prefix.Compare)
	return len(slices.Compact(all))
}

// egress are the egress prefixes of the file: answers of origins come back to them, so they must be local too.
func (f *Facts) egress() (all []netip.Prefix) {
	if f.Config != nil {
		for _, r := range f.Config.Routes {
			all = append(all, r.EgressPrefixes...)
		}
	}
	return all
}

// holds reports whether a capability is effective.
func (f *Facts) holds(capability int) bool { return f.Capabilities.Has(capability) }

// number returns a sysctl's value, and whether there is one.
func (f *Facts) number(sysctl string) (int, bool) {
	n, err := strconv.Atoi(f.Sysctls[sysctl])
	return n, err == nil
}
