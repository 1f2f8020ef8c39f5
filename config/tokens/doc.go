// Package tokens cuts a TOML text into its tokens, and loses nothing: their texts in their order are the
// text. It accepts any bytes, because a file may be broken when it is looked at; whether a text is TOML is
// for the library to decide.
package tokens
