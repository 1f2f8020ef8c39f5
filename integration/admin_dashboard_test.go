package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dashboardFile has an origin that is down, and ports that are refused, dropped and passed on.
const dashboardFile = `
http = "127.0.0.1:9765"
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
except_ports = ["6000-6999"]
max_conns = 1000
origins  = ["10.0.0.5"]
[route.web.health]
type = "tcp"
port = 4711
interval = "1s"
[route.game]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
ports    = ["27000-29999"]
origins  = ["10.0.0.5:4711", "10.0.0.99:4711"]
[route.game.health]
type = "tcp"
interval = "1s"
timeout = "200ms"
fall = 1
[route.silent]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = ["40000-44999"]
action   = "drop"
[route.host]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [22]
action   = "pass"
[route.spare]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = ["50000-54999"]
origins  = ["10.0.0.99:4711"]
on_all_down = "refuse"
[route.spare.health]
type = "tcp"
interval = "1s"
timeout = "200ms"
fall = 1
[route.mail]
protocol = "tcp"
prefixes = ["192.0.2.0/24", "203.0.113.0/24"]
ports    = [25, 465, 587]
origins  = [{ address = "10.0.0.5:4711", weight = 2 }, { address = "10.0.0.5:4712", backup = true }]
`

// TestDashboard opens the page of admin.http in Chromium: its figures are those of /metrics, it is usable by keyboard
// and at 390 pixels, it reports nothing on the console, no text from outside becomes HTML, and it says when the process
// does not answer any more. With ANYPORT_SCREENSHOTS it writes pictures to that directory.
func TestDashboard(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.serve(t, "10.0.0.5:80", echo)
	r.origin.serve(t, "10.0.0.5:8443", echo)
	p := r.edge.launch(t, dashboardFile)
	p.expect(t, "msg=serving")
	eventually(t, "an origin fails its check", func() bool {
		_, text := r.edge.fetch(t, http.MethodGet, "/api/status")
		return strings.Contains(text, `"state":"check_failed"`)
	})
	b := r.edge.openBrowser(t, 1280, 1500)
	b.screen(t, 1280, 1500, "light")
	for i := range 12 {
		talk(t, r.client.dial(t, "tcp", fmt.Sprint(dstV4, ":", []int{80, 8443, 28000 + 113*i}[i%3])), strings.Repeat("x", 1000*(i+1)))
	}
	if conn, err := r.client.tryDial("tcp", "", dstV4+":6500"); err == nil {
		conn.Close()
		t.Error("a port that no route takes is open")
	}
	r.scanPorts(t)
	b.visit(t, "http://127.0.0.1:9765/")
	b.becomes(t, "the stream is open", `document.getElementById("link").textContent`, "live")

	t.Run("figures", func(t *testing.T) { b.showsMetrics(t, r) })
	t.Run("health", func(t *testing.T) {
		b.becomes(t, "an origin that does not answer is shown", cell("origins", "10.0.0.99:4711", "State"), "check failed")
		if why := b.ask(t, cell("origins", "10.0.0.99:4711", "Last error")); why == "-" || why == "" {
			t.Errorf("the origin is down, and the page shows no error")
		}
		b.becomes(t, "its route", cell("routes", "game", "State"), "1 of 2 up")
	})
	t.Run("map", func(t *testing.T) { b.walksMap(t) })
	t.Run("reload", func(t *testing.T) {
		p.write(t, strings.Replace(dashboardFile, "max_conns = 1000", "max_conns = \"<img src=x onerror=alert(1)>\"", 1))
		if got := anyport(t, "reload", "--socket", p.socket); got.status != 1 {
			t.Errorf("reload: %+v", got)
		}
		b.becomes(t, "a refused reload with HTML in it is text", `/<img src=x/.test(document.getElementById("problems").textContent) && /<img src=x/.test(document.getElementById("reloads").textContent)`, "true")
		if n := b.ask(t, `document.querySelectorAll("img").length`); n != "0" {
			t.Errorf("%s images come from a text", n)
		}
		p.write(t, strings.Replace(dashboardFile, "max_conns = 1000", "max_conns = 2000", 1))
		if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
			t.Errorf("reload: %+v", got)
		}
		b.becomes(t, "a reload", `document.getElementById("reloads").textContent.includes("~1 routes") && /<img/.test(document.getElementById("problems").textContent)`, "false")
		b.becomes(t, "its limit", cell("routes", "web", "Live")+`.split(" / ")[1]`, "2,000")
	})
	t.Run("trial", func(t *testing.T) { b.showsTrial(t, r, p) })
	defer r.keepBusy(t)()
	b.ask(t, `(was => window.show = s => was(JSON.parse(JSON.stringify(s).replaceAll("`+p.file+`", "/etc/anyport/anyport.toml").replaceAll("<img src=x onerror=alert(1)>", "many"))))(window.show)`)
	b.becomes(t, "curves", `curves["New a second"].values.filter(v => v > 0).length > 5`, "true")
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 390} {
			b.screen(t, width, map[int]int{1280: 1620, 390: 1200}[width], scheme)
			if wide := b.ask(t, `document.documentElement.scrollWidth`); wide != fmt.Sprint(width) {
				t.Errorf("at %d pixels the page is %s wide", width, wide)
			}
			time.Sleep(1200 * time.Millisecond) // the map is drawn in the new colours, and a transition ends
			saveShot(t, fmt.Sprintf("dashboard-%s-%d.png", scheme, width), b.shoot(t))
		}
	}
	if found := b.errors(t); len(found) > 0 {
		t.Errorf("on the console:\n%s", strings.Join(found, "\n"))
	}

	b.screen(t, 1280, 1230, "light")
	p.signal(t, syscall.SIGKILL)
	b.becomes(t, "a killed process is seen", `/^no answer since \d\d:\d\d:\d\d$/.test(document.getElementById("link").textContent) && document.body.className`, "stale")
	b.becomes(t, "its figures fade", `+getComputedStyle(document.querySelector("main")).opacity < 0.5`, "true")
	again := p.restart(t)
	b.becomes(t, "the next process is seen", `document.getElementById("link").textContent`, "live")
	b.becomes(t, "the next process's pid", `document.getElementById("process").textContent.includes("pid `+fmt.Sprint(again.cmd.Process.Pid)+`")`, "true")
	again.signal(t, syscall.SIGTERM)
	again.signal(t, syscall.SIGINT)
	if status := again.wait(t); status != 0 {
		t.Errorf("anyport ended with %d", status)
	}
}

// cell is a script that finds a cell of a table by the text of its row's first cell, and the head of its column.
func cell(table, row, head string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#%s tbody tr")].filter(r => r.cells[0].textContent === %q).flatMap(r => [...r.cells]).filter(c => c.dataset.head === %q).map(c => c.textContent)[0]`, table, row, head)
}

// showsMetrics compares the page with /metrics. Nothing else happens meanwhile, so both come to the same.
func (b *browser) showsMetrics(t *testing.T, r *rig) {
	_, text := r.edge.fetch(t, http.MethodGet, "/metrics")
	sum := func(pattern string) (sum int) {
		for _, found := range regexp.MustCompile(`(?m)^`+pattern+` (\d+)$`).FindAllStringSubmatch(text, -1) {
			n := 0
			fmt.Sscan(found[1], &n)
			sum += n
		}
		return sum
	}
	for _, route := range []string{"web", "game"} {
		live := sum(`anyport_connections_active\{protocol="\w+",route="` + route + `"\}`)
		if live == 0 {
			t.Errorf("no conn of route %s is live", route)
		}
		b.becomes(t, "live conns of "+route, cell("routes", route, "Live")+`.split(" / ")[0]`, fmt.Sprint(live))
		b.becomes(t, "bytes of "+route, fmt.Sprintf(`now.routes.find(r => r.name === %q).bytes_to_origin`, route),
			fmt.Sprint(sum(`anyport_bytes_total\{direction="to_origin",protocol="\w+",route="`+route+`"\}`)))
	}
	refused := sum(`anyport_steering_lookups_total\{route="",verdict="refuse"\}`)
	if refused == 0 {
		t.Error("nothing was refused")
	}
	b.becomes(t, "what no route takes", `document.getElementById("drops").textContent.replaceAll(",", "").includes("kernelrefuse`+fmt.Sprint(refused)+`")`, "true")
}

// showsTrial has both sides of a trial on the page while there is one.
func (b *browser) showsTrial(t *testing.T, r *rig, p *proxy) {
	const hidden = `document.getElementById("trial").hidden`
	b.becomes(t, "without a trial nothing is shown of one", hidden, "true")
	p.reloadIs(t, 0, "serves 99.9% of the clients", "--share", "99.9%")
	b.becomes(t, "the trial is shown", hidden, "false")
	for range 3 {
		talk(t, r.client.dial(t, "tcp", dstV4+":80"), "hello")
	}
	trial := p.trialStatus(t)
	for name, side := range map[string]trialSide{"old": trial.Old, "new": trial.New} {
		b.becomes(t, "the conns of the "+name+" side", cell("sides", name, "Conns and flows"), fmt.Sprint(side.Conns))
		b.becomes(t, "its live conns", cell("sides", name, "Live"), fmt.Sprint(side.Active))
		b.becomes(t, "its generation", cell("sides", name, "Generation"), fmt.Sprint(side.Generation))
	}
	if trial.Old.Conns+trial.New.Conns != 3 {
		t.Errorf("%d conns on both sides, want 3", trial.Old.Conns+trial.New.Conns)
	}
	b.becomes(t, "the share and the command", `document.getElementById("trial-note").textContent.replace(/\d+ \w+ ago/, "now")`,
		fmt.Sprintf("Generation %d serves 99.9 %% of the clients since now. To end it: anyport reload --all, or --back.", trial.New.Generation))
	p.reloadIs(t, 0, "serves all clients", "--back")
	b.becomes(t, "the trial is over", hidden, "true")
}

// walksMap goes from one port to another by keys alone.
func (b *browser) walksMap(t *testing.T) {
	const tab, left, right, down, home, end, pageDown = '\uE004', '\uE012', '\uE014', '\uE015', '\uE011', '\uE010', '\uE00F'
	b.becomes(t, "the map is there", `document.getElementById("legend").children.length > 4`, "true")
	for range 40 {
		if b.ask(t, `document.activeElement.id`) == "map" {
			break
		}
		b.press(t, tab)
	}
	if id := b.ask(t, `document.activeElement.id`); id != "map" {
		t.Fatalf("the Tab key does not get to the map: %s", id)
	}
	for _, step := range []struct {
		keys []rune
		want string
	}{
		{[]rune{home}, "Port 0/tcp of 192.0.2.0/24: "},
		{[]rune{right, right, left}, "Port 1/tcp of 192.0.2.0/24: served by route web (ports 1-21)\nOrigin 10.0.0.5"},
		{[]rune{home, end}, "Port 255/tcp of 192.0.2.0/24: served by route web"},
		{[]rune{pageDown, down}, "Port 4607/tcp of"},
		{[]rune{down, down, down, down, down, down, down, down}, "Port 6655/tcp of 192.0.2.0/24: refuse, no route takes it (ports 6000-6999)"},
	} {
		b.press(t, step.keys...)
		if text := b.ask(t, `document.getElementById("port").textContent`); !strings.HasPrefix(text, step.want) {
			t.Errorf("the page says %q, want %q", text, step.want)
		}
	}
	b.becomes(t, "ports with conns are hot", `[...ports.hot.keys()].sort().join()`, "28226,28565,28904,29243,80,8443")
	b.becomes(t, "ports that nobody serves are probed", `[80, 6500, 6789].map(p => ports.probed.has(p)).join()`, "false,true,true")
	b.ask(t, `moveTo(6789)`)
	if text := b.ask(t, `document.getElementById("port").textContent`); !regexp.MustCompile(`\nProbed: \d+ packets? `).MatchString(text) {
		t.Errorf("the page says %q", text)
	}
	b.ask(t, `moveTo(50000)`)
	if text := b.ask(t, `document.getElementById("port").textContent`); !strings.Contains(text, "served by route spare (ports 50000-54999), which takes nothing new now: no origin is up") {
		t.Errorf("the page says %q", text)
	}
	if text := b.ask(t, `document.getElementById("legend").textContent`); !strings.Contains(text, "spare (no origin is up) 5,000") || !strings.Contains(text, "probed: not served") {
		t.Errorf("the legend is %q", text)
	}
	b.becomes(t, "the map is drawn", `(() => { const g = document.getElementById("map").getContext("2d").getImageData(0, 0, 256, 256).data; const at = p => g.slice(4 * p, 4 * p + 3).join(); return new Set([1000, 6500, 44999, 27000, 80].map(at)).size })()`, "5")
}

// scanPorts sends SYNs from forged addresses to ports that are refused and dropped, and returns when the map has them.
func (r *rig) scanPorts(t *testing.T) {
	to := netip.MustParseAddr(dstV4)
	stop := r.client.forge(t, to, 2000, func(n uint64) []byte {
		from := netip.AddrFrom4([4]byte{198, 51, 100, byte(10 + n%40)})
		port := 6000 + n*0x9e3779b97f4a7c15>>40%1000
		if n%2 == 0 {
			port = 40000 + n*n%4999
		}
		return forgedSYN(netip.AddrPortFrom(from, 4711), netip.AddrPortFrom(to, uint16(port)))
	})
	eventually(t, "scans appear", func() bool {
		_, text := r.edge.fetch(t, http.MethodGet, "/api/ports?protocol=tcp&prefix="+dstV4)
		var m struct{ Probed []int }
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		ports, found := 0, false
		for run := range slices.Chunk(m.Probed, 3) { // first, last, packets of each
			ports += run[1] - run[0] + 1
			found = found || run[0] <= 6789 && 6789 <= run[1]
		}
		return found && ports > 2000
	})
	stop()
}

// saveShot keeps a picture where ANYPORT_SCREENSHOTS says.
func saveShot(t *testing.T, name string, picture []byte) {
	t.Helper()
	dir := os.Getenv("ANYPORT_SCREENSHOTS")
	if dir == "" {
		return
	}
	shot, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	out := bufio.NewWriter(file)
	if err := encoder.Encode(out, inFewColours(shot)); err != nil {
		t.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
}

// inFewColours is a picture in 256 colours, which makes its file half as large: the most frequent ones that are not
// nearly the same.
func inFewColours(shot image.Image) *image.Paletted {
	count := map[color.Color]int{}
	for y := range shot.Bounds().Dy() {
		for x := range shot.Bounds().Dx() {
			count[shot.At(x, y)]++
		}
	}
	var few color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] }) {
		if len(few) == 256 {
			break
		}
		if len(few) == 0 || !near(c, few.Convert(c)) {
			few = append(few, c)
		}
	}
	paletted := image.NewPaletted(shot.Bounds(), few)
	draw.Draw(paletted, paletted.Rect, shot, image.Point{}, draw.Src)
	return paletted
}

// near reports whether nobody sees a difference of two colours.
func near(a, b color.Color) bool {
	r, g, bl, _ := a.RGBA()
	r2, g2, bl2, _ := b.RGBA()
	distance := func(x, y uint32) int { return max(int(x)-int(y), int(y)-int(x)) >> 8 }
	return distance(r, r2)+distance(g, g2)+distance(bl, bl2) < 24
}

// keepBusy makes traffic until stop is called: conns that echo, and knocks at closed ports.
func (r *rig) keepBusy(t *testing.T) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() { // ended by stop
		defer close(ended)
		text := make([]byte, 1<<16)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(time.Duration(20+i%7*30) * time.Millisecond):
			}
			port := []int{80, 8443, 27100, 6500, 27999}[i%5]
			conn, err := r.client.tryDial("tcp", "", fmt.Sprint(dstV4, ":", port))
			if err != nil {
				continue
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			n, _ := conn.Write(text[:1+i*4099%len(text)])
			_, _ = io.ReadFull(conn, text[:n])
			conn.Close()
		}
	}()
	return func() { close(done); <-ended }
}
