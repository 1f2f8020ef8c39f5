package fastpath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"anyport/bpf"
	"anyport/steering/ingress"
	"anyport/steering/program"
)

// Objects are the program and the maps that user space needs, in the kernel, and what attaches the
// program. The program holds the other maps.
type Objects struct {
	Program    *ebpf.Program
	Flows      *ebpf.Map
	Few        *ebpf.Map
	Usage      *ebpf.Map
	Generation *ebpf.Map
	Attached   *ingress.Attachments
}

// Load loads the program and makes its maps. It needs CAP_BPF and CAP_NET_ADMIN.
func Load() (*Objects, error) {
	spec, err := spec()
	if err != nil {
		return nil, err
	}
	var o struct {
		Program    *ebpf.Program `ebpf:"forward_admitted"`
		Flows      *ebpf.Map     `ebpf:"fast_flows"`
		Few        *ebpf.Map     `ebpf:"fast_flows_few"`
		Usage      *ebpf.Map     `ebpf:"fast_usage"`
		Generation *ebpf.Map     `ebpf:"fast_generation"`
	}
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		return nil, fmt.Errorf("load the program forward_admitted: %w", err)
	}
	loaded := &Objects{o.Program, o.Flows, o.Few, o.Usage, o.Generation, NewAttachments()}
	if err := loaded.Attached.Prepare(o.Program); err != nil {
		return nil, errors.Join(err, loaded.Close())
	}
	return loaded, nil
}

// NewAttachments attach nothing yet.
func NewAttachments() *ingress.Attachments { return ingress.New(ingress.Forward) }

// maps are the maps by their names in fast.bpf.c.
func (o *Objects) maps() map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		bpf.FastMapFastFlows: &o.Flows, bpf.FastMapFastFlowsFew: &o.Few,
		bpf.FastMapFastUsage: &o.Usage, bpf.FastMapFastGeneration: &o.Generation,
	}
}

// CheckBuild says whether o is of this build: the program to the instruction, and the maps.
func (o *Objects) CheckBuild() error {
	spec, err := spec()
	if err != nil {
		return err
	}
	if err := program.SameBuild(o.Program, spec.Programs[bpf.FastProgForwardAdmitted], "the program forward_admitted"); err != nil {
		return err
	}
	return program.SameMaps(o.maps(), spec)
}

// spec is the program for this kernel.
func spec() (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadFast()
	if err != nil {
		return nil, err
	}
	if features.HaveProgramHelper(ebpf.SchedCLS, asm.FnKtimeGetCoarseNs) == nil {
		err = spec.Variables[bpf.FastVarHasCoarseClock].Set(uint32(1))
	}
	return spec, errors.Join(err, spec.Variables[bpf.FastVarIpv6Flag].Set(ipv6Flag()))
}

// ipv6Flag is BPF_F_IPV6 of linux/bpf.h where the kernel knows it: with the features of Linux 6.16.
func ipv6Flag() uint32 {
	const bpfFIPv6 = 1 << 7
	if program.Since(6, 16) {
		return bpfFIPv6
	}
	return 0
}

// Close closes the descriptors. What another process holds or what is pinned stays.
func (o *Objects) Close() error {
	if o == nil {
		return nil
	}
	errs := []error{o.Program.Close(), o.Attached.Close()}
	for _, m := range o.maps() {
		errs = append(errs, (*m).Close())
	}
	return errors.Join(errs...)
}
