package daemon

import (
	"fmt"
	"strings"
	"testing"
)

// TestKnownSecrets: those of files that were replaced are masked too.
func TestKnownSecrets(t *testing.T) {
	var k knownSecrets
	k.note("password = \"the first one\"")
	k.note("[route.web]\n")
	k.note("password = \"another text\"")
	mask, err := k.mask()
	if err != nil || mask.String("the first one, another text") != "***, ***" {
		t.Error(mask.String("the first one, another text"), err)
	}
}

// TestTooManySecrets: where some cannot be remembered, nothing is shown that may hold one.
func TestTooManySecrets(t *testing.T) {
	var many strings.Builder
	for i := range mostSecrets {
		fmt.Fprintf(&many, "password = \"%d\"\n", i)
	}
	for name, one := range map[string]string{"one more": "one more", "a long one": strings.Repeat("x", mostSecretBytes)} {
		var k knownSecrets
		k.note(many.String())
		k.note(many.String()) // nothing new
		if _, err := k.mask(); err != nil {
			t.Errorf("%s: before it %v", name, err)
		}
		k.note("password = \"" + one + "\"")
		k.note("password = \"7\"")
		if _, err := k.mask(); err == nil || len(k.values) > mostSecrets || k.bytes > mostSecretBytes {
			t.Errorf("%s: %d values, %d bytes, %v", name, len(k.values), k.bytes, err)
		}
	}
}
