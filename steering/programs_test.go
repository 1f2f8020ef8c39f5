package steering

import (
	"testing"

	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/program"
)

func TestPrograms(t *testing.T) {
	netnstest.InNamespace(t)
	if before, err := program.AttachedPrograms(); err != nil || len(before) > 0 {
		t.Fatalf("got %v, %v in a new namespace", before, err)
	}
	status, err := openHere(t, tabletest.NewDice(1).Config()).Status()
	if err != nil {
		t.Fatal(err)
	}
	after, err := program.AttachedPrograms()
	if want := (program.Attached{ID: status.ProgramID, Name: "steer"}); err != nil || len(after) != 1 || after[0] != want {
		t.Errorf("got %v, %v, want %v", after, err, want)
	}
}
