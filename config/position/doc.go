// Package position knows where each key and value stands in the text of a TOML file, so
// that an error can point at it.
//
// The TOML library keeps no position of a key that was decoded without an error, and none
// of the elements of an array. [Scan] walks over the text once more and notes, for each
// key, table and element, the bytes that it takes: a [Map]. Paths are written as TOML
// writes them: `route.web.origins[1].weight`.
//
// A text that is not TOML can be repaired, which moves what follows. The Map then remembers
// the repairs, and [Map.Original] gives the place in the file as its author sees it. A
// [Document] turns bytes into the lines and columns of a message.
//
// The scanner accepts more than TOML and never fails: whether a text is TOML is for the
// library to decide. FuzzLines holds its lines against those that the library knows.
package position
