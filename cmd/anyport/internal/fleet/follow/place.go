package follow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Place names the network namespace of this process, and the boot of its kernel: a process that begins there after the
// end of another one is the same host of a fleet. "": it cannot be found out.
func Place() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var space unix.Stat_t
	if err != nil || unix.Stat("/proc/self/ns/net", &space) != nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", strings.TrimSpace(string(boot)), space.Dev, space.Ino))
	return hex.EncodeToString(sum[:8])
}
