package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// schemas are those of the wire types: by reflection, with the comments of their source.
type schemas struct {
	t        *testing.T
	all      map[string]any
	comments map[string]string // of "Type" and "Type.Field"
}

func newSchemas(t *testing.T) *schemas {
	s := &schemas{t: t, all: map[string]any{}, comments: map[string]string{}}
	for _, pattern := range []string{"../admin/*.go", "../../../../config/diff.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, s.note)
		}
	}
	return s
}

// note keeps the comments of a type and of its fields.
func (s *schemas) note(n ast.Node) bool {
	general, ok := n.(*ast.GenDecl)
	if !ok || general.Tok != token.TYPE {
		return true
	}
	for _, spec := range general.Specs {
		named := spec.(*ast.TypeSpec)
		s.comments[named.Name.Name] = oneLine(general.Doc)
		if fields, ok := named.Type.(*ast.StructType); ok {
			for _, f := range fields.Fields.List {
				for _, name := range f.Names {
					s.comments[named.Name.Name+"."+name.Name] = oneLine(f.Comment)
				}
			}
		}
	}
	return true
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

func schemaName(answer any) string { return reflect.TypeOf(answer).Name() }

// of is a reference to the schema of an answer.
func (s *schemas) of(answer any) map[string]any { return s.schema(reflect.TypeOf(answer)) }

func (s *schemas) schema(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return s.schema(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return map[string]any{"type": "string", "format": "date-time"}
		}
		if _, ok := s.all[t.Name()]; !ok {
			s.all[t.Name()] = nil // it may have itself within
			s.all[t.Name()] = s.object(t)
		}
		return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.schema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.schema(t.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	}
	s.t.Fatalf("no schema for %s", t)
	return nil
}

// object is the schema of a struct. What may be left out is not required.
func (s *schemas) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	s.fields(t, false, properties, &required)
	object := map[string]any{"type": "object", "properties": properties, "required": required}
	if text := s.comments[t.Name()]; text != "" {
		object["description"] = text
	}
	return object
}

// fields adds the fields of a struct, those of embedded ones included, as encoding/json does.
func (s *schemas) fields(t reflect.Type, optional bool, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && f.Type.Kind() == reflect.Pointer:
			s.fields(f.Type.Elem(), true, properties, required)
		case f.Anonymous:
			s.fields(f.Type, optional, properties, required)
		default:
			property := s.schema(f.Type)
			if text := s.comments[t.Name()+"."+f.Name]; text != "" {
				property["description"] = text
			}
			properties[name] = property
			if !optional && !strings.Contains(options, "omitempty") {
				*required = append(*required, name)
			}
		}
	}
}
