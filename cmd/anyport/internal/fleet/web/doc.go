// Package web polls a document for the table of a fleet: https with an entity tag, so that a document
// that has not changed is not sent again (RFC 9110, section 13.1.2).
package web
