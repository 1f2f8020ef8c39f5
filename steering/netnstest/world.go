package netnstest

import (
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// New makes a namespace that ends with the test, with loopback up.
func New(t testing.TB) netns.NsHandle {
	t.Helper()
	made := make(chan netns.NsHandle)
	go func() { // ends with its thread, which is never unlocked
		runtime.LockOSThread()
		ns, _ := netns.New()
		made <- ns
	}()
	ns := <-made
	t.Cleanup(func() { ns.Close() })
	In(t, ns, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	return ns
}

// In runs f on a thread of the namespace. The test ends if f fails.
func In(t testing.TB, ns netns.NsHandle, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() { // ends with f, and its thread with it
		runtime.LockOSThread()
		err := netns.Set(ns)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// End is one end of a cable.
type End struct {
	Namespace netns.NsHandle
	Device    string
	Addresses []string // with their prefix lengths
}

// Connect joins two namespaces by a veth pair. Its IPv6 addresses are usable at once.
func Connect(t testing.TB, a, b End) {
	t.Helper()
	In(t, a.Namespace, func() error {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = a.Device
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: b.Device, PeerNamespace: netlink.NsFd(b.Namespace)})
	})
	for _, e := range []End{a, b} {
		In(t, e.Namespace, e.up)
	}
}

func (e End) up() error {
	link, err := netlink.LinkByName(e.Device)
	if err != nil {
		return err
	}
	for _, a := range e.Addresses {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(link, addr); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(link)
}
