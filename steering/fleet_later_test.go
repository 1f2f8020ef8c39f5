package steering

import (
	"strings"
	"testing"

	"anyport/steering/internal/tabletest"
)

// TestAddFleet: a process without privileges, which began without peers, asks them by what a command has loaded for
// its steering, and for no other's. It can be taken back, and added again.
func TestAddFleet(t *testing.T) {
	cfg := tabletest.Managed("192.0.2.0/24")
	cfg.Steering.ManageRoutes = false
	s := open(t, cfg)
	id, err := s.programID()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := PreloadFleet(uint32(id))
	if err != nil || loaded == nil {
		t.Fatalf("%v, %v", loaded, err)
	}
	defer loaded.Close()
	other := newPreloaded(t) // its programs read other maps
	drop(t)

	if err := s.AddFleet(Inheritance{}); err == nil || !strings.Contains(err.Error(), "give as root: anyport reload") {
		t.Errorf("without privileges: %v", err)
	}
	if err := s.MayAddFleet(); err == nil {
		t.Error("it may, without privileges")
	}
	if err := s.AddFleet(copies(t, other.Handover())); err == nil || !strings.Contains(err.Error(), "the prefixes of another steering program") {
		t.Errorf("of another steering: %v", err)
	}
	if f, err := s.Fleet(); f != nil || err == nil {
		t.Errorf("after refusals: %v, %v", f, err)
	}
	for range 2 {
		if loaded.Handover().ReplacesProgram() {
			t.Error("it has a steering program, too")
		}
		if err := s.AddFleet(copies(t, loaded.Handover())); err != nil {
			t.Fatal(err)
		}
		f, err := s.Fleet()
		if f == nil || err != nil || s.MayAddFleet() != nil || f.Status().Off != "there are no peers" {
			t.Errorf("%v, %v, %+v", f, err, f.Status())
		}
		if err := s.DropFleet(); err != nil {
			t.Fatal(err)
		}
		if again, err := s.Fleet(); again != nil || err == nil || !strings.Contains(f.Status().Off, "closed") {
			t.Errorf("taken back: %v, %v, %+v", again, err, f.Status())
		}
	}
}
