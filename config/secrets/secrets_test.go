package secrets

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// planted is a file with a secret in each place where one may stand. Each has SECRET in it, in upper case.
const planted = `# etcd://root:SECRET-comment@192.0.2.1:2379 and password: SECRET-prose
fleet.source = "https://edge:SECRET-url@config.example/table?token=SECRET-query"
[log]
access = "syslog:tcp://logger:SECRET-syslog@192.0.2.9:514"
[knock]
keys = "/etc/anyport/knock.keys"
key = "SECRET-key"
[admin]
password = 'SECRET-literal'
token = SECRET-bare
nested = { user = "u", secret = "SECRET-inline", list = ["x", "SECRET-not"] }
[route.a]
proxy_tlvs = ["unique-id", "0xE1=SECRET-tlv",
  "0xE2=SECRET \" tlv\n2", # "0xE3=SECRET-tlv-comment"
]
# proxy_tlvs = [
#   "0xE4=SECRET-commented-out",
# ]
knock = [7000,
  8000, 9000]
knock_window = "30s"
[route.a.health]
path = "/check?key=SECRET-path"
send = "hex:534543524554"
expect = """SECRET-expect
of two lines"""
[route.b]
health = { type = "http", path = "/?SECRET-inline-path", send = "AUTH SECRET-send\r\n" }
dial = { passwd = "abc" }
header = "Authorization: Bearer SECRETbearer"
password: SECRET-yaml
secret = "SECRET-no-end
password = """SECRET-never-ends
`

// open are what must stay: a report without it is of no use.
var open = []string{"unique-id", "/etc/anyport/knock.keys", "192.0.2.9:514", "/check?", "30s", "[route.a.health]", `type = "http"`, "config.example/table"}

func TestHide(t *testing.T) {
	hidden := Hide(strings.Replace(planted, "SECRET-not", "plain", 1), NewMask(nil))
	for _, secret := range []string{"SECRET", "8000", "534543524554", `"abc"`} {
		if at := strings.Index(hidden, secret); at >= 0 {
			t.Errorf("%q is left: %s", secret, hidden[max(0, at-40):min(len(hidden), at+40)])
		}
	}
	for _, text := range open {
		if !strings.Contains(hidden, text) {
			t.Errorf("%q is missing in\n%s", text, hidden)
		}
	}
	if a, b := strings.Count(planted, "\n"), strings.Count(hidden, "\n"); b > a || b < a-3 {
		t.Errorf("%d lines became %d", a, b)
	}
	if found := Find(planted).Files; len(found) != 1 || found[0] != "/etc/anyport/knock.keys" {
		t.Errorf("files %q", found)
	}
}

// TestMask: what programs make of a value is masked, and any part of it that can be told.
func TestMask(t *testing.T) {
	const secret = "p\"ä\\ß <&> 9876543210 \n"
	m := NewMask([]string{secret, "tiny", "abc"})
	inJSON, _ := json.Marshal(secret)
	for _, form := range []string{secret, strconv.Quote(secret), strconv.Quote(strconv.Quote(secret)), string(inJSON), url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), secret + secret} {
		got := m.String("error: " + form + " :end")
		if !strings.HasPrefix(got, "error: ") || !strings.HasSuffix(got, " :end") || !strings.Contains(got, "***") || strings.Contains(got, "54321") || strings.Contains(got, "\u00e4") {
			t.Errorf("%q is %q", form, got)
		}
	}
	for text, want := range map[string]string{
		"":                     "",
		"abc":                  "abc",
		"a tiny b":             "a *** b",
		"tinytiny":             "***",
		"cut 9876543210 \n":    "cut***",
		"cut <&> 98765…":       "cut***…",
		"98765432, 8765432":    "***, 8765432",
		"tiny and tiny":        "*** and ***",
		"at the end tin":       "at the end tin",
		"x 76543210 tiny, abc": "x ***, abc",
	} {
		if got := m.String(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// publicTexts are the keys of a file whose text anybody may read. A new key with a text fails the test until
// somebody has decided: here, or in find.go.
var publicTexts = map[string]bool{
	"socket": true, "group": true, "http": true, "http_hosts": true, "user": true, "pin": true, "access": true, "unmatched": true, "level": true, "format": true, "keys": true, "host": true, "peers": true, "device": true, "key": true, "source_ca": true, "source_cert": true, "source_cert_key": true, "source_credentials": true,
	"protocol": true, "prefixes": true, "ports": true, "except_ports": true, "action": true, "service": true, "listener": true, "origins": true, "address": true, "balance": true,
	"proxy_protocol": true, "source": true, "egress_prefixes": true, "allow": true, "deny": true, "denied": true, "accept_proxy": true, "active": true, "inactive": true, "on_inactive": true,
	"on_down": true, "on_all_down": true, "type": true, "fast_path": true, "health": true, "udp_idle_timeout": true,
	"proxy_tlvs": true, "path": true, // a part of it is secret: TestHide plants that
}

func TestEveryTextIsJudged(t *testing.T) {
	text, err := os.ReadFile("../testdata/every_key.toml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if _, err := toml.Decode(string(text), &values); err != nil {
		t.Fatal(err)
	}
	hidden := Hide(string(text), NewMask(nil))
	judge(t, "", values, hidden)
}

// judge walks through the values of a file.
func judge(t *testing.T, key string, value any, hidden string) {
	switch v := value.(type) {
	case map[string]any:
		for name, below := range v {
			judge(t, name, below, hidden)
		}
	case []any:
		for _, below := range v {
			judge(t, key, below, hidden)
		}
	case []map[string]any:
		for _, below := range v {
			judge(t, key, below, hidden)
		}
	case string:
		if !publicTexts[key] && !measure.MatchString(v) && v != "" && strings.Contains(hidden, strconv.Quote(v)) {
			t.Errorf("%s = %q is not masked: is it public?", key, v)
		}
	}
}

// FuzzHide: whatever stands around it, a secret is not seen, and no text is a panic.
func FuzzHide(f *testing.F) {
	f.Add(planted, "hunter2")
	f.Add("a = [", "x\"y\\z")
	f.Fuzz(func(t *testing.T, before, secret string) {
		_ = Hide(before, NewMask([]string{secret}))
		if len(secret) < least || strings.Contains(mask+"password", secret) || strings.Contains(secret, mask) {
			return
		}
		if hidden := NewMask([]string{secret}).String(before + secret + before); strings.Contains(hidden, secret) {
			t.Errorf("%q is in %q", secret, hidden)
		}
	})
}

// measure is a duration, a size, a rate or an address.
var measure = regexp.MustCompile(`^[0-9.]+([a-zµ]+|[KMGT]i?B(/s)?)?$`)
