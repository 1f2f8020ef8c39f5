package resolve

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseSettings(t *testing.T) {
	type read struct {
		Servers, Search []string
		Timeout         time.Duration
		Attempts        int
		Names           []string // of "db"
		Dotted          []string // of "db.prod"
	}
	for name, c := range map[string]struct {
		text string
		want read
	}{
		"an empty file asks this host": {"", read{[]string{"127.0.0.1:53"}, nil, 5 * time.Second, 2, []string{"db."}, []string{"db.prod."}}},
		"all servers, with comments": {"# by hand\nnameserver 10.0.0.53 # the first\nnameserver 2001:db8::53\n;nameserver 10.9.9.9\nnameserver name.example\nnameserver 10.0.0.54\n",
			read{[]string{"10.0.0.53:53", "[2001:db8::53]:53", "10.0.0.54:53"}, nil, 5 * time.Second, 2, []string{"db."}, []string{"db.prod."}}},
		"a server of a link": {"nameserver fe80::1%eth0\n", read{[]string{"[fe80::1%eth0]:53"}, nil, 5 * time.Second, 2, []string{"db."}, []string{"db.prod."}}},
		"search and options": {"nameserver 10.0.0.53\nsearch Corp.example lab.example\noptions ndots:2 timeout:1 attempts:3 rotate edns0\n",
			read{[]string{"10.0.0.53:53"}, []string{"Corp.example", "lab.example"}, time.Second, 3,
				[]string{"db.corp.example.", "db.lab.example.", "db."}, []string{"db.prod.corp.example.", "db.prod.lab.example.", "db.prod."}}},
		"what is out of bounds": {"options timeout:99 attempts:99\nsearch .\n", read{[]string{"127.0.0.1:53"}, nil, 30 * time.Second, 5, []string{"db."}, []string{"db.prod."}}},
	} {
		s := parseSettings([]byte(c.text))
		got := read{s.servers, s.search, s.timeout, s.attempts, s.candidates("db"), s.candidates("db.prod")}
		if len(got.Search) == 0 {
			got.Search = nil
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := s.candidates("db.prod."); !slices.Equal(got, []string{"db.prod."}) {
			t.Errorf("%s: a name with a dot at its end stands for %v", name, got)
		}
	}
}

func TestParseHosts(t *testing.T) {
	h := parseHosts([]byte("127.0.0.1 localhost loop # here\n10.0.0.6 App.example. app\n10.0.0.5\tapp.example\n::ffff:10.0.0.5 app.example\n2001:db8::5 app.example\n" +
		"fe80::1%eth0 app.example\nnonsense app.example\n10.0.0.9\n#10.0.0.7 app.example"))
	for name, want := range map[string][]string{
		"app.example":   {"10.0.0.5", "10.0.0.6", "2001:db8::5"},
		"app.example.":  {"10.0.0.5", "10.0.0.6", "2001:db8::5"},
		"app":           {"10.0.0.6"},
		"localhost":     {"127.0.0.1"},
		"x.localhost":   {"127.0.0.1", "::1"},
		"other.example": nil,
	} {
		var got []string
		for _, addr := range h.lookup(name) {
			got = append(got, addr.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := parseHosts(nil).lookup("localhost"); len(got) != 2 {
		t.Errorf("localhost without a file: %v", got)
	}
}
