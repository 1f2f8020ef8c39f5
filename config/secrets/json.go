package secrets

import (
	"bytes"
	"encoding/json"
	"strings"
)

// JSON masks the texts in a JSON document, and leaves its form and its numbers as they are.
func (m *Mask) JSON(text []byte) ([]byte, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var value any
	if err := in.Decode(&value); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(m.value(value))
	return out.Bytes(), err
}

// Masked is a value that JSON can write, with all its texts masked.
func Masked[T any](m *Mask, value T) (masked T, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return masked, err
	}
	if text, err = m.JSON(text); err != nil {
		return masked, err
	}
	err = json.Unmarshal(text, &masked)
	return masked, err
}

// value masks what encoding/json has decoded.
func (m *Mask) value(v any) any {
	switch v := v.(type) {
	case string:
		return m.String(v)
	case []any:
		for i := range v {
			v[i] = m.value(v[i])
		}
	case map[string]any:
		masked := make(map[string]any, len(v))
		for key, below := range v {
			masked[m.String(key)] = m.value(below)
		}
		return masked
	}
	return v
}

// Bytes masks a file by its name: what ends in .json stays JSON.
func (m *Mask) Bytes(name string, data []byte) []byte {
	if strings.HasSuffix(name, ".json") {
		if masked, err := m.JSON(data); err == nil {
			return masked
		}
	}
	return []byte(m.String(string(data)))
}
