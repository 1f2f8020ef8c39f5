package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/importer"
)

// listing bounds one command that prints rules. A cluster's tens of thousands take a second or two.
const listing = 10 * time.Second

// readLive prints the rules of this host by the commands of the packet filter that are installed, and
// says of each section which command printed it. iptables-legacy-save may be the same program as
// iptables-save under another name.
func readLive(ctx context.Context, commands [][]string) (string, error) {
	var all strings.Builder
	read := map[string]bool{}
	for _, command := range commands {
		path, err := lookPath(command[0])
		if err != nil {
			continue
		}
		program, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", err
		}
		if key := program + " " + variant(strings.Join(command, " ")); !read[key] {
			read[key] = true
			text, err := print(ctx, path, command[1:])
			if err != nil && slices.Contains(command, "-j") {
				continue // some nft are built without JSON
			}
			if err != nil {
				return "", fmt.Errorf("%s: %w", strings.Join(command, " "), err)
			}
			all.WriteString(text)
		}
	}
	if len(read) == 0 {
		return "", fmt.Errorf("--live: %s is not installed: name a file of its output", commands[0][0])
	}
	if strings.TrimSpace(all.String()) == "" {
		return "", fmt.Errorf("this host has no rules: %s prints nothing", commands[0][0])
	}
	return all.String(), nil
}

// variant tells the families apart: one program prints the rules of each by its name.
func variant(command string) string { return strings.ReplaceAll(command, "-legacy", "") }

// lookPath also looks in /usr/sbin, which only the PATH of root has.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	return path, err
}

// print runs a command that only reads.
func print(ctx context.Context, path string, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, listing)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = errors.New(said)
		}
		return "", fmt.Errorf("%w; only root can list rules", err)
	}
	return string(out), nil
}

// readHost adds what this host's routing says: its addresses, and the rules that route by mark.
func readHost(o *importer.Options) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		local, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
		if err != nil {
			return fmt.Errorf("cannot list the addresses of this host: %w", err)
		}
		for _, r := range local {
			if p, ok := prefixOf(r); ok && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
				o.Local = append(o.Local, p)
			}
		}
		if err := readMain(o, family); err != nil {
			return err
		}
		policy, err := readPolicy(family)
		if err != nil {
			return err
		}
		o.Policy = append(o.Policy, policy...)
	}
	o.LocalKnown = true
	return nil
}

func prefixOf(r netlink.Route) (netip.Prefix, bool) {
	if r.Dst == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	if ip = ip.Unmap(); !ok || bits > ip.BitLen() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(ip, bits), true
}

// readMain adds the routes of the main table but the default one.
func readMain(o *importer.Options, family int) error {
	routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("cannot list the routes of this host: %w", err)
	}
	devices, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("cannot list the devices of this host: %w", err)
	}
	for _, r := range routes {
		if p, ok := prefixOf(r); ok && p.Bits() > 0 {
			o.Main = append(o.Main, importer.MainRoute{Prefix: p, Via: viaOf(r, devices)})
		}
	}
	return nil
}

// viaOf is where a route leads to, in the words of `ip route`; "" if it leads to no other host.
func viaOf(r netlink.Route, devices []netlink.Link) string {
	if r.Type != unix.RTN_UNICAST {
		return ""
	}
	var words []string
	if r.Gw != nil {
		words = append(words, "via "+r.Gw.String())
	}
	for _, device := range devices {
		if device.Attrs().Index != r.LinkIndex {
			continue
		}
		if device.Type() == "dummy" || device.Attrs().Flags&net.FlagLoopback != 0 {
			return ""
		}
		words = append(words, "dev "+device.Attrs().Name)
	}
	if len(words) == 0 { // several hops
		words = append(words, "to several hosts")
	}
	return strings.Join(words, " ")
}

// readPolicy lists the rules that look at a mark, with the routes of their tables.
func readPolicy(family int) (all []importer.PolicyRule, err error) {
	rules, err := netlink.RuleList(family)
	if err != nil {
		return nil, fmt.Errorf("cannot list the rules of routing: %w", err)
	}
	rules = slices.DeleteFunc(rules, func(r netlink.Rule) bool { return r.Mark == 0 })
	for _, r := range rules {
		p := importer.PolicyRule{Family: "ip", Mark: fmt.Sprintf("%#x", r.Mark), Table: r.Table}
		if family == netlink.FAMILY_V6 {
			p.Family = "ip6"
		}
		if r.Mask != nil && *r.Mask != 1<<32-1 {
			p.Mark += fmt.Sprintf("/%#x", *r.Mask)
		}
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: r.Table}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("cannot list the routes of table %d: %w", r.Table, err)
		}
		for _, route := range routes {
			p.Routes = append(p.Routes, routeText(route))
		}
		all = append(all, p)
	}
	return all, nil
}

// routeText is a route in the words of `ip route`.
func routeText(r netlink.Route) string {
	dst := "default"
	if p, ok := prefixOf(r); ok && p.Bits() > 0 {
		dst = p.String()
	}
	if r.Type == unix.RTN_LOCAL {
		dst = "local " + dst
	}
	if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
		dst += " dev " + link.Attrs().Name
	}
	return dst
}
