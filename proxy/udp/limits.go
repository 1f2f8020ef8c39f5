package udp

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// maxFlows is how many flows there may be where nobody says.
const maxFlows = 1 << 18

// MaxSockets is how many flows with a socket of their own a process should hold that may
// open so many files: with half of them, conns and replies have the rest. Each also
// takes a local port; a quarter of those stays free, for the kernel needs milliseconds to
// find one among the last.
func MaxSockets(files uint64) int {
	return int(min(files/2, uint64(call.LocalPorts().Width())*3/4))
}

// replyShare is the share of the files that sockets to answer from may hold open:
// one in four.
const replyShare = 4

// share is what a loop may hold, and what it has with the others.
type share struct {
	flows, sockets *allowance
	replies        int
	voices         *voices
	budgets        *budgets
	mostPerClient  [kinds]int
	epoch          time.Time
}

// newShares makes the shares of all loops.
func newShares(opt Options) (all []share, err error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("asking for RLIMIT_NOFILE: %w", err)
	}
	loops, most := len(opt.Listeners), opt.MaxFlows
	if most == 0 {
		most = maxFlows
	}
	maxSockets := MaxSockets(files.Cur)
	flows, sockets, voices := shareOut(most, loops), shareOut(maxSockets, loops), &voices{}
	budgets, epoch := newBudgets(budgetSlots), time.Now()
	for i := range loops {
		all = append(all, share{
			flows: flows[i], sockets: sockets[i], voices: voices,
			budgets: budgets, mostPerClient: mostPerClient(most, maxSockets), epoch: epoch,
			replies: max(int(min(files.Cur, 1<<30))/replyShare/loops, 1),
		})
	}
	return all, nil
}
