package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// segmentOf is how long the segments are that a client may send on a new conn to the edges.
func (f *peerRig) segmentOf(t *testing.T) (bytes int) {
	t.Helper()
	conn := f.client.dial(t, "tcp", fmt.Sprint(dstV4, ":", talkPort))
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { bytes, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG) })
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestPeersComeAndLeave: an upgrade without a command of root brings peers to the file, not what asks them: a later
// reload as root does. Another upgrade takes the peers away, with all that was attached and told to clients for them.
func TestPeersComeAndLeave(t *testing.T) {
	t.Parallel()
	f := newPeerRig(t, 2)
	f.talker(t, fmt.Sprint(originV4, ":", talkPort))
	first := f.edges[0]
	f.serve(t, first)
	processes := newFamily(t, first.proxy)
	f.hash(t, first)
	alone, whole := attached(t, processes), f.segmentOf(t)

	f.key = newPeerKey(t)
	f.serve(t, f.edges[1])
	first.proxy.write(t, f.file(first))
	first.proxy.signal(t, syscall.SIGUSR2)
	eventually(t, "another process serves", func() bool { return first.proxy.status(t).PID != processes.pids[0] })
	processes.pids = append(processes.pids, first.proxy.status(t).PID)
	if off := first.proxy.status(t).Peers.Off; !strings.Contains(off, "give as root: anyport reload") {
		t.Errorf("the peers are off because %q", off)
	}
	first.reload(t, f.file(first))
	f.awaitPeers(t, 1)
	eventually(t, "clients are told a segment", func() bool { return f.segmentOf(t) < whole })

	f.key = ""
	first.proxy.write(t, f.file(first))
	processes.upgrade(t)
	if now := attached(t, processes); now != alone {
		t.Errorf("without peers %d programs are attached, %d at first", now, alone)
	}
	eventually(t, "clients are told no segment", func() bool { return f.segmentOf(t) == whole })
}

// TestPeersShare: a process on trial tells clients the segment that fits through the backplane, too, and follows its
// changes.
func TestPeersShare(t *testing.T) {
	t.Parallel()
	f := newPeerRig(t, 2)
	f.talker(t, fmt.Sprint(originV4, ":", talkPort))
	f.key = newPeerKey(t)
	for _, e := range f.edges {
		f.serve(t, e)
	}
	first := f.edges[0]
	newFamily(t, first.proxy)
	f.hash(t, first)
	f.awaitPeers(t, 1)
	told := func() int { return first.proxy.status(t).Peers.Segment }
	eventually(t, "clients are told a segment", func() bool { return told() > 0 && f.segmentOf(t) <= told() })
	first.proxy.shareProcess(t, "99.999%")
	before := told()
	if got := f.segmentOf(t); got > before || first.proxy.newSide(t, 1) == 0 {
		t.Errorf("the process on trial has clients send segments of %d bytes, the other one of %d", got, before)
	}
	for _, e := range f.edges {
		e.output(t, "ip", "link", "set", "back0", "mtu", "1400")
	}
	eventually(t, "the process on trial follows", func() bool { return told() < before && f.segmentOf(t) <= told() })
	first.proxy.upgradeIs(t, 0, "", "--back")
}
