package haproxy

import "strings"

// param is a word of a bind or server line, with its values.
type param struct {
	name   string
	values []string
	line   *directive
}

// value is the first value, or "".
func (p param) value() string {
	if len(p.values) == 0 {
		return ""
	}
	return p.values[0]
}

// text is the parameter as it was written.
func (p param) text() string { return strings.Join(append([]string{p.name}, p.values...), " ") }

// params cuts words into parameters. valued are the names that have a value: without this list a value
// such as "backup" of "cookie backup" would be taken for a parameter.
func params(line *directive, words []string, valued map[string]bool) []param {
	var list []param
	for i := 0; i < len(words); i++ {
		p := param{name: words[i], line: line}
		n := 0
		switch {
		case p.name == "source":
			n = sourceLength(words[i+1:])
		case valued[p.name] || strings.HasPrefix(p.name, "set-proxy-v2-tlv-fmt("):
			n = 1
		}
		n = min(n, len(words)-i-1)
		p.values = words[i+1 : i+1+n]
		i += n
		list = append(list, p)
	}
	return list
}

// sourceLength is how many words belong to source: ADDRESS [usesrc X] [interface X].
func sourceLength(words []string) int {
	n := min(1, len(words))
	for n+1 < len(words) && (words[n] == "usesrc" || words[n] == "interface") {
		n += 2
	}
	return n
}

// set makes a set of words.
func set(words string) map[string]bool {
	all := map[string]bool{}
	for _, word := range strings.Fields(words) {
		all[word] = true
	}
	return all
}

// serverValued are the parameters of a server that have one value.
var serverValued = set(`addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-pool-conn-name
	check-proto check-reuse-pool check-sni ciphers ciphersuites client-sigalgs cookie crl-file crt curves downinter ech error-limit
	fall fastinter fullconn guid hash-key id idle-ping init-addr init-state inter log-bufsize log-proto max-reuse
	maxconn maxqueue minconn namespace npn observe on-error on-marked-down on-marked-up pool-conn-name pool-low-conn
	pool-max-conn pool-purge-delay port proto proxy-v2-options redir resolve-net resolve-opts resolve-prefer resolvers
	rise shard sigalgs slowstart sni sni-auto socks4 ssl-max-ver ssl-min-ver tcp-ut track verify verifyhost weight ws quic-cc-algo`)

// bindValued are the parameters of a bind that have one value.
var bindValued = set(`alpn backlog ca-file ca-ignore-err ca-sign-file ca-sign-pass ca-verify-file ciphers ciphersuites
	client-sigalgs cc crl-file crt crt-ignore-err crt-list curves default-crt ecdhe expose-fd gid group guid id idle-ping interface
	ktls label level maxconn maxsslconn mode mss name namespace nbconn nice npn ocsp-update proto quic-cc-algo quic-socket severity-output
	shards sigalgs ssl-max-ver ssl-min-ver tcp-md5sig tcp-ss tcp-ut thread process tls-ticket-keys uid user verify user`)
