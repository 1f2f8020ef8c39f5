// Package openapitest compares JSON with a schema of docs/reference/openapi.json. It knows the keywords
// that this file uses, and reports others, so that none is passed over. Unlike a client it also refuses
// keys that no schema has: an answer must not have more than the file says.
package openapitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"anyport/docs"
)

// Check returns what is wrong with the JSON of an answer, by the schema of that name; none is good.
func Check(schema string, answer []byte) (wrong []string) {
	var file struct {
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(docs.OpenAPI, &file); err != nil {
		return []string{err.Error()}
	}
	c := &checker{schemas: file.Components.Schemas}
	var value any
	if err := json.Unmarshal(answer, &value); err != nil {
		return []string{err.Error()}
	}
	c.check("$", map[string]any{"$ref": reference + schema}, value)
	return c.wrong
}

// reference begins the reference to a schema.
const reference = "#/components/schemas/"

// checker collects what is wrong.
type checker struct {
	schemas map[string]any
	wrong   []string
}

func (c *checker) add(at, format string, args ...any) {
	c.wrong = append(c.wrong, at+": "+fmt.Sprintf(format, args...))
}

// check compares a value with a schema; at is the path of the value.
func (c *checker) check(at string, schema map[string]any, value any) {
	for keyword := range schema {
		if !slices.Contains([]string{"$ref", "type", "properties", "required", "items", "additionalProperties", "format", "minimum", "description"}, keyword) {
			c.add(at, "the schema has the unknown keyword %q", keyword)
		}
	}
	if ref, ok := schema["$ref"].(string); ok {
		target, ok := c.schemas[strings.TrimPrefix(ref, reference)].(map[string]any)
		if !ok {
			c.add(at, "no schema is called %q", ref)
			return
		}
		c.check(at, target, value)
		return
	}
	switch kind := schema["type"]; v := value.(type) {
	case map[string]any:
		c.want(at, kind, "object")
		c.object(at, schema, v)
	case []any:
		c.want(at, kind, "array")
		items, _ := schema["items"].(map[string]any)
		for i, item := range v {
			c.check(fmt.Sprintf("%s[%d]", at, i), items, item)
		}
	case string:
		c.want(at, kind, "string")
		if _, err := time.Parse(time.RFC3339, v); schema["format"] == "date-time" && err != nil {
			c.add(at, "%v", err)
		}
	case bool:
		c.want(at, kind, "boolean")
	case float64:
		if kind != "number" {
			c.want(at, kind, "integer")
			if v != math.Trunc(v) {
				c.add(at, "%v is not an integer", v)
			}
		}
		if least, ok := schema["minimum"].(float64); ok && v < least {
			c.add(at, "%v is less than %v", v, least)
		}
	default:
		c.add(at, "%v is not of the type %v", value, kind)
	}
}

func (c *checker) want(at string, kind any, got string) {
	if kind != got {
		c.add(at, "the value is of the type %q, and the schema has %v", got, kind)
	}
}

// object compares the keys: of a map any, of a struct those that the schema names.
func (c *checker) object(at string, schema map[string]any, value map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	rest, free := schema["additionalProperties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(value)) {
		if property, ok := properties[key].(map[string]any); ok {
			c.check(at+"."+key, property, value[key])
		} else if free {
			c.check(at+"."+key, rest, value[key])
		} else {
			c.add(at, "the schema does not have the key %q", key)
		}
	}
	required, _ := schema["required"].([]any)
	for _, key := range required {
		if _, ok := value[key.(string)]; !ok {
			c.add(at, "the key %q is missing", key)
		}
	}
}
