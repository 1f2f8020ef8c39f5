package netnstest

import (
	"testing"
	"unsafe"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Offload switches what the kernel leaves to a device: one of unix.ETHTOOL_STXCSUM (checksums) and
// unix.ETHTOOL_STSO (cutting of trains), for example.
func Offload(t testing.TB, ns netns.NsHandle, device string, command uint32, on bool) {
	t.Helper()
	In(t, ns, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		value := struct{ command, data uint32 }{command, 0}
		if on {
			value.data = 1
		}
		request := struct { // struct ifreq
			name [16]byte
			data unsafe.Pointer
			_    [16]byte
		}{data: unsafe.Pointer(&value)}
		copy(request.name[:], device)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return errno
		}
		return nil
	})
}
