package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"

	"github.com/BurntSushi/toml"
)

// SchemaName is how a file names the schema in its first line, for editors: #:schema ./SchemaName.
const SchemaName = "anyport.schema.json"

// JSONSchema is the JSON schema of the file, made from the table of keys. Editors that know TOML
// complete keys with it, and show what a key means and which values it takes. What depends on other
// keys (ties of routes, sums, ranges of durations) only the parser knows.
func JSONSchema() []byte {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(fileShape()); err != nil {
		panic(err) // a shape that JSON cannot hold: a fault of the table
	}
	return b.Bytes()
}

// fileShape is the schema of the whole file.
func fileShape() shape {
	named := shape{"type": "object", "propertyNames": pattern(`[a-z0-9_-]{1,64}`)}
	return shape{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       "anyport.toml",
		"description": "The configuration of anyport. `anyport check` finds what a schema cannot.",
		"type":        "object",
		"properties": map[string]shape{
			"listen":   tableShape(listenSection.rows(), "Sockets and their buffers."),
			"steering": tableShape(steeringSection.rows(), "What the kernel hands to anyport, and what it does with the rest."),
			"admin":    tableShape(adminSection.rows(), "Where commands, scrapes and browsers reach anyport."),
			"log":      tableShape(logSection.rows(), "The log and the access log."),
			"knock":    tableShape(knockSection.rows(), "Keys of clients that knock with one authenticated datagram."),
			"fleet":    tableShape(fleetSection.rows(), "Several hosts that serve the same prefixes."),
			"announce": tableShape(announceSection.rows(), "Routes for a routing daemon to export."),
			"defaults": tableShape(defaultsSection.rows(), "What routes inherit; each of these keys can stand in a route too."),
			"health":   named.with("additionalProperties", ref("health")).with("description", "[health.NAME]: checks that routes share with health = \"NAME\"."),
			"route":    named.with("additionalProperties", ref("route")).with("minProperties", 1).with("description", "[route.NAME]: one table for each service."),
		},
		"anyOf":                []shape{{"required": []string{"route"}}, {"required": []string{"fleet"}}}, // which may have a source
		"additionalProperties": false,
		"definitions": map[string]shape{
			"route":  routeShape(),
			"health": tableShape(healthSection.rows(), "How the origins of a route are checked."),
			"origin": tableShape(originSection.rows(), "An origin with a weight, a limit, or as a backup.").with("required", []string{"address"}),
		},
	}
}

// routeShape has what a route must have; a route without an action forwards.
func routeShape() shape {
	s := tableShape(routeSection.rows(), strings.Join(strings.Fields(referenceRoute), " "))
	s["description"] = strings.ReplaceAll(s["description"].(string), "# ", "")
	properties := s["properties"].(map[string]shape)
	for key, advice := range removed {
		if name, ok := strings.CutPrefix(key, "route."); ok {
			properties[name] = shape{"not": shape{}, "deprecated": true, "description": name + " " + advice}
		}
	}
	forwards := shape{"properties": map[string]shape{"action": {"const": Forward.String()}}}
	needs := shape{"required": []string{"origins"}, "properties": map[string]shape{"origins": {"minItems": 1}}}
	return s.with("required", []string{"protocol", "prefixes"}).with("if", forwards).with("then", needs)
}

// tableShape is a table with the keys of rows and no other.
func tableShape(rows []row, description string) shape {
	properties := map[string]shape{}
	for _, r := range rows {
		properties[r.name] = r.schemaShape()
	}
	return shape{"type": "object", "properties": properties, "additionalProperties": false, "description": description}
}

// schemaShape is the value of the row's key, with what its user must know.
func (r row) schemaShape() shape {
	s := maps.Clone(r.shape)
	if s == nil {
		s = shape{}
	}
	if text := r.description(); text != "" {
		s["description"] = text
	}
	if r.fallback != "" {
		s["default"] = decoded(r.fallback)
	}
	return s
}

// description joins what reference.toml says of the key in its two places. The timeouts of a route are
// described in [defaults].
func (r row) description() string {
	texts := []string{}
	for _, k := range timeoutKeys {
		if k.name == r.name {
			r.doc, r.above = k.doc, k.above
		}
	}
	for _, text := range []string{r.above, r.doc} {
		if text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "\n\n")
}

// decoded is a literal of TOML as JSON has it.
func decoded(literal string) any {
	var file struct{ Value any }
	if _, err := toml.Decode("value = "+literal, &file); err != nil {
		panic(err) // newSection has decoded it
	}
	return file.Value
}
