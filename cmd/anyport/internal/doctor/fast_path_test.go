package doctor

import (
	"testing"

	"anyport/cmd/anyport/internal/admin"
)

func TestFastPath(t *testing.T) {
	run(t, "fast_path", []example{
		{"off", func(f *Facts) { f.FastPath.Off = "no route needs it" }, []Status{OK}, "off: no route needs it", ""},
		{"behind a rule", func(f *Facts) {
			f.FastPath = admin.FastPathStatus{Way: "clsact", Devices: []admin.FastDevice{
				{Name: "c0", Off: "nft table inet filter, chain input has rules"}, {Name: "o0"}, {Name: "o1"},
			}}
		}, []Status{OK}, "between o0, o1 (clsact); off on c0: nft table inet filter, chain input has rules", ""},
		{"nowhere", func(f *Facts) {
			f.FastPath = admin.FastPathStatus{Devices: []admin.FastDevice{{Name: "o0", Off: "it belongs to a VRF"}}}
		}, []Status{OK}, "on no device; off on o0: it belongs to a VRF", ""},
	})
}
