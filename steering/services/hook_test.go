package services

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"

	"anyport/bpf"
)

// TestLoadHook asks the verifier.
func TestLoadHook(t *testing.T) {
	if os.Getenv("REQUIRE_ROOT") == "" && os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	spec, err := bpf.LoadServices()
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := ebpf.NewMap(spec.Maps[bpf.ServicesMapLocalSockets])
	if err != nil {
		t.Fatal(err)
	}
	defer sockets.Close()
	hook, err := LoadHook(sockets)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if err := hook.Close(); err != nil {
		t.Error(err)
	}
}
