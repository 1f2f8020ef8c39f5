// Package report turns samples into tables and a drawing.
package report
