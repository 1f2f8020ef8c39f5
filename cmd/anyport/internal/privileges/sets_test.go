package privileges

import (
	"os"
	"slices"
	"testing"

	"anyport/steering/capabilities"
)

// TestReadSelf: effective capabilities are also permitted, and the names are those of this process.
func TestReadSelf(t *testing.T) {
	set, err := capabilities.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	effective := set.Effective
	if effective&^set.Permitted != 0 {
		t.Errorf("%v are effective, and only %v permitted", effective.Names(), set.Permitted.Names())
	}
	held, err := Read()
	if err != nil || !slices.Equal(held.Capabilities, effective.Names()) {
		t.Errorf("%+v, %v, want %v", held, err, effective.Names())
	}
	if os.Geteuid() == 0 && held.User != "root" {
		t.Errorf("root is %q", held.User)
	}
	if held.Capabilities == nil {
		t.Error("no capabilities are null in JSON")
	}
}

func TestUserName(t *testing.T) {
	if name := userName(0); name != "root" {
		t.Errorf("user 0 is %q", name)
	}
	if name := userName(987654321); name != "987654321" {
		t.Errorf("a user without a name is %q", name)
	}
}
