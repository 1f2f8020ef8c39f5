package text

import "testing"

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 prefixes", 1: "1 prefix", 2: "2 prefixes", -1: "-1 prefixes"} {
		if got := Count(n, "prefix", "prefixes"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", 0.04: "0s", 0.05: "100ms", 0.25: "300ms", 1.5: "1.5s", 9.94: "9.9s", 9.96: "10s", 10.4: "10s", 59.6: "1m0s", 3723: "1h2m3s", 90000: "25h0m0s",
	} {
		if got := Seconds(seconds); got != want {
			t.Errorf("Seconds(%v) = %q, want %q", seconds, got, want)
		}
	}
}

func TestSome(t *testing.T) {
	for _, test := range []struct {
		list []string
		want string
	}{
		{nil, ""}, {[]string{"a"}, "a"}, {[]string{"a", "b", "c"}, "a,b,c"}, {[]string{"a", "b", "c", "d"}, "a,b +2"},
	} {
		if got := some(test.list); got != test.want {
			t.Errorf("some(%v) = %q, want %q", test.list, got, test.want)
		}
	}
}
