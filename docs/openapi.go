package docs

import _ "embed"

// OpenAPI describes the admin API. The running process serves it, and TestOpenAPI of
// cmd/anyport/internal/api writes it.
//
//go:embed reference/openapi.json
var OpenAPI []byte
