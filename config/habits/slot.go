package habits

import (
	"fmt"

	"github.com/BurntSushi/toml"
)

// A Slot is what may stand where a value was refused.
type Slot int

const (
	OneValue Slot = iota
	OneOrList
	OnlyList // a list, and it was none
	Element  // of a list: several may take the place of one
)

// fitInto makes of TOML values what can stand in a slot, "" if they cannot.
func fitInto(values string, where Slot, accept func(any) bool) string {
	var list struct{ X []any }
	if _, err := toml.Decode("X = ["+values+"]", &list); err != nil || len(list.X) == 0 {
		return ""
	}
	for _, value := range list.X {
		if !accept(value) {
			return ""
		}
	}
	switch {
	case where == OnlyList || where == OneOrList && len(list.X) > 1:
		return fmt.Sprintf("[%s]", values)
	case where == OneValue && len(list.X) > 1:
		return ""
	}
	return values
}
