package steering

import (
	"testing"
)

func TestProbe(t *testing.T) {
	inNamespace(t)
	features := Probe()
	if len(features) != len(probes) {
		t.Errorf("%d features of %d probes", len(features), len(probes))
	}
	for _, f := range features {
		if f.Err != nil {
			t.Errorf("%s: %v", f.Name, f.Err)
		}
	}
}

func TestPrograms(t *testing.T) {
	inNamespace(t)
	if before, err := Programs(); err != nil || len(before) > 0 {
		t.Fatalf("got %v, %v in a new namespace", before, err)
	}
	status, err := openHere(t, newDice(1).config()).Status()
	if err != nil {
		t.Fatal(err)
	}
	after, err := Programs()
	if want := (Program{ID: status.ProgramID, Name: "steer"}); err != nil || len(after) != 1 || after[0] != want {
		t.Errorf("got %v, %v, want %v", after, err, want)
	}
}
