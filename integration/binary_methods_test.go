package integration

import (
	"bytes"
	"os"
	"testing"
)

// TestUnusedMethods: the linker leaves out exported methods that nobody calls. It has to keep those of all
// types, 4 MB, if anything that is linked finds methods by a name it gets at run time, as text/template does.
func TestUnusedMethods(t *testing.T) {
	t.Parallel()
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, function := range []string{"math/big.(*Int).Sqrt", "text/template.(*state).evalField"} {
		if bytes.Contains(binary, []byte(function)) {
			t.Errorf("the binary has %s", function)
		}
	}
	if called := "math/big.(*Int).SetBytes"; !bytes.Contains(binary, []byte(called)) {
		t.Errorf("the binary does not have %s: this test looks for the wrong names", called)
	}
}
