package fleet

import (
	"errors"
	"log/slog"

	"github.com/cilium/ebpf"
)

// Served are the maps of the steering program that say which prefixes are served. They still belong to
// the steering.
type Served struct {
	Generation, PrefixesV4, PrefixesV6 *ebpf.Map
}

// Objects are the programs and maps in the kernel, and the links that attach the programs.
type Objects struct{}

// Load loads the programs and makes their maps. It needs CAP_BPF and CAP_NET_ADMIN; all that follows
// needs neither.
func Load(served Served) (*Objects, error) { return nil, errors.New("not yet") }

// FromDescriptors makes objects of what another process has given. It owns them, on error too.
func FromDescriptors(all map[string]int) (*Objects, error) { return nil, errors.New("not yet") }

// CheckBuild says whether o is of this build and reads these maps: if not, Load other ones, and let
// TakeLinks of these follow.
func (o *Objects) CheckBuild(served Served) error { return errors.New("not yet") }

// TakeLinks has the links of another build attach the programs of o, and closes the rest of it.
func (o *Objects) TakeLinks(before *Objects) error { return errors.New("not yet") }

// Close closes the descriptors. What another process holds stays.
func (o *Objects) Close() error { return nil }

// Fleet is this host's part. All methods do nothing on nil. Any goroutine may use it.
type Fleet struct{}

// Open makes a Fleet of objects. It owns them, on error too. Nothing changes until Set.
func Open(o *Objects, log *slog.Logger) (*Fleet, error) { return nil, errors.New("not yet") }

// Set puts options in force: attaches the programs, or detaches them if there are no peers, and has a
// goroutine speak with the peers. What was learnt about conns of peers that stay is kept. On error the
// options before stay in force.
func (f *Fleet) Set(o Options) error { return nil }

// Status may be asked at any time.
func (f *Fleet) Status() Status { return Status{} }

// Descriptors are the file descriptors that another process needs to go on. They still belong to f.
func (f *Fleet) Descriptors() map[string]int { return nil }

// Release closes what this process has. If another process has the descriptors, the programs go on.
func (f *Fleet) Release() error { return nil }

// Close detaches the programs, whoever else has the descriptors, and releases.
func (f *Fleet) Close() error { return nil }

// Descriptors are those of the objects, which still belong to o.
func (o *Objects) Descriptors() map[string]int { return nil }
