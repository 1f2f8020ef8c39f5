package steering

import (
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"anyport/bpf"
	"anyport/config"
)

// drawing is a part of docs/table.svg: the bytes stand in texts of class b, those of one
// entry of a map in a group of class row, and those of one map in a group with its name.
type drawing struct {
	ID    string    `xml:"id,attr"`
	Class string    `xml:"class,attr"`
	Parts []drawing `xml:"g"`
	Texts []struct {
		Class string `xml:"class,attr"`
		Text  string `xml:",chardata"`
	} `xml:"text"`
}

// TestPicture: what docs/table.svg shows is what its file compiles to, and the entries
// that it marks are those that its packet meets.
func TestPicture(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the bytes in the picture are those of a little-endian host")
	}
	maps := readDrawing(t, "../docs/table.svg")
	cfg, err := config.Parse("table.svg", []byte(strings.Join(maps["file"].texts("c"), "\n")))
	if err != nil {
		t.Fatal(err)
	}
	table, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	want, marked := drawnEntries(t, table)
	for name := range want {
		var rows, marks []string
		for _, row := range maps[name].Parts {
			text := strings.Join(row.texts("b"), " ")
			rows = append(rows, text)
			if row.Class == "row hit" {
				marks = append(marks, text)
			}
		}
		if !slices.Equal(rows, want[name]) {
			t.Errorf("%s:\n%s\nis drawn as\n%s", name, strings.Join(want[name], "\n"), strings.Join(rows, "\n"))
		}
		if !slices.Equal(marks, []string{marked[name]}) {
			t.Errorf("%s: the packet meets %s, and %s is marked", name, marked[name], marks)
		}
	}
}

// drawnEntries returns the bytes of each map's entries, and of those that the packet of the
// picture meets.
func drawnEntries(t *testing.T, table *Table) (all map[string][]string, met map[string]string) {
	const port = 4711
	client, dst := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("192.0.2.7")
	h := half{generation: 0, intervals: 8, bindings: 4}
	all, met = map[string][]string{}, map[string]string{}

	var policy bpf.SteerPolicy
	longest := -1
	for k, v := range h.v4Entries(table) {
		all["prefixes_v4"] = append(all["prefixes_v4"], bytesOf(t, k)+" "+bytesOf(t, v))
		if p := bits([]uint32{k.Addr}, k.Prefixlen); p.Contains(dst) && p.Bits() > longest {
			longest, policy, met["prefixes_v4"] = p.Bits(), v, bytesOf(t, k)+" "+bytesOf(t, v)
		}
	}
	var bound uint32
	for i, v := range inOrder(h.intervalEntries(table)) {
		all["intervals"] = append(all["intervals"], bytesOf(t, v))
		if first := policy.Tcp.Offset; first <= uint32(i) && uint32(i) < first+policy.Tcp.Count && v.Lo <= port {
			bound, met["intervals"] = v.Binding, bytesOf(t, v)
		}
	}
	var list uint32
	for i, v := range inOrder(h.bindingEntries(table, numberRoutes(nil, table))) {
		head := bytesOf(t, [4]uint32{uint32(v.Verdict), uint32(v.Denied), v.Sources, v.Number})
		all["bindings"] = append(all["bindings"], head)
		if uint32(i) == bound {
			list, met["bindings"] = v.Sources, head
		}
	}
	longest = -1
	for k, v := range h.sourceEntries(table) {
		all["sources"] = append(all["sources"], bytesOf(t, k)+" "+bytesOf(t, v))
		if p := bits(k.Addr[:], k.Prefixlen); k.List == list && p.Contains(client) && p.Bits() > longest {
			longest, met["sources"] = p.Bits(), bytesOf(t, k)+" "+bytesOf(t, v)
		}
	}
	return all, met
}

// inOrder returns the values of an array, which must come in order.
func inOrder[V any](entries iter.Seq2[uint32, V]) (values []V) {
	for i, v := range entries {
		if int(i) == len(values) {
			values = append(values, v)
		}
	}
	return values
}

func bytesOf(t *testing.T, v any) string {
	t.Helper()
	b, err := binary.Append(nil, binary.NativeEndian, v)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("% x", b)
}

// readDrawing returns the parts of a drawing that have an id.
func readDrawing(t *testing.T, path string) map[string]drawing {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all drawing
	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	parts := map[string]drawing{}
	for _, part := range all.Parts {
		parts[part.ID] = part
	}
	return parts
}

// texts returns what stands in texts of a class.
func (d drawing) texts(class string) (all []string) {
	for _, text := range d.Texts {
		if text.Class == class {
			all = append(all, text.Text)
		}
	}
	return all
}
