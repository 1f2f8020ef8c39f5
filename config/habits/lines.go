package habits

// lineHabits are about files and lines that are not TOML.
var lineHabits = []Habit{
	// Whole files.
	{in: "file in JSON", found: `\A\s*\{\s*("|\})`},
	{in: "file in XML or HTML", found: `\A\s*<[?!a-zA-Z]`},
	{in: "file of nginx", found: `^[ \t]*(stream|http|events|server|upstream[ \t]+\S+)[ \t]*\{`},
	{in: "file of nginx", found: `^[ \t]*(listen|proxy_pass|worker_processes|worker_connections)[ \t]+[^=\n]*;`},
	{in: "file of HAProxy", found: `^(global|defaults|(frontend|backend|listen)[ \t]+\S+)[ \t]*\r?$`},
	{in: "file of HAProxy", found: `^[ \t]+(bind|server|default_backend|mode|balance)[ \t]+[^=\n]+$`},
	{in: "file of nftables", found: `^[ \t]*table[ \t]+(ip|ip6|inet)[ \t]+\S+[ \t]*\{`},
	{in: "file of iptables", found: `^(\*(filter|nat|mangle|raw)|-A[ \t]+\w+|:PREROUTING)\b`},
	{in: "file of Caddy", found: `^[ \t]*(layer4|reverse_proxy)\b[^=\n]*\{|^[^\s=#]*:\d+[ \t]*\{|\A\s*\{[ \t]*$`},
	{in: "file in YAML", found: `^---[ \t]*$|^[A-Za-z_][\w-]*:[ \t]*$|^[ \t]*- [\w"']|\A(\s*#.*\n)*[A-Za-z_][\w-]*:[ \t]+\S`},

	// Lines that are not TOML.
	{in: "line", found: `.*?(\S*[\x{a0}\x{2000}-\x{200b}\x{202f}\x{3000}\x{feff}]\S*).*`, write: plainSpaces, say: "with plain spaces"},
	{in: "line", found: `[^"'#]*?([“”„‘’«»][^“”„‘’«»]*[“”„‘’«»]).*`, write: straight, say: "with straight quotes"},
	{in: "line", found: `\s*(//.*|;.*|--\s.*|/\*.*|\*.*|rem .*|!.*)`, write: comment, say: "for a comment"},
	{in: "line", found: `[^"'#]*=[^"'#]*(?:"[^"]*"|[\w\]])[\]\s]*(//.*|/\*.*)`, write: comment, say: "for a comment"},
	{in: "line", found: `\s*(@?(?:include|import|source|includes|conf_dir)\b[^=]*)`, say: oneFile},
	{in: "line", found: `\s*(\[+\s*(?:route|proxy|server|frontend|service|backend|listen|upstream)[\s:/"'.]+([\w-]+(?: [\w-]+)*)["']?\s*\]*)\s*`, write: routeHeader},
	{in: "line", found: `\s*((?:route|server|frontend|service|backend|upstream)[\s.]+"?([\w-]+)"?\s*\{)\s*`, write: routeHeader, say: "and no closing brace"},
	{in: "line", found: `\s*(\[[^\]"']*)`, write: as(`$1]`)},
	{in: "line", found: `\s*(\}+)\s*`, say: "a table ends where the next begins: remove the brace"},
	{in: "line", found: `[^"'#]*=\s*(\$\S+|\{\{.*\}\}|%\w+%)\s*`, say: noEnv},
	{in: "line", found: `[^"'#]*=\s*((.*?\S)\s*[;,])\s*`, write: as(`$2`), say: "and nothing after it"},
	{in: "line", found: `\s*((\w+)(?:[ .]| - )(\w+))\s*=.*`, write: as(`$2_$3`)},
	{in: "line", found: `[^"'#]*=\s*('[^'"]*"|"[^'"]*')\s*`, write: inQuotes},
	{in: "line", found: `[^"]*=\s*("[^"]*)`, write: as(`$1"`)},
	{in: "line", found: `[^#]*=\s*(\[[^\]\[{}#]*?)\s*`, write: as(`$1]`)},
	{in: "line", found: `[^"'#]*=\s*(null|nil|undefined|~)\s*`, say: "a key without a value is left out: remove the line"},
	{in: "line", found: `[^"']*=\s*(\([^()]*\)|\{[^{}=]*\})\s*(?:#.*)?`, write: bareList},
	{in: "line", found: `\s*((?:set|export|let|var|const|local)\s+([\w-]+)[\s=:]+([^\s=].*?)[;,]?)\s*`, write: pair},
	{in: "line", found: `\s*(--?([\w-]+)[=\s]([^\s=].*?)[;,]?)\s*`, write: pair},
	{in: "line", found: `\s*(([\w-]+)\s*(?::=|==|=>|->|:|\s)\s*([^\s=].*?)[;,]?)\s*`, write: pair},
	{in: "line", found: `[^"']*=\s*([^"'\[{#]*[^"'\[{#\s])\s*(?:#.*)?`, write: bare},
	{in: "line", found: `[^"']*=\s*(\[[^"'\[\]{}#]*\]|\([^"'()]*\))\s*(?:#.*)?`, write: bareList},
	{in: "line", found: `.*?("[^"]*\\[^"]*").*`, write: literal, say: "between single quotes, where a backslash is itself"},
	{in: "line", found: `.*?("[^"]*[^",\]\s]"\s+"[^"]*").*`, write: commas},
	{in: "line", found: `\s*([\w.-]+\s*=)\s*`, say: "write a value, or remove the line"},
	{in: "line", found: `\s*(\w[\w.-]*)\s*`, say: "a line is KEY = VALUE: write a value, or remove the line"},

	// What the library says.
	{in: "reason", found: `invalid UTF-8.*`, say: "save the file as UTF-8"},
	{in: "reason", found: `strings cannot contain newlines`, say: "a quote is missing on this line: write one at the end of the value"},
	{in: "reason", found: `.*unexpected EOF; expected value|.*array terminator.*EOF`, say: "a list is not closed: write ] after its last element"},
	{in: "reason", found: `expected a comma.*`, say: "a comma or a quote is missing before it: write it"},
	{in: "reason", found: `.*control characters.*|.*NULL bytes.*`, say: "remove it, or save the file as text in UTF-8"},
}
