package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// browser is Chromium without a window on a host, driven by chromedriver over WebDriver (W3C).
type browser struct {
	client  *http.Client
	session string // the URL of the session
}

// driverAddress is where chromedriver listens in the namespace.
const driverAddress = "127.0.0.1:9515"

// openBrowser starts a browser that ends with the test. Without Chromium on this machine the test is skipped, unless
// ANYPORT_BROWSER says that it must run.
func (h *host) openBrowser(t *testing.T, width, height int) *browser {
	t.Helper()
	if _, err := exec.LookPath("chromedriver"); err != nil {
		if os.Getenv("ANYPORT_BROWSER") != "" {
			t.Fatal(err)
		}
		t.Skip("no chromedriver is here: `make browser` installs it")
	}
	dir := t.TempDir()
	driver := exec.Command("chromedriver", "--port=9515")
	driver.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	h.spawn(t, driver)
	b := &browser{client: &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return h.tryDial("tcp", "", driverAddress)
	}}}}
	eventually(t, "chromedriver answers", func() bool {
		var ready struct{ Ready bool }
		return b.call(http.MethodGet, "http://"+driverAddress+"/status", nil, &ready) == nil && ready.Ready
	})
	var made struct {
		SessionID string `json:"sessionId"`
	}
	b.must(t, http.MethodPost, "http://"+driverAddress+"/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":       "chrome",
		"goog:loggingPrefs": map[string]string{"browser": "ALL"},
		"goog:chromeOptions": map[string]any{"args": []string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
			"--disable-background-networking", "--no-first-run", "--hide-scrollbars", "--user-data-dir=" + dir + "/profile", fmt.Sprintf("--window-size=%d,%d", width, height)}},
	}}}, &made)
	b.session = "http://" + driverAddress + "/session/" + made.SessionID
	t.Cleanup(func() { _ = b.call(http.MethodDelete, b.session, nil, nil) }) // its processes end before chromedriver's
	return b
}

// call asks chromedriver, and reads the value of its answer.
func (b *browser) call(method, url string, body, value any) error {
	text := []byte("{}")
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience) // a browser starts slowly on a loaded machine
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	answer, err := b.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, url, answer.Status, text)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(text, &struct{ Value any }{value})
}

func (b *browser) must(t *testing.T, method, url string, body, value any) {
	t.Helper()
	if err := b.call(method, url, body, value); err != nil {
		t.Fatal(err)
	}
}

func (b *browser) visit(t *testing.T, url string) {
	t.Helper()
	b.must(t, http.MethodPost, b.session+"/url", map[string]any{"url": url}, nil)
}

// devtools calls a method of the DevTools protocol.
func (b *browser) devtools(t *testing.T, method string, params map[string]any) {
	t.Helper()
	b.must(t, http.MethodPost, b.session+"/goog/cdp/execute", map[string]any{"cmd": method, "params": params}, nil)
}

// screen sets the size of the page and its colour scheme, light or dark.
func (b *browser) screen(t *testing.T, width, height int, scheme string) {
	t.Helper()
	b.devtools(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	b.devtools(t, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// ask runs a script in the page and returns its result as text.
func (b *browser) ask(t *testing.T, script string) (result string) {
	t.Helper()
	b.must(t, http.MethodPost, b.session+"/execute/sync", map[string]any{"script": "return String(" + script + ")", "args": []any{}}, &result)
	return result
}

// becomes waits until a script has a result.
func (b *browser) becomes(t *testing.T, what, script, want string) {
	t.Helper()
	last := ""
	for deadline := time.Now().Add(3 * patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if last = b.ask(t, script); last == want {
			return
		}
	}
	t.Fatalf("%s: %s is %q, want %q", what, script, last, want)
}

// press sends keys to what has the focus, by their code points: see WebDriver, section 17.4.2.
func (b *browser) press(t *testing.T, keys ...rune) {
	t.Helper()
	var actions []map[string]string
	for _, key := range keys {
		for _, kind := range []string{"keyDown", "keyUp"} {
			actions = append(actions, map[string]string{"type": kind, "value": string(key)})
		}
	}
	b.must(t, http.MethodPost, b.session+"/actions", map[string]any{"actions": []any{map[string]any{"type": "key", "id": "keyboard", "actions": actions}}}, nil)
}

// errors are the errors and warnings on the console since the last call.
func (b *browser) errors(t *testing.T) (found []string) {
	t.Helper()
	var lines []struct{ Level, Message string }
	b.must(t, http.MethodPost, b.session+"/se/log", map[string]string{"type": "browser"}, &lines)
	for _, line := range lines {
		if line.Level == "SEVERE" || line.Level == "WARNING" {
			found = append(found, line.Message)
		}
	}
	return found
}

// shoot takes a picture of the screen, as PNG.
func (b *browser) shoot(t *testing.T) []byte {
	t.Helper()
	var text string
	b.must(t, http.MethodGet, b.session+"/screenshot", nil, &text)
	picture, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return picture
}
